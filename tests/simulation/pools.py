"""The pools of one supervisor, and the cluster that holds their processes: what Ray is, without Ray."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remit.agents.host import AgentSpec, Host
from remit.bus.connection import Bus
from remit.contracts.errors import RemitError
from remit.contracts.ids import new_agent, new_gateway
from remit.supervisor.control import PoolReport
from remit.supervisor.roster import Roster
from remit.tools.gateway import Gateway
from tests.simulation.process import Process, on_bug_of
from tests.simulation.teams import TOOLS, spec

if TYPE_CHECKING:
    from remit.contracts.control import Heartbeat
    from remit.contracts.ids import GatewayId
    from remit.supervisor.service import Supervisor
    from tests.simulation.world import World

RECONCILE_S: Final = 0.5
SILENCE_S: Final = 5.0
HOSTS, GATEWAYS = ("host-0", "host-1"), ("gateway-0", "gateway-1")


@dataclass(slots=True, eq=False)
class Child:
    """A process that the pools keep alive; its names are those of its agents, or its own."""

    label: str
    process: Process
    names: list[str] = field(default_factory=list)
    host: Host | None = None


class Cluster:
    """Which processes there are; it outlives every supervisor, and tells each that knows of them who died."""

    def __init__(self, world: World) -> None:
        self.children: dict[str, Child] = {}
        self.pools: SimPools | None = None
        """Those of the present supervisor, which keeps the processes alive."""
        self.watching: list[SimPools] = []
        """Those of every supervisor there was: one that was cut off and came back watches what it began."""
        self._world = world

    def kill(self, child: Child) -> None:
        """The process ends now; the supervisor hears of it a little later."""
        if child.process.is_dead:
            return
        child.process.kill()
        if self.children.get(child.label) is child:
            del self.children[child.label]
        delay_s = 0.001 + self._world.chance.random() * 0.05
        asyncio.get_running_loop().call_later(delay_s, self._tell, child, context=self._world.network.nowhere)

    def _tell(self, child: Child) -> None:
        loop = asyncio.get_running_loop()
        for pools in self.watching:
            loop.call_soon(pools.bury, child, context=pools.process.context)


class SimPools:
    """Keeps two hosts and two gateways alive, and ends what is silent."""

    def __init__(self, world: World, process: Process, supervisor: Supervisor) -> None:
        self.process = process
        self._world = world
        self._cluster = world.cluster
        self._supervisor = supervisor
        self._roster = Roster()
        self._known: dict[str, Child] = {}
        self._starting: set[str] = set()
        self._looked_at = 0.0

    # --- what the supervisor asks ----------------------------------------------------------------

    def gateways(self, build: str = "") -> tuple[str, ...]:
        return tuple(sorted(name for label in GATEWAYS if label in self._known for name in self._known[label].names))

    def knows(self, agent: str) -> bool:
        return self._roster.knows(agent)

    def heard(self, beat: Heartbeat) -> None:
        self._roster.heard(beat, _now())

    def scale(self, role: str, hosts: int) -> None:
        """The simulation does not scale."""

    def release(self, role: str) -> int:
        return 0

    def end(self, drain_s: float) -> None:
        raise NotImplementedError

    def report(self, role: str) -> PoolReport:
        return PoolReport(desired=2, ready=2, busy=0, slots=64)

    # --- reconciliation --------------------------------------------------------------------------

    def adopt(self) -> None:
        """Take the children that live."""
        for child in self._cluster.children.values():
            if child.names:
                self._known[child.label] = child
                if child.host is not None:
                    self._roster.expect(child.names, _now())
        self._cluster.pools = self
        self._cluster.watching.append(self)

    def settle_dead(self) -> None:
        """Dispatch again what is held by agents or served by gateways that are not there any more."""
        live = {name for child in self._known.values() for name in child.names}
        for name in sorted(self._supervisor.holders() - live):
            self._gone(name)

    async def run(self) -> None:
        """Reconcile until the process ends."""
        self._looked_at = _now()
        while self._cluster.pools is self:
            if not self._supervisor.is_connected or _now() - self._looked_at > SILENCE_S / 2:
                self._roster.forgive(_now())
            self._looked_at = _now()
            self._end_silent()
            for label in (*GATEWAYS, *HOSTS):
                if label not in self._known and label not in self._starting:
                    self._starting.add(label)
                    self.process.spawn(self._start(label))
            await asyncio.sleep(RECONCILE_S)
        await asyncio.Event().wait()  # another supervisor keeps the children alive by now

    def _end_silent(self) -> None:
        silent = set(self._roster.silent(_now(), SILENCE_S))
        for child in tuple(self._known.values()):
            if child.host is not None and silent & set(child.names):
                self._roster.forget(*child.names)
                self._cluster.kill(child)

    async def _start(self, label: str) -> None:
        await asyncio.sleep(0.05 + 0.3 * self._world.chance.random())
        old = self._cluster.children.get(label)
        if old is not None:  # begun by an earlier supervisor, and never taken over
            self._cluster.kill(old)
        child = Child(label, Process(label, self._world))
        self._cluster.children[label] = child
        names = [str(new_gateway())]
        if label in HOSTS:
            names = [str(new_agent(role.role_name())) for role in self._world.roles]
            self._roster.expect(names, _now())
        try:
            begin = start_gateway(child, names[0]) if label in GATEWAYS else start_host(child, names)
            await child.process.spawn(begin)
        except (RemitError, asyncio.CancelledError):
            self._roster.forget(*names)
            if self.process.is_dead:
                raise
        else:
            if not child.process.is_dead:
                child.names = names
                self._known[label] = child
        finally:
            self._starting.discard(label)

    def bury(self, child: Child) -> None:
        """A process is gone: what it held goes to others."""
        if self.process.is_dead or self._known.get(child.label) is not child:
            return
        del self._known[child.label]
        for name in child.names:
            self._roster.forget(name)
            self._gone(name)

    def _gone(self, name: str) -> None:
        if name.startswith("gw-"):
            self._supervisor.gateway_gone(name)
        else:
            self._supervisor.agent_gone(name)


async def start_host(child: Child, names: list[str]) -> None:
    """One agent of each role pulls work."""
    child.host = Host(child.label, "sim", on_bug=on_bug_of(child.process))
    specs = [
        AgentSpec(agent=name, kind=role, credentials=None, slots=4, group_commit=child.process.world.plan.gathers)
        for role, name in zip(child.process.world.roles, names, strict=True)
    ]
    await child.host.ensure(specs)


async def start_gateway(child: Child, name: str) -> None:
    """The gateway serves calls."""
    journal_bus = await Bus.connect("sim", name=name)
    answer_bus = await Bus.connect("sim", name=f"{name}-answer")
    gateway: GatewayId = name  # type: ignore[assignment]  # as it was made
    await Gateway.start(
        journal_bus,
        answer_bus,
        team=spec(),
        tools={item.name: item for item in TOOLS},
        name=gateway,
        data_dir=Path("/nowhere"),
        on_bug=on_bug_of(child.process),
        group_commit=child.process.world.plan.gathers,
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
