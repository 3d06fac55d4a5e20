"""How hosts and gateways start: they make their own keys, and get names, the server's word for these, and a build."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

import structlog
from ray.exceptions import RayError

from remit.bus import permission
from remit.contracts.ids import new_gateway, role_in, role_of
from remit.supervisor import children

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from remit.bus.identity import Issuer
    from remit.bus.permission import Permissions
    from remit.contracts.team import TeamSpec
    from remit.supervisor.children import Child
    from remit.supervisor.roster import Roster

log = structlog.get_logger(__name__)

NODE_S: Final = 600.0
"""How long a child may wait for a node that offers what it asks for; an autoscaler may have to start one."""
TRUSTED_RESOURCE: Final = "remit_trusted"
"""What the nodes offer that may hold keys: supervisor and gateways run there, hosts of roles do not."""
SHARE_OF_NODE: Final = 0.001
_MEBIBYTE: Final = 1024 * 1024
NO_CODE: Final[Mapping[str, bytes]] = {}


@dataclass(frozen=True, kw_only=True)
class Provision:
    """What a child brings along when it starts."""

    jwts: Mapping[str, str]
    """By agent, or by connection of a gateway."""
    code: Mapping[str, bytes]
    """Shipped code by its reference; what is installed is not in it."""


@dataclass(frozen=True, kw_only=True)
class PoolSpec:
    """How children are started; the start functions come from `remit/`, which alone knows all planes."""

    prefix: str
    gateways: int
    host_actor: object
    gateway_actor: object
    host_spec: Callable[[str, Provision], object]
    """Gives what a host is told, from its label. The label of one that serves an older build says so."""
    gateway_spec: Callable[[str, str, Provision], object]
    """Gives what a gateway is told, from its name and its label."""
    generation: str = ""
    """Names this deployment among the builds and settings of one team: children of another one are replaced."""
    is_cluster: bool = False
    """Nodes offer the resource `role_<role>` for hosts, which serve one role each, and `remit_trusted` for gateways."""


@dataclass(slots=True)
class Host:
    """A host and the agents in it."""

    child: Child
    agents: dict[str, str] = field(default_factory=dict)
    """Role to agent."""


class Births:
    """Starts the children of one team."""

    def __init__(
        self,
        spec: PoolSpec,
        team: TeamSpec,
        *,
        issuer: Issuer | None,
        code: Mapping[str, bytes],
        roster: Roster,
        failed: Callable[[Child, str], None],
    ) -> None:
        self._spec = spec
        self._team = team
        self._issuer = issuer
        self._code = code
        self._roster = roster
        self._on_failed = failed

    async def gateway(self, label: str) -> tuple[str, Child] | None:
        """Give a new gateway that serves, with its name; None if it did not start, which was said."""
        name = new_gateway()
        resources = {TRUSTED_RESOURCE: SHARE_OF_NODE} if self._spec.is_cluster else {}
        child = self._start("gateway", label, resources)
        allowed = {
            name: permission.gateway_permissions(name),
            f"{name}-answer": permission.gateway_answer_permissions(name),
        }
        keys = cast("dict[str, str] | None", await self._ask(child, "keys", sorted(allowed), within_s=self._patience_s))
        if keys is None:
            return None
        jwts = {connection: self._sign(keys[connection], connection, allowed[connection]) for connection in allowed}
        spec = self._spec.gateway_spec(name, label, Provision(jwts=jwts, code=self._code))
        is_serving = await self._ask(child, "ensure", spec, within_s=children.START_S) is not None
        return (name, child) if is_serving else None

    def host(self, label: str, roles: Collection[str]) -> Child:
        """Give a host on its way, without agents."""
        return self._start("host", label, self.needs(roles))

    def needs(self, roles: Collection[str]) -> dict[str, float]:
        """Give what a host of these roles asks Ray for: on one machine nothing, it is there already."""
        if not self._spec.is_cluster:
            return {}
        asked = {role_resource(role_in(role)): 1.0 for role in roles}
        for role in roles:
            sizing = self._team_of(role).roles[role_in(role)].sizing
            own = {children.CPU: sizing.num_cpus, children.MEMORY: sizing.memory_mb * _MEBIBYTE, **sizing.resources}
            for name, amount in own.items():
                if amount:
                    asked[name] = asked.get(name, 0.0) + amount
        return asked

    async def agents(self, child: Child, roles: Collection[str]) -> dict[str, str]:
        """Give new agents of a host by role, all pulling work; none if they did not start, which was said."""
        made = cast(
            "dict[str, tuple[str, str]] | None",
            await self._ask(child, "keys", sorted(roles), within_s=self._patience_s),
        )
        if made is None:
            return {}
        jwts = {agent: self._jwt(role, agent, public) for role, (agent, public) in made.items()}
        self._roster.expect(jwts, time.monotonic())  # it may claim before `ensure` is answered
        spec = self._spec.host_spec(child.label, Provision(jwts=jwts, code=self._code))
        if await self._ask(child, "ensure", spec, within_s=children.START_S) is None:
            self._roster.forget(*jwts)
            return {}
        return {role: agent for role, (agent, _) in made.items()}

    def _start(self, kind: children.Kind, label: str, resources: Mapping[str, float]) -> Child:
        cls = self._spec.host_actor if kind == "host" else self._spec.gateway_actor
        generation = self._spec.generation
        return children.start(self._spec.prefix, kind, label, generation=generation, cls=cls, resources=resources)

    @property
    def _patience_s(self) -> float:
        return NODE_S if self._spec.is_cluster else children.START_S

    async def _ask(self, child: Child, method: str, argument: object, *, within_s: float) -> object | None:
        """Give the answer, True for none; None if there was none, and the child is gone."""
        try:
            answer = await child.ask(method, argument, within_s=within_s)
        except (RayError, TimeoutError) as error:
            log.error("child.failed", child=child.name, error=str(error)[-600:])  # noqa: TRY400  # the stack is Ray's
            self._on_failed(child, _told(error))
            child.kill()
            return None
        return True if answer is None else answer

    def _jwt(self, pool: str, agent: str, public: str) -> str:
        charter = self._team_of(pool).charter.roles[role_of(agent)]
        return self._sign(
            public, agent, permission.agent_permissions(pool, agent, tools=charter.tools, asks=charter.asks)
        )

    def _team_of(self, pool: str) -> TeamSpec:
        """Give the build whose pool this is."""
        role = role_in(pool)
        return next((team for team in self._team.older.values() if team.pool(role) == pool), self._team)

    def _sign(self, public: str, name: str, permissions: Permissions) -> str:
        return self._issuer.user_jwt(public, name=name, permissions=permissions) if self._issuer is not None else ""


def _told(error: Exception) -> str:
    """Give the last line of what Ray says of an actor: the rest is its stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it did not answer"


def role_resource(role: str) -> str:
    """Name what a node offers for hosts of a role."""
    return f"role_{role}"
