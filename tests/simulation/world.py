"""One seed: a server, a supervisor, hosts, gateways, clients and a person, from the first task until all is quiet."""

from __future__ import annotations

import asyncio
import random
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from remit.bus import topology
from remit.bus.connection import Bus
from remit.bus.submit import TaskClient
from remit.contracts.errors import RemitError
from remit.contracts.message import encode
from remit.supervisor.service import Supervisor
from remit.supervisor.snapshot_writer import Pace
from tests.simulation.faults import Chaos
from tests.simulation.network import Network
from tests.simulation.operator import Operator
from tests.simulation.outside import Outside
from tests.simulation.person import Person
from tests.simulation.pools import Cluster, SimPools
from tests.simulation.process import Process, on_bug_of
from tests.simulation.recovered import recovery_differences, stands_before
from tests.simulation.replay import differences
from tests.simulation.server import SimServer
from tests.simulation.teams import RUN_S, WORKLOADS, Job, Part, roles_of, spec

if TYPE_CHECKING:
    from tests.simulation.stream import SimStream
    from tests.simulation.trace import Trace

LOOK_S: Final = 0.7
"""How often, on average, what is believed is held against what is stored."""
PACE: Final = Pace(look_s=0.4, entries=1, quiet_s=0.4)
"""A snapshot is written all the time, so that a supervisor may begin on one of any moment."""
READ_S: Final = 31.0
"""How long a supervisor may wait for the end of an answer that was lost."""
QUIET_S: Final = 11.0
"""Longer than the server waits for an ack: what was left unsettled would come again."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a seed does. `faults` names what may go wrong; empty: nothing does."""

    tasks: int = 3
    workloads: tuple[str, ...] = WORKLOADS
    faults: tuple[str, ...] = ()
    trouble_s: float = 8.0
    """How long things go wrong; then everything is given the time to recover."""
    gathers: bool = False
    """Whether every process gathers its appends, as under the profile `durable`; even two of them."""


class Bug(msgspec.Struct, frozen=True):
    """Our own code was wrong."""

    process: str
    error: BaseException


