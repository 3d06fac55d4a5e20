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
from remit.supervisor.layout import layout

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
        self._spares: dict[str, Child] = {}
        """By label: processes that serve nothing yet."""

    def keep(self, spare: Child) -> None:
        """A process that was found, and serves nothing, is what starts in its place; a second one is ended."""
        if self._spares.setdefault(spare.label, spare) is not spare:
            spare.kill()

    def end_spares(self, wished: Collection[str]) -> None:
        """No process waits for a place that nobody wishes."""
        for label in set(self._spares) - set(wished):
            self._spares.pop(label).kill()

    async def gateway(self, label: str) -> tuple[str, Child] | None:
        """Give a new gateway that serves, with its name; None if it did not start, which was said."""
        name = new_gateway()
        child = self._spares.pop(label, None) or _gateway(self._spec, label)
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
        return self._spares.pop(label, None) or _host(self._spec, self._team, label, roles)

    def needs(self, roles: Collection[str]) -> dict[str, float]:
        """Give what a host of these roles asks Ray for."""
        return _needs(self._spec, self._team, roles)

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
        charter = team_of(self._team, pool).charter.roles[role_of(agent)]
        return self._sign(
            public, agent, permission.agent_permissions(pool, agent, tools=charter.tools, asks=charter.asks)
        )

    def _sign(self, public: str, name: str, permissions: Permissions) -> str:
        return self._issuer.user_jwt(public, name=name, permissions=permissions) if self._issuer is not None else ""


def start_early(spec: PoolSpec, team: TeamSpec) -> None:
    """The processes of a new deployment start beside its supervisor, which finds them and gives them their places."""
    for label in gateway_labels(spec):
        _gateway(spec, label)
    for label, roles in layout(team.roles, {}, is_shared=not spec.is_cluster).items():
        _host(spec, team, label, roles)


def gateway_labels(spec: PoolSpec) -> list[str]:
    """Name the places of a deployment's own gateways."""
    return [f"gateway-{index}" for index in range(spec.gateways)]


def _gateway(spec: PoolSpec, label: str) -> Child:
    resources = {TRUSTED_RESOURCE: SHARE_OF_NODE} if spec.is_cluster else {}
    return _start(spec, "gateway", label, cls=spec.gateway_actor, resources=resources)


def _host(spec: PoolSpec, team: TeamSpec, label: str, roles: Collection[str]) -> Child:  # noqa: PLR0917  # as `children.start`
    return _start(spec, "host", label, cls=spec.host_actor, resources=_needs(spec, team, roles))


def _needs(spec: PoolSpec, team: TeamSpec, roles: Collection[str]) -> dict[str, float]:
    """Give what a host of these roles asks Ray for: on one machine nothing, it is there already."""
    if not spec.is_cluster:
        return {}
    asked = {role_resource(role_in(role)): 1.0 for role in roles}
    for role in roles:
        sizing = team_of(team, role).roles[role_in(role)].sizing
        own = {children.CPU: sizing.num_cpus, children.MEMORY: sizing.memory_mb * _MEBIBYTE, **sizing.resources}
        for name, amount in own.items():
            if amount:
                asked[name] = asked.get(name, 0.0) + amount
    return asked


def team_of(team: TeamSpec, pool: str) -> TeamSpec:
    """Give the build whose pool this is."""
    role = role_in(pool)
    return next((older for older in team.older.values() if older.pool(role) == pool), team)


def _start(spec: PoolSpec, kind: children.Kind, label: str, *, cls: object, resources: Mapping[str, float]) -> Child:
    return children.start(spec.prefix, kind, label, generation=spec.generation, cls=cls, resources=resources)


def _told(error: Exception) -> str:
    """Give the last line of what Ray says of an actor: the rest is its stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it did not answer"


def role_resource(role: str) -> str:
    """Name what a node offers for hosts of a role."""
    return f"role_{role}"
