"""A small stand-in for the trusted planes on a real server, and hosts with real identities that work for it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import msgspec

from remit.agents.agent import AgentSpec
from remit.agents.asker import Patience
from remit.agents.host import Host
from remit.agents.role import Role
from remit.bus import permission, stream, subject
from remit.bus.connection import Bus
from remit.bus.consumer import PullLoop
from remit.bus.journal import Journal
from remit.contracts.control import Heartbeat
from remit.contracts.ids import new_agent
from remit.contracts.lease import Grant, Lease
from remit.contracts.message import Message, decode, encode
from remit.contracts.step import ClaimStep, Recorded, RunStep, StepCompleted, StepFailed, StepLeased

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from remit.agents.context import Context
    from remit.agents.role import AnyRole
    from remit.bus.consumer import Delivery
    from remit.bus.embedded import EmbeddedServer
    from remit.bus.permission import Permissions
    from remit.bus.wire import Incoming

T = TypeVar("T")

GATEWAY = "gw-1"
SOON_S = 10.0
QUICK = Patience(first_s=0.3, most_s=0.6, pause_s=0.02, pause_most_s=0.1)

Answer = Callable[[Message, str], Message | None]
"""Takes a decoded request and the asking agent; None lets it wait."""


class Job(Message, tag="probe.job.v1"):
    text: str = ""


class Done(Message, tag="probe.done.v1"):
    text: str = ""


class _ConsumerState(msgspec.Struct, frozen=True):
    num_ack_pending: int
    num_pending: int


class Plane:
    """Answers requests on one connection; nobody listens any more once it is closed."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def on(self, filter_: str, kind: type[Message], answer: Answer) -> None:
        """Every request on the subject is answered."""

        def take(message: Incoming) -> None:
            found = answer(decode(kind, message.data), subject.last_token(message.subject))
            if found is not None:
                self._bus.send(message.reply, encode(found))

        await self._bus.subscribe(filter_, take)
        await self._bus.flush()

    async def close(self) -> None:
        await self._bus.close()


