"""Pools of hosts and gateways: what is wished is compared with what is there, again and again.

Hosts and gateways are named, detached actors: a supervisor that was restarted finds them again. Ray never restarts
them: a new process is a new agent, and only the supervisor may give it an identity.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import structlog
from ray.exceptions import RayError

from remit.bus import permission
from remit.contracts.ids import new_gateway, pool_name, role_in, role_of
from remit.supervisor import children
from remit.supervisor.control import POOL_KEY, PoolReport
from remit.supervisor.layout import layout
from remit.supervisor.roster import Roster
from remit.supervisor.tree import Intensity, Restarts

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path

    from remit.bus.identity import Authority
    from remit.contracts.control import Heartbeat
    from remit.contracts.team import TeamSpec
    from remit.supervisor.children import Child
    from remit.supervisor.service import Supervisor

log = structlog.get_logger(__name__)

RECONCILE_S: Final = 0.5
SILENCE_S: Final = 5.0
"""A host whose agents are silent for so long is frozen: it is ended, and its work goes to others."""
DRAIN_S: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class PoolSpec:
    """How children are started; the start functions come from `remit/`, which alone knows all planes."""

    prefix: str
    gateways: int
    host_actor: object
    gateway_actor: object
    host_spec: Callable[[str, Mapping[str, str]], object]
    """Gives what a host is told: from its name and the JWT of each of its agents."""
    gateway_spec: Callable[[str, str], object]
    """Gives what a gateway is told, from its name and its label; its credentials are in files, never in messages of
    Ray. The label of a host or a gateway names its build, if that is an older one."""
    credentials: Path
    """Directory in which the credentials of gateways are written."""
    role_resources: bool = False
    """Ask Ray for the resource `role_<role>`, as the nodes of a cluster offer it."""

    def start_gateway(self, label: str) -> Child:
        """Start the process of a gateway, which serves nothing yet."""
        return children.start(self.prefix, "gateway", label, cls=self.gateway_actor, resources={})

    def start_host(self, label: str, roles: frozenset[str]) -> Child:
        """Start the process of a host, which serves nothing yet."""
        resources = {f"role_{role}": 1.0 for role in roles} if self.role_resources else {}
        return children.start(self.prefix, "host", label, cls=self.host_actor, resources=resources)

    def start_early(self, team: TeamSpec) -> None:
        """The processes of a new deployment start beside its supervisor, which finds them by their names.

        Those of which the supervisor has no need it ends.
        """
        for label in gateway_labels(self.gateways):
            self.start_gateway(label)
        for label, roles in layout(team.roles, {}).items():
            self.start_host(label, roles)


@dataclass(slots=True)
class Host:
    """A host and the agents in it."""

    child: Child
    agents: dict[str, str] = field(default_factory=dict)
    """Role to agent."""
    draining: set[str] = field(default_factory=set)


class Pools:
    """Keeps as many hosts and gateways alive as are wished."""

    def __init__(self, spec: PoolSpec, team: TeamSpec, *, supervisor: Supervisor, authority: Authority) -> None:
        self._spec = spec
        self._team = team
        self._supervisor = supervisor
        self._authority = authority
        self._desired = {name: role.pool for name, role in team.roles.items()}
        self._hosts: dict[str, Host] = {}
        self._gateways: dict[str, Child] = {}
        self._spares: dict[str, Child] = {}
        """By label: processes that were found and serve nothing yet."""
        self._restarts: dict[str, Restarts] = {}
        self._roster = Roster()
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._bug: BaseException | None = None

    # --- what the supervisor and operators ask ---------------------------------------------------

    def gateways(self, build: str = "") -> tuple[str, ...]:
        """Names of the gateways that serve calls now: the deployment's own, or those of an older build."""
        wanted = pool_name("gateway", build) if build else ""
        found = self._gateways.items()
        return tuple(
            sorted(name for name, child in found if wanted in {"", child.label} and (wanted or _is_own(child)))
        )

    def scale(self, role: str, hosts: int) -> None:
        """Wish for a number of hosts of a role; the next reconciliation makes it so."""
        self._desired[role] = hosts
        self._changed.set()

    def heard(self, beat: Heartbeat) -> None:
        """Note that an agent lives."""
        self._roster.heard(beat, time.monotonic())

    def knows(self, agent: str) -> bool:
        """Say whether an agent lives, as far as is known; what comes late from a dead one does not count."""
        return self._roster.knows(agent)

    def forgive_silence(self) -> None:
        """Count silence anew: the bus was away, and nobody could be heard."""
        self._roster.forgive(time.monotonic())

    def report(self, role: str) -> PoolReport:
        """Say what is there of a role."""
        agents = [host.agents[role] for host in self._hosts.values() if role in host.agents]
        desired = self._desired[role]
        beats = self._roster.beats(agents)
        ready = sum(beat.state == "ready" for beat in beats)
        return PoolReport(
            desired=desired,
            ready=ready,
            busy=sum(beat.busy for beat in beats),
            slots=sum(beat.slots for beat in beats),
            pending_reason=self._why_pending(role) if ready < desired else "",
        )

    def _why_pending(self, role: str) -> str:
        now = time.monotonic()
        for host, roles in layout(self._team.roles, self._desired).items():
            restarts = self._restarts.get(host)
            if role in roles and restarts is not None and restarts.wait_s(now) > 0:
                state = "quarantined" if restarts.is_quarantined else "restarting"
                return f"{host} is {state} for {restarts.wait_s(now):.0f} s"
        if self._spec.role_resources and not children.offered(f"role_{role}"):
            return f"no node offers the resource role_{role}"
        return "starting"

    # --- an earlier supervisor's children --------------------------------------------------------

    async def adopt(self, wishes: Mapping[str, int]) -> None:
        """Take the wishes of the journal, and the children that live; the silent ones are ended."""
        self._desired |= {role: hosts for role, hosts in wishes.items() if role in self._desired}
        await asyncio.gather(*(self._adopt(child) for child in children.find(self._spec.prefix)))
        log.info("pools.adopted", hosts=len(self._hosts), gateways=len(self._gateways))

    async def _adopt(self, child: Child) -> None:
        try:
            agents = cast("dict[str, str]", await child.ask("names"))
        except (RayError, TimeoutError) as error:
            log.warning("child.lost", child=child.name, error=str(error)[:200])
            child.kill()
            return
        if not agents and child.label not in self._spares:
            self._spares[child.label] = child
            return
        if not agents or child.label in self._hosts:
            child.kill()
            return
        if child.kind == "gateway":
            self._gateways |= dict.fromkeys(agents.values(), child)
        else:
            self._hosts[child.label] = Host(child, agents)
            self._roster.expect(agents.values(), time.monotonic())
        self._keep(self._bury(child), f"watch {child.name}")

    def settle_dead(self) -> None:
        """Dispatch again what is held by agents or served by gateways that are not there any more."""
        live = {agent for host in self._hosts.values() for agent in host.agents.values()} | set(self._gateways)
        for name in self._supervisor.holders() - live:
            self._gone(name)

    def _gone(self, name: str) -> None:
        if name.startswith("gw-"):
            self._supervisor.gateway_gone(name)
        else:
            self._supervisor.agent_gone(name)

    # --- reconciliation --------------------------------------------------------------------------

    async def run(self) -> None:
        """Reconcile until cancelled.

        Raises whatever one of the tasks here raised: the process is to end and be replaced.
        """
        looked_at = time.monotonic()
        while True:
            if self._bug is not None:
                raise self._bug
            if time.monotonic() - looked_at > SILENCE_S / 2:
                self.forgive_silence()  # we were frozen ourselves, and what was said meanwhile is not read yet
            looked_at = time.monotonic()
            self._end_silent()
            self._reconcile()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), RECONCILE_S)
            self._changed.clear()

    def _reconcile(self) -> None:
        for label in self._wished_gateways():
            if all(child.label != label for child in self._gateways.values()):
                self._start(label, partial(self._start_gateway, label))
        wished = layout(self._team.roles, self._desired) | self._wished_older()
        for label, roles in wished.items():
            host = self._hosts.get(label)
            if host is None:
                self._start(label, partial(self._start_host, label, roles))
            elif missing := roles - set(host.agents):
                self._once(f"add {label}", partial(self._add, host, missing))
        for label in set(self._spares) - set(wished) - set(self._wished_gateways()):
            self._spares.pop(label).kill()
        for label, host in self._hosts.items():
            extra = set(host.agents) - wished.get(label, frozenset())
            if extra:
                self._once(f"drain {label}", partial(self._drain, host, extra))

    def _wished_gateways(self) -> list[str]:
        return gateway_labels(self._spec.gateways) + [pool_name("gateway", team.build) for team in self._older()]

    def _wished_older(self) -> dict[str, frozenset[str]]:
        """One host for each older build that runs are pinned to; it is drained when the last of them is over."""
        return {
            pool_name("host", team.build): frozenset(team.pool(role) for role in team.roles) for team in self._older()
        }

    def _older(self) -> list[TeamSpec]:
        return [self._team.older[build] for build in sorted(self._supervisor.older_builds())]

    def _start(self, label: str, start: Callable[[], Coroutine[object, object, None]]) -> None:
        restarts = self._restarts.setdefault(label, Restarts(Intensity()))
        if restarts.may_start(time.monotonic()):
            self._once(f"start {label}", start)

    async def _start_gateway(self, label: str) -> None:
        name = new_gateway()
        for suffix, permissions in (
            ("journal", permission.gateway_permissions(name)),
            ("answer", permission.gateway_answer_permissions(name)),
        ):
            identity = f"{name}-{suffix}"
            self._authority.issue(identity, permissions=permissions).write(self._spec.credentials / f"{identity}.creds")
        child = self._spares.pop(label, None) or self._spec.start_gateway(label)
        if await self._tell(child, "ensure", self._spec.gateway_spec(name, label)):
            self._gateways[name] = child
            self._keep(self._bury(child), f"watch {child.name}")
            log.info("gateway.started", gateway=name)

    async def _start_host(self, label: str, roles: frozenset[str]) -> None:
        child = self._spares.pop(label, None) or self._spec.start_host(label, roles)
        host = Host(child)
        await self._add(host, roles)
        if host.agents:
            self._hosts[label] = host
            self._keep(self._bury(child), f"watch {child.name}")
            log.info("host.started", host=label, agents=sorted(host.agents.values()))

    async def _add(self, host: Host, roles: frozenset[str] | set[str]) -> None:
        child = host.child
        try:
            keys = await child.ask("keys", sorted(roles), within_s=children.START_S)
        except (RayError, TimeoutError) as error:
            self._failed(child, error)
            return
        made = cast("dict[str, tuple[str, str]]", keys)
        jwts = {agent: self._jwt(role, agent, public) for role, (agent, public) in made.items()}
        self._roster.expect(jwts, time.monotonic())  # it may claim before `ensure` is answered
        if await self._tell(child, "ensure", self._spec.host_spec(child.label, jwts)):
            host.agents |= {role: agent for role, (agent, _) in made.items()}
        else:
            self._roster.forget(*jwts)

    def _jwt(self, role: str, agent: str, public: str) -> str:
        charter = self._team_of(role).charter.roles[role_of(agent)]
        permissions = permission.agent_permissions(role, agent, tools=charter.tools, asks=charter.asks)
        return self._authority.user_jwt(public, name=agent, permissions=permissions)

    def _team_of(self, pool: str) -> TeamSpec:
        """Give the build whose pool this is."""
        role = role_in(pool)
        return next((team for team in self._team.older.values() if team.pool(role) == pool), self._team)

    async def _tell(self, child: Child, method: str, spec: object) -> bool:
        try:
            await child.ask(method, spec, within_s=children.START_S)
        except (RayError, TimeoutError) as error:
            self._failed(child, error)
            return False
        return True

    def _failed(self, child: Child, error: Exception) -> None:
        log.error("child.failed", child=child.name, error=str(error)[-600:])
        self._restarts[child.label].died(time.monotonic())
        child.kill()

    async def _drain(self, host: Host, roles: set[str]) -> None:
        gone = {role: host.agents[role] for role in roles}
        with suppress(RayError, TimeoutError):  # dead or frozen: what it held is dispatched again below
            await host.child.ask("drain", sorted(roles), DRAIN_S, within_s=DRAIN_S + children.ANSWER_S)
        for role, agent in gone.items():
            if host.agents.get(role) == agent:
                del host.agents[role]
            self._roster.forget(agent)
            self._supervisor.agent_gone(agent)
        if not host.agents:
            self._hosts.pop(host.child.label, None)
            host.child.kill()
        log.info("host.drained", host=host.child.label, roles=sorted(roles))

    # --- death -----------------------------------------------------------------------------------

    async def _bury(self, child: Child) -> None:
        reason = await child.outlive()
        host = self._hosts.get(child.label)
        names = [name for name, item in self._gateways.items() if item is child]
        if host is not None and host.child is child:
            del self._hosts[child.label]
            names += host.agents.values()
        if not names:
            return  # it was drained
        log.warning("child.died", child=child.name, reason=reason)
        self._restarts.setdefault(child.label, Restarts(Intensity())).died(time.monotonic())
        for name in names:
            self._gateways.pop(name, None)
            self._roster.forget(name)
            self._gone(name)
        self._changed.set()

    def _end_silent(self) -> None:
        if not self._supervisor.is_connected:
            self._roster.forgive(time.monotonic())
        silent = set(self._roster.silent(time.monotonic(), SILENCE_S))
        for host in self._hosts.values():
            frozen = silent & set(host.agents.values())
            if frozen:
                log.warning("host.silent", host=host.child.label, agents=sorted(frozen))
                self._roster.forget(*frozen)
                host.child.kill()

    def _once(self, name: str, work: Callable[[], Coroutine[object, object, None]]) -> None:
        if all(task.get_name() != name for task in self._tasks):
            self._keep(work(), name)

    def _keep(self, work: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._bug = error
        self._changed.set()


def gateway_labels(count: int) -> list[str]:
    """Name the places of a deployment's own gateways."""
    return [f"gateway-{index}" for index in range(count)]


def _is_own(gateway: Child) -> bool:
    """Say whether a gateway serves the deployment's own build."""
    return role_in(gateway.label) == gateway.label


def wishes(values: Mapping[str, object]) -> dict[str, int]:
    """Give the wished number of hosts by role from the team's state."""
    return {
        key.removeprefix(POOL_KEY): value
        for key, value in values.items()
        if key.startswith(POOL_KEY) and isinstance(value, int)
    }