class World:
    """Everything that a seed decides."""

    def __init__(self, seed: int, plan: Plan, loop: asyncio.AbstractEventLoop, trace: Trace) -> None:
        self.seed = seed
        self.plan = plan
        self.trace = trace
        self.chance = _chance(seed, "world")
        self.server = SimServer(loop, _chance(seed, "server"))
        self.network = Network(self.server, _chance(seed, "network"), trace)
        self.network.nowhere = copy_context()
        self.server.network = self.network
        self.outside = Outside(_chance(seed, "outside"), trace)
        self.cluster = Cluster(self)
        self.chaos = Chaos(self, _chance(seed, "chaos"))
        self.person = Person(self, _chance(seed, "person"))
        self.operator = Operator(self, _chance(seed, "operator"))
        self.bugs: list[Bug] = []
        self.wrong: list[str] = []
        self.accepted: dict[str, bytes] = {}
        """Runs that got a PubAck, with the outcome that their client heard."""
        self.supervisor: Supervisor | None = None
        self.supervising: Process | None = None
        self.workloads = [self.chance.choice(plan.workloads) for _ in range(plan.tasks)]
        self.roles = roles_of(self.workloads)

    @property
    def journal(self) -> SimStream:
        """The record of everything."""
        return self.server.jetstream.streams["JOURNAL"]

    @property
    def has_rivals(self) -> bool:
        """Whether two supervisors were alive at once."""
        return bool(self.chaos.counts.get("rival"))

    def bug(self, process: Process, error: BaseException) -> None:
        """Our own code was wrong: the seed fails when it ends."""
        self.trace.note(process.name, f"bug {error!r}")
        self.bugs.append(Bug(process.name, error))

    # --- the seed --------------------------------------------------------------------------------

    async def run(self) -> None:
        """All tasks were published, all that was to go wrong did, and all is quiet."""
        setting_up = Process("setup", self)
        await setting_up.spawn(self._set_up())
        self.start_supervisor()
        self.chaos.begin()
        clients = [Process(f"client-{number}", self) for number in range(len(self.workloads))]
        submitted = [
            client.spawn(self._submit(number, workload))
            for number, (client, workload) in enumerate(zip(clients, self.workloads, strict=True))
        ]
        self.person.begin()
        self.operator.begin()
        self.chaos.every(LOOK_S, self._look)
        await asyncio.sleep(self.plan.trouble_s if self.plan.faults else 0.1)
        await self.chaos.end()
        await asyncio.wait(submitted, timeout=RUN_S + 60.0)
        await asyncio.sleep(QUIET_S)
        over_at = asyncio.get_running_loop().time() + READ_S
        while (self.supervisor is None or len(self.supervisor.runs)) and asyncio.get_running_loop().time() < over_at:
            await asyncio.sleep(1.0)  # one that starts may wait for the end of a read, and asks again then
        for process in (*clients, setting_up):
            process.kill()

    def _look(self) -> None:
        """Hold what is believed against what is stored; of two supervisors each may be behind the other.

        So may one be behind its dead forerunner, whose last words arrived after it had read the journal.
        """
        if self.has_rivals or any(process.name == "supervisor" for process in self.network.ghosts):
            return
        self.wrong += [f"replay equals live: {text}" for text in differences(self)]

    async def _set_up(self) -> None:
        bus = await Bus.connect("sim", name="setup")
        await topology.ensure(bus, [role.role_name() for role in self.roles])
        await bus.close()

    async def _submit(self, number: int, workload: str) -> None:
        await asyncio.sleep(self.chance.random() * (self.plan.trouble_s / 2 if self.plan.faults else 0.5))
        bus = await Bus.connect("sim", name=f"client-{number}")
        client = TaskClient(bus)
        parts = tuple(Part(number=part) for part in range(self.chance.randrange(7)))
        job = Job(number=number, is_odd=self.chance.random() < 0.5, parts=parts)
        body = encode({"goal": f"job {number}", "input": job})
        run = ""
        while not run:
            try:
                run = await client.submit(workload, body, message_id=str(number))
            except RemitError:
                await asyncio.sleep(0.3)
        self.accepted[run] = b""
        while not self.accepted[run]:
            try:
                self.accepted[run] = await client.outcome(run, RUN_S)
            except RemitError:
                await asyncio.sleep(0.3)

    # --- the supervisor --------------------------------------------------------------------------

    def start_supervisor(self) -> None:
        """A new process supervises, on what the journal says."""
        self.supervising = Process("supervisor", self)
        self.supervising.spawn(self._supervise(self.supervising))

    async def _supervise(self, process: Process) -> None:
        try:
            journal_bus = await Bus.connect("sim", name="supervisor")
            answer_bus = await Bus.connect("sim", name="supervisor-answer")
            supervisor = Supervisor(
                spec(),
                journal_bus=journal_bus,
                answer_bus=answer_bus,
                on_bug=on_bug_of(process),
                group_commit=self.plan.gathers,
                pace=PACE,
            )
            await supervisor.recover()
            self._compare(supervisor)
            pools = SimPools(self, process, supervisor)
            pools.adopt()
            await supervisor.serve(pools)
            pools.settle_dead()
            self.supervisor = supervisor
            await pools.run()
        except RemitError:  # the bus was away for too long: it ends, and Ray starts another
            self.restart_supervisor(process, 0.1)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  # our own code was wrong
            on_bug_of(process)(error)

    def _compare(self, supervisor: Supervisor) -> None:
        """Hold what a supervisor read against the whole journal; from a snapshot it must know the same."""
        assert supervisor.recovered is not None
        if stands_before(self, supervisor.recovered.start_seq):
            self.chaos.note("snapshot read")
        self.wrong += [f"a snapshot tells the same: {text}" for text in recovery_differences(self, supervisor)]

    def restart_supervisor(self, process: Process, delay_s: float) -> None:
        """The supervisor's process ends, and another one begins after a while."""
        if process.is_dead:
            return
        process.kill()
        self.supervisor = None
        asyncio.get_running_loop().call_later(delay_s, self.start_supervisor, context=self.network.nowhere)


def _chance(seed: int, what: str) -> random.Random:
    return random.Random(f"{seed} {what}")  # noqa: S311  # it must be foreseen
