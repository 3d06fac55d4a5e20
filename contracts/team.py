"""A team as the planes see it: roles with their contracts, workflows, tools, state, charter."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from remit.contracts.errors import NotFoundError
from remit.contracts.ids import pool_name
from remit.contracts.message import Message, canonical, digest_of, schema_of, tag_of
from remit.contracts.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remit.contracts.charter import Charter
    from remit.contracts.document import StateContract
    from remit.contracts.plan import PlanSpec
    from remit.contracts.tool import Effect, Risk
    from remit.contracts.upcast import Upcasts


_FIXED = Pool(min=2, max=2)


@dataclass(frozen=True, kw_only=True)
class RoleSpec:
    """A role: what it takes, what it gives, and how its pool is sized."""

    name: str
    takes: type[Message]
    gives: type[Message]
    pool: int = 2
    """Hosts at the start."""
    pool_max: int = 16
    isolated: bool = False
    """Never shares a host with other roles."""
    sizing: Pool = _FIXED
    """Its bounds and objective, what a host needs, and when a host is replaced."""


@dataclass(frozen=True, kw_only=True)
class ToolSpec:
    """A tool as the supervisor sees it."""

    name: str
    risk: Risk
    effect: Effect
    manifest: str
    """Digest of name, description and schema."""


def with_older(team: TeamSpec, load: Callable[[str], TeamSpec], refs: Mapping[str, str]) -> TeamSpec:
    """Give a team that serves older builds of itself as well, each loaded from its reference."""
    return replace(team, older={build: older_build(load(ref), build) for build, ref in refs.items()})


def older_build(team: TeamSpec, build: str) -> TeamSpec:
    """Give a team as it is served for the runs that are pinned to it; its files are called as they were then."""
    return replace(team, is_older=True, build=build)


@dataclass(frozen=True, kw_only=True)
class TeamSpec:
    """Everything the supervisor decides by; built once from the team's file and its charter."""

    name: str
    roles: Mapping[str, RoleSpec]
    workflows: Mapping[str, PlanSpec]
    tools: Mapping[str, ToolSpec]
    state: tuple[StateContract[object], ...]
    charter: Charter
    upcast: Upcasts = field(default_factory=dict)
    """Brings messages of older versions forward, by their tag."""
    code: str = ""
    """Digest of the team's source files; empty if there are none to name, as in a test."""
    build: str = field(default="")
    charter_digest: str = field(default="")
    older: Mapping[str, TeamSpec] = field(default_factory=dict)
    """Builds that are served beside this one, because runs are pinned to them, by their digest."""
    weaker: tuple[str, ...] = ()
    """Walls that the server cannot hold for this deployment, as somebody allowed."""
    is_older: bool = False
    """Served for the runs that are pinned to it, by pools of its own."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "charter_digest", self.charter.digest())
        object.__setattr__(self, "build", self.build or self._build())

    def of(self, build: str) -> TeamSpec:
        """Give the build that a run is pinned to, as far as it is served; else this one."""
        return self.older.get(build, self)

    def pool(self, role: str) -> str:
        """Give the pool whose agents run a role's steps: of an older build it is another one."""
        return pool_name(role, self.build if self.is_older else "")

    def role(self, name: str) -> RoleSpec:
        """Give a role by name.

        Raises:
            NotFoundError: the team has no such role.
        """
        if name not in self.roles:
            raise NotFoundError(f"no role {name!r}", expected=", ".join(sorted(self.roles)), got=name)
        return self.roles[name]

    def slots(self) -> dict[str, int]:
        """Give how many steps a host runs at once, by role: what the role says, at most what its charter allows."""
        most = {name: charter.limits.slots for name, charter in self.charter.roles.items()}
        return {name: min(role.sizing.slots or most[name], most[name]) for name, role in self.roles.items()}

    def takes(self, workflow: str) -> type[Message]:
        """Give the input type of a workflow."""
        return self.given_to(self.workflows[workflow])

    def given_to(self, plan: PlanSpec) -> type[Message]:
        """Give the input type of a plan, also of one that the team dropped: what its first nodes take."""
        first = next(node for node in plan.nodes if not node.each and node.after == ("task",))
        return self.roles[first.role].takes

    def _build(self) -> str:
        roles = {
            name: [tag_of(role.takes), schema_of(role.takes), tag_of(role.gives), schema_of(role.gives)]
            for name, role in sorted(self.roles.items())
        }
        tools = {name: tool.manifest for name, tool in sorted(self.tools.items())}
        state = [[item.template, item.scope, item.schema, schema_of(item.kind)] for item in self.state]
        plans = [[name, plan] for name, plan in sorted(self.workflows.items())]
        upcast = [sorted(self.upcast)] if self.upcast else []  # which function it is, a digest cannot say
        code = [self.code] if self.code else []
        charter = self.charter.digest()
        return digest_of([self.name, roles, tools, plans, charter, sorted(state, key=canonical), *upcast, *code])
