"""Pools of hosts and gateways: what is wished is compared with what is there, again and again.

Hosts and gateways are named, detached actors: a supervisor that was restarted finds them again. Ray never restarts
them: a new process is a new agent, and only the supervisor may give it an identity.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import structlog
from ray.exceptions import RayError

from remit.contracts.ids import pool_name, role_in
from remit.supervisor import children
from remit.supervisor.births import NO_CODE, Births, Host, gateway_labels, role_resource
from remit.supervisor.control import PoolReport
from remit.supervisor.layout import layout
from remit.supervisor.renewal import Renewals
from remit.supervisor.retirement import DRAIN_S, Retirement
from remit.supervisor.roster import Roster
from remit.supervisor.tree import Intensity, Restarts, alarm

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from remit.bus.identity import Issuer
    from remit.contracts.control import Heartbeat
    from remit.contracts.team import TeamSpec
    from remit.supervisor.births import PoolSpec
    from remit.supervisor.children import Child
    from remit.supervisor.service import Supervisor

log = structlog.get_logger(__name__)

RECONCILE_S: Final = 0.5
RENEW: Final = "renew "
SILENCE_S: Final = 5.0
"""A host whose agents are silent for so long is frozen: it is ended, and its work goes to others."""


class Pools:
    """Keeps as many hosts and gateways alive as are wished."""

    def __init__(
        self,
        spec: PoolSpec,
        team: TeamSpec,
        *,
        supervisor: Supervisor,
        issuer: Issuer | None,
        code: Mapping[str, bytes] = NO_CODE,
    ) -> None:
        self._spec = spec
        self._team = team
        self._supervisor = supervisor
        self._desired = {name: role.pool for name, role in team.roles.items()}
        self._hosts: dict[str, Host] = {}
        self._gateways: dict[str, Child] = {}
        self._restarts: dict[str, Restarts] = {}
        self._roster = Roster()
        self._retirement = Retirement(gone=self._gone)
        self._births = Births(spec, team, issuer=issuer, code=code, roster=self._roster, failed=self._failed)
        self._renewals = Renewals(
            team,
            births=self._births,
            retirement=self._retirement,
            roster=self._roster,
            hosts=self._hosts,
            gateways=self._gateways,
            watch=self._watch,
        )
        self._warm: list[dict[str, float]] = []
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._bug: BaseException | None = None
        self._ends_within_s: float | None = None

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
            quarantined=len(quarantined := self._quarantined(role)),
            alarm=alarm(role, quarantined, desired),
        )

    def release(self, role: str) -> int:
        """Let the quarantined hosts of a role start now; give how many there were."""
        found = [self._restarts[host] for host in self._quarantined(role)]
        for restarts in found:
            restarts.release()
        self._changed.set()
        return len(found)

    def _quarantined(self, role: str) -> dict[str, str]:
        """Give the hosts of a role that are not started again for now, and what each died of."""
        now, hosts = time.monotonic(), [host for host, roles in self._layout().items() if role in roles]
        known = [(host, self._restarts[host]) for host in hosts if host in self._restarts]
        return {host: item.reason for host, item in known if item.is_quarantined and item.wait_s(now) > 0}

    def _why_pending(self, role: str) -> str:
        now = time.monotonic()
        for host, roles in self._layout().items():
            restarts = self._restarts.get(host)
            if role in roles and restarts is not None and (why := restarts.why(now)):
                return f"{host} is {why}"
        if self._spec.is_cluster and not children.offered(role_resource(role)):
            return f"no node offers the resource {role_resource(role)}"
        return "starting"

    # --- an earlier supervisor's children --------------------------------------------------------

    async def adopt(self, wishes: Mapping[str, int]) -> None:
        """Take the wishes of the journal, and the children that live; the silent ones are ended."""
        self._desired |= {role: hosts for role, hosts in wishes.items() if role in self._desired}
        await asyncio.gather(*(self._adopt(child) for child in children.find(self._spec.prefix)))
        log.info("pools.adopted", hosts=len(self._hosts), gateways=len(self._gateways))

    async def _adopt(self, child: Child) -> None:
        """One of this deployment stays in its place; one of another build or other settings is replaced."""
        try:
            agents = cast("dict[str, str]", await child.ask("names"))
        except (RayError, TimeoutError) as error:
            log.warning("child.lost", child=child.name, error=str(error)[:200])
            child.kill()
            return
        if child.generation != self._spec.generation:
            self._roster.expect(agents.values() if child.kind == "host" else (), time.monotonic())
            await self._retirement.rest(child, tuple(agents.values()))
            return
        if not agents:
            self._births.keep(child)
            return
        if child.kind == "gateway":
            self._gateways |= dict.fromkeys(agents.values(), child)
        elif child.label in self._hosts:
            child.kill()
            return
        else:
            self._hosts[child.label] = Host(child, agents)
            self._roster.expect(agents.values(), time.monotonic())
        self._watch(child)

    def settle_dead(self) -> None:
        """Dispatch again what is held by agents or served by gateways that are not there any more."""
        live = {agent for host in self._hosts.values() for agent in host.agents.values()} | set(self._gateways)
        for name in self._supervisor.holders() - live - self._retirement.names:
            self._gone(name)
        self._keep(self._retirement.run(), "retire")

    def _gone(self, name: str) -> None:
        self._roster.forget(name)
        if name.startswith("gw-"):
            self._supervisor.gateway_gone(name)
        else:
            self._supervisor.agent_gone(name)

    # --- reconciliation --------------------------------------------------------------------------

    def end(self, drain_s: float) -> None:
        """Wish for the end of the deployment: `run` returns when no child is left."""
        self._ends_within_s = drain_s
        self._changed.set()

    async def _end(self, drain_s: float) -> None:
        for task in self._tasks:
            task.cancel()
        leaving = [(host.child, tuple(host.agents.values())) for host in self._hosts.values()]
        leaving += [(child, (name,)) for name, child in self._gateways.items()]
        await asyncio.gather(*(self._retirement.rest(child, names) for child, names in leaving))
        await self._retirement.run(drain_s)
        for child in children.find(self._spec.prefix):  # one that was just starting
            child.kill()
        if self._warm:  # Ray remembers the wish, whoever ended
            await asyncio.to_thread(children.keep_warm, [])
        log.info("pools.ended", children=len(leaving))

    async def run(self) -> None:
        """Reconcile until cancelled, or until the end that was wished for.

        Raises whatever one of the tasks here raised: the process is to end and be replaced.
        """
        if self._spec.is_cluster:
            self._keep(self._renewals.look_at_nodes(), "look at nodes")
        looked_at = time.monotonic()
        while self._ends_within_s is None:
            if self._bug is not None:
                raise self._bug
            if time.monotonic() - looked_at > SILENCE_S / 2:
                self.forgive_silence()  # we were frozen ourselves, and what was said meanwhile is not read yet
            looked_at = time.monotonic()
            self._end_silent()
            self._reconcile()
            self._renew()
            self._keep_warm()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), RECONCILE_S)
            self._changed.clear()
        await self._end(self._ends_within_s)

    def _reconcile(self) -> None:
        for label in self._wished_gateways():
            if all(child.label != label for child in self._gateways.values()):
                self._start(label, partial(self._start_gateway, label))
        wished = self._layout() | self._wished_older()
        for label, roles in wished.items():
            host = self._hosts.get(label)
            if host is None:
                self._start(label, partial(self._start_host, label, roles))
            elif missing := roles - set(host.agents):
                self._once(f"add {label}", partial(self._add, host, missing))
        self._births.end_spares({*wished, *self._wished_gateways()})
        if outlived := self._renewals.outlived(self._wished_gateways()):
            self._once("let go", partial(self._renewals.let_go, outlived))
        for label, host in self._hosts.items():
            extra = set(host.agents) - wished.get(label, frozenset())
            if extra:
                self._once(f"drain {label}", partial(self._drain, host, extra))

    def _renew(self) -> None:
        renewing = {task.get_name().removeprefix(RENEW) for task in self._tasks if task.get_name().startswith(RENEW)}
        for label, work in tuple(self._renewals.due(is_renewing=bool(renewing))):
            if label in renewing or not self._may_start(label):
                work.close()
            else:
                self._keep(work, RENEW + label)

    def _may_start(self, label: str) -> bool:
        return self._restarts.setdefault(label, Restarts(Intensity())).may_start(time.monotonic())

    def _keep_warm(self) -> None:
        roles = [(name, role.sizing.warm) for name, role in self._team.roles.items() if role.sizing.warm]
        warm = [self._births.needs({name}) for name, more in roles for _ in range(self._desired[name] + more)]
        if self._spec.is_cluster and warm != self._warm:
            self._warm = warm
            self._once("keep warm", partial(asyncio.to_thread, children.keep_warm, warm))

    def _wished_gateways(self) -> list[str]:
        return gateway_labels(self._spec) + [pool_name("gateway", team.build) for team in self._older()]

    def _layout(self) -> dict[str, frozenset[str]]:
        return layout(self._team.roles, self._desired, is_shared=not self._spec.is_cluster)

    def _wished_older(self) -> dict[str, frozenset[str]]:
        """Hosts for each older build that runs are pinned to: one, or on a cluster one for each of its roles.

        They are drained when the last of these runs is over.
        """
        found: dict[str, frozenset[str]] = {}
        for team in self._older():
            pools = [team.pool(role) for role in team.roles]
            if self._spec.is_cluster:
                found |= {pool: frozenset({pool}) for pool in pools}
            else:
                found[pool_name("host", team.build)] = frozenset(pools)
        return found

    def _older(self) -> list[TeamSpec]:
        return [self._team.older[build] for build in sorted(self._supervisor.older_builds())]

    def _start(self, label: str, start: Callable[[], Coroutine[object, object, None]]) -> None:
        if self._may_start(label) and all(task.get_name() != RENEW + label for task in self._tasks):
            self._once(f"start {label}", start)

    async def _start_gateway(self, label: str) -> None:
        started = await self._births.gateway(label)
        if started is not None:
            name, child = started
            self._gateways[name] = child
            self._watch(child)
            log.info("gateway.started", gateway=name)

    async def _start_host(self, label: str, roles: frozenset[str]) -> None:
        host = Host(self._births.host(label, roles))
        await self._add(host, roles)
        if host.agents:
            self._hosts[label] = host
            self._watch(host.child)
            log.info("host.started", host=label, agents=sorted(host.agents.values()))

    async def _add(self, host: Host, roles: frozenset[str] | set[str]) -> None:
        host.agents |= await self._births.agents(host.child, roles)

    def _failed(self, child: Child, reason: str) -> None:
        restarts = self._restarts.setdefault(child.label, Restarts(Intensity()))
        restarts.died(time.monotonic(), reason)
        if restarts.is_quarantined:
            log.error("child.quarantined", child=child.name, reason=restarts.reason)
            for role in self._layout().get(child.label, frozenset()):
                if said := alarm(role, self._quarantined(role), self._desired[role]):
                    log.error("role.alarmed", role=role, alarm=said)

    async def _drain(self, host: Host, roles: set[str]) -> None:
        gone = {role: host.agents[role] for role in roles}
        with suppress(RayError, TimeoutError):  # dead or frozen: what it held is dispatched again below
            await host.child.ask("drain", sorted(roles), DRAIN_S, within_s=DRAIN_S + children.ANSWER_S)
        for role, agent in gone.items():
            if host.agents.get(role) == agent:
                del host.agents[role]
            self._gone(agent)
        if not host.agents:
            self._hosts.pop(host.child.label, None)
            host.child.kill()
        log.info("host.drained", host=host.child.label, roles=sorted(roles))

    # --- death -----------------------------------------------------------------------------------

    def _watch(self, child: Child) -> None:
        self._keep(self._bury(child), f"watch {child.name}")

    async def _bury(self, child: Child) -> None:
        self._lost(child, await child.outlive())

    def _lost(self, child: Child, reason: str) -> None:
        """What the child held is dispatched again, unless that was done already or it was drained."""
        host = self._hosts.get(child.label)
        names = [name for name, item in self._gateways.items() if item is child]
        if host is not None and host.child is child:
            del self._hosts[child.label]
            names += host.agents.values()
        if not names:
            return
        log.warning("child.died", child=child.name, reason=reason)
        self._failed(child, reason)
        for name in names:
            self._gateways.pop(name, None)
            self._gone(name)
        self._changed.set()

    def _end_silent(self) -> None:
        """A host that is frozen, or whose node is lost, is given up at once: Ray may take half a minute to say so."""
        if not self._supervisor.is_connected:
            self._roster.forgive(time.monotonic())
        silent = set(self._roster.silent(time.monotonic(), SILENCE_S))
        for host in list(self._hosts.values()):
            frozen = silent & set(host.agents.values())
            if frozen:
                log.warning("host.silent", host=host.child.label, agents=sorted(frozen))
                host.child.kill()
                self._lost(host.child, "its agents are silent")

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


def _is_own(gateway: Child) -> bool:
    """Say whether a gateway serves the deployment's own build."""
    return role_in(gateway.label) == gateway.label