class World:
    """What a test sees: it dispatches steps, answers what agents ask, and watches what they write."""

    def __init__(self, server: EmbeddedServer, journal_bus: Bus, observer: Bus) -> None:
        self.server = server
        self.journal = Journal(journal_bus)
        self.bugs: list[BaseException] = []
        self.claims: asyncio.Queue[tuple[str, ClaimStep]] = asyncio.Queue()
        self.beats: asyncio.Queue[Heartbeat] = asyncio.Queue()
        self.told: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        self.recorded: dict[tuple[str, str], list[Recorded]] = defaultdict(list)
        self._observer = observer
        self._entries: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._closing: list[Callable[[], Awaitable[None]]] = [journal_bus.close, observer.close]

    # --- the trusted planes ----------------------------------------------------------------------

    async def plane(self, name: str, permissions: Permissions) -> Plane:
        """Connect a stand-in."""
        plane = Plane(await connect(self.server, name, permissions))
        self._closing.append(plane.close)
        return plane

    async def supervisor(self, claim: Answer | None = None) -> Plane:
        """Start the stand-in of the supervisor; it grants every claim, unless it is told otherwise."""
        plane = await self.plane("supervisor-answer", permission.supervisor_answer_permissions())
        decide = claim or self.lease

        def answer(message: Message, agent: str) -> Message | None:
            assert isinstance(message, ClaimStep)
            self.claims.put_nowait((agent, message))
            return decide(message, agent)

        def hear(message: Message, _agent: str) -> None:
            assert isinstance(message, Heartbeat)
            self.beats.put_nowait(message)

        await plane.on(subject.CLAIMS, ClaimStep, answer)
        await plane.on(subject.REGISTRY, Heartbeat, hear)
        return plane

    def lease(self, message: Message, agent: str) -> StepLeased:
        """Grant a claim, with what was recorded so far."""
        assert isinstance(message, ClaimStep)
        lease = Lease(
            run_id=message.run_id,
            step=message.step,
            epoch=message.epoch,
            role=agent.rsplit("-", 1)[0],
            agent=agent,
            gateway=GATEWAY,
            until_at=datetime.now(UTC) + timedelta(seconds=60),
            grant=Grant(),
        )
        return StepLeased(lease=lease, lease_seq=1, recorded=tuple(self.recorded[message.run_id, message.step]))

    async def gateway(self, kind: type[Message], answer: Answer) -> Plane:
        """Start the stand-in of the gateway that every lease names."""
        plane = await self.plane(GATEWAY, permission.gateway_answer_permissions(GATEWAY))
        await plane.on(subject.tool_filter(GATEWAY), kind, answer)
        return plane

    async def dispatch(self, run: str = "r1", **changes: object) -> RunStep:
        """A step of the role `probe` is in the journal."""
        work = RunStep(
            run_id=run,
            step="s",
            epoch=1,
            role="probe",
            goal="try it",
            goal_hash="sha256:0",
            contract="probe.job.v1",
            body=msgspec.Raw(b'{"text":"hello"}'),
            deadline_at=datetime.now(UTC) + timedelta(seconds=30),
            rule="plan",
        )
        work = msgspec.structs.replace(work, **changes)
        await self.journal.append(
            subject.work(work.run_id, role=work.role, step=work.step, epoch=work.epoch), encode(work)
        )
        return work

    # --- what agents write -----------------------------------------------------------------------

    async def watch(self) -> None:
        """Entries of agents and their live lines are heard from now on."""
        await self._observer.subscribe("remit.run.*.*.*.*.*", self._take)
        await self._observer.subscribe(
            "remit.live.*.*", lambda message: self.told.put_nowait(msgspec.json.decode(message.data))
        )
        await self._observer.flush()

    def _take(self, message: Incoming) -> None:
        if message.subject.endswith(("completed", "failed")):
            self._entries.put_nowait((message.subject, message.data))
        elif message.subject.endswith("recorded"):
            record = decode(Recorded, message.data)
            self.recorded[record.run_id, record.step].append(record)

    async def outcome(self) -> tuple[str, StepCompleted | StepFailed]:
        """Give the next outcome that an agent journaled, with its subject."""
        where, body = await soon(self._entries.get())
        return where, decode(StepCompleted, body) if where.endswith("completed") else decode(StepFailed, body)

    async def completed(self) -> StepCompleted:
        """Give the next outcome, which is a completion."""
        _where, outcome = await self.outcome()
        assert isinstance(outcome, StepCompleted), outcome
        return outcome

    async def failed(self) -> StepFailed:
        """Give the next outcome, which is a failure."""
        _where, outcome = await self.outcome()
        assert isinstance(outcome, StepFailed), outcome
        return outcome

    @property
    def has_outcome(self) -> bool:
        """Whether an outcome was heard that nobody took."""
        return not self._entries.empty()

    async def pool(self, role: str = "probe") -> tuple[int, int]:
        """Give how many deliveries of a role are not acked, and how many wait."""
        info = await stream.api(self._observer, "CONSUMER.INFO", subject.JOURNAL, role)
        state = msgspec.json.decode(info, type=_ConsumerState)
        return state.num_ack_pending, state.num_pending

    async def settled(self, *, waiting: int = 0) -> None:
        """Every delivery of the role is acked, and exactly so many wait to be delivered."""
        async with asyncio.timeout(SOON_S):
            while await self.pool() != (0, waiting):  # the server tells nobody of an ack
                await asyncio.sleep(0.01)

    async def until(self, is_so: Callable[[], object]) -> None:
        """It is so."""
        async with asyncio.timeout(SOON_S):
            while not is_so():  # a host says how it is when it is asked
                await asyncio.sleep(0.005)

    async def give_back_once(self) -> None:
        """Some agent of the role had the next delivery in hand, and gave it back."""
        spec = self.spec(self.role(_never))
        had: asyncio.Queue[Delivery] = asyncio.Queue()
        bus = await Bus.connect(self.server.url, name=spec.agent, credentials=spec.credentials)
        pull = await PullLoop.start(bus, subject.JOURNAL, spec.role, had.put_nowait, batch=1, limit=1)
        delivery = await soon(had.get())
        await pull.stop()
        delivery.nak()
        await bus.flush()
        await bus.close()

    # --- hosts -----------------------------------------------------------------------------------

    def role(self, handle: Callable[[Job, Context], Awaitable[Done]]) -> type[AnyRole]:
        """Give a role `probe` that does this."""

        class Probe(Role[Job, Done]):
            async def handle(self, work: Job, ctx: Context) -> Done:
                return await handle(work, ctx)

        return Probe

    def spec(self, kind: type[AnyRole], *, slots: int = 32, valid_s: float = 600) -> AgentSpec:
        """Give a new agent with its own identity."""
        expires_at = datetime.now(UTC) + timedelta(seconds=valid_s)
        agent = new_agent(kind.role_name())
        rights = permission.agent_permissions(kind.role_name(), agent, tools=["mail.send"], asks=["critic"])
        return AgentSpec(
            agent=agent,
            kind=kind,
            credentials=self.server.authority.issue(agent, permissions=rights, expires_at=expires_at),
            slots=slots,
            patience=QUICK,
        )

    async def host(self, *specs: AgentSpec, name: str = "host-0") -> Host:
        """Start a host; a bug of ours in it fails the test."""
        host = Host(name, self.server.url, on_bug=self.bugs.append)
        self._closing.insert(0, lambda: host.drain(deadline_s=0))
        await host.ensure(specs)
        return host

    async def serve(self, handle: Callable[[Job, Context], Awaitable[Done]], *, slots: int = 32) -> Host:
        """Start a host with one agent that does this."""
        return await self.host(self.spec(self.role(handle), slots=slots))

    async def close(self) -> None:
        """Hosts first, then whoever answers them."""
        for close in self._closing:
            await close()


async def _never(_work: Job, _ctx: Context) -> Done:
    raise AssertionError


async def soon(awaited: Awaitable[T]) -> T:
    """Give what comes soon, or fail."""
    return await asyncio.wait_for(awaited, SOON_S)


async def connect(server: EmbeddedServer, name: str, permissions: Permissions) -> Bus:
    """Connect a new identity."""
    credentials = server.authority.issue(name, permissions=permissions)
    return await Bus.connect(server.url, name=name, credentials=credentials)
