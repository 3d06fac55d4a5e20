"""Operations on the journal as data, and one interpreter of them that serves any server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from hypothesis import strategies as st

from remit.bus import stream, subject, topology
from remit.bus.journal import Draft, Fence, Journal, Results
from remit.contracts.errors import RemitError

if TYPE_CHECKING:
    from remit.bus.connection import Bus
    from remit.bus.wire import Incoming

ROLE, ACK_WAIT_S, LONGER_S, EXPIRES_S = "clerk", 1.0, 1.4, 0.03
"""Of a consumer that a test can wait for."""
LANES: Final = ("remit.run.r1._.>", "remit.run.r2._.>", "remit.run.r1.s.lease.>", "remit.run.>", "remit.state.team.a.*")
SUBJECTS: Final = (
    "remit.run.r1._.1.started",
    "remit.run.r1._.2.planned",
    "remit.run.r1._.3.finished",
    "remit.run.r2._.1.finished",
    "remit.run.r1._.work.clerk.s.1",
    "remit.run.r1._.work.clerk.s.2",
    "remit.run.r2._.work.clerk.s.1",
    "remit.run.r1._.work.judge.s.1",
    "remit.run.r1.s.lease.1",
    "remit.run.r1.s.call.0.called",
    "remit.run.r1.s.clerk-ab.1.completed",
    "remit.state.team.a.1",
    "remit.state.team.a.2",
)


class FencedAt(msgspec.Struct, frozen=True):
    """A fence that holds (`right`), or names another sequence."""

    lane: str
    seq: int | Literal["right"]


class Entry(msgspec.Struct, frozen=True):
    """One entry that is to be stored."""

    subject: str
    body: bytes
    fence: FencedAt | None


class Batch(msgspec.Struct, frozen=True):
    """Several, all or none."""

    entries: tuple[Entry, ...]


class Task(msgspec.Struct, frozen=True):
    """A task with an id that the server compares."""

    message_id: str


class Look(msgspec.Struct, frozen=True):
    """Read in one of the ways that there are."""

    how: Literal["get", "get_seq", "read", "fold", "last_seq", "result"]
    filter: str
    seq: int


class Pull(msgspec.Struct, frozen=True):
    """Ask for deliveries, and do this with each in turn."""

    batch: int
    words: tuple[bytes, ...]
    waits: bool
    """Until what nobody answered is handed out again."""


Operation = Entry | Batch | Task | Look | Pull

_fences = st.none() | st.builds(FencedAt, st.sampled_from(LANES), st.sampled_from(["right", "right", 0, 1, 3]))
_entries = st.builds(Entry, st.sampled_from(SUBJECTS), st.sampled_from([b"{}", b"other"]), _fences)
_words = st.sampled_from([b"+ACK", b"-NAK", b"-NAK", b"+TERM", b"+WPI", b""])
_pulls = st.builds(
    Pull,
    st.integers(1, 3),
    st.lists(_words, min_size=1, max_size=3).map(tuple),
    st.integers(0, 4).map(lambda number: number == 4),
)
_looks = st.builds(
    Look,
    st.sampled_from(["get", "get_seq", "read", "fold", "last_seq", "result"]),
    st.sampled_from(LANES + SUBJECTS),
    st.sampled_from([1, 1, 1, 2, 4, 9]),
)
_operations = st.one_of(
    _entries,
    _pulls,
    _looks,
    _entries,
    _pulls,
    _looks,
    st.builds(Batch, st.lists(_entries, min_size=1, max_size=4, unique_by=lambda entry: entry.subject).map(tuple)),
    st.builds(Task, st.sampled_from(["a", "b"])),
)
BEGINNING: Final[tuple[Operation, ...]] = (
    Entry(SUBJECTS[0], b"{}", None),
    Entry("remit.run.r1._.work.clerk.s.1", b"{}", None),
    Entry("remit.run.r2._.work.clerk.s.1", b"{}", None),
)
PROGRAMS: Final = st.builds(
    lambda beginning, rest: [*beginning, *rest],
    st.sampled_from([BEGINNING, BEGINNING, ()]),
    st.lists(_operations, min_size=5, max_size=30),
)
"""What a server may be asked; mostly there is something to pull from the beginning."""


async def perform(bus: Bus, program: list[Operation]) -> list[object]:
    """Give what the server answered to each operation."""
    await topology.ensure(bus, [])
    config = {
        "durable_name": ROLE,
        "filter_subjects": [subject.work_filter(ROLE)],
        "ack_policy": "explicit",
        "ack_wait": int(ACK_WAIT_S * 1_000_000_000),
        "max_ack_pending": 1000,
        "max_deliver": 4,
        "max_waiting": 512,
    }
    body = {"stream_name": "JOURNAL", "config": config, "action": "create"}
    await stream.api(bus, "CONSUMER.CREATE", "JOURNAL", ROLE, body=body)
    answers: list[object] = []
    for operation in program:
        try:
            answers.append(await _perform(bus, operation))
        except RemitError as error:
            answers.append((type(error).__name__, error.got))
    answers.append(await _given_up(bus))
    return answers


async def _perform(bus: Bus, operation: Operation) -> object:
    journal = Journal(bus)
    match operation:
        case Entry():
            fence = await _fence(journal, operation.fence)
            return await journal.append(operation.subject, operation.body, fence=fence)
        case Batch(entries):
            drafts = [
                Draft(subject=item.subject, body=item.body, fence=await _fence(journal, item.fence)) for item in entries
            ]
            return await journal.append_batch(drafts)
        case Task(message_id):
            ack = await stream.store(bus, "remit.task.any", b"{}", headers={stream.MESSAGE_ID: message_id})
            return ack.seq, ack.duplicate
        case Look():
            return await _look(bus, journal, operation)
        case Pull():
            return await _pull(bus, operation)


async def _fence(journal: Journal, wanted: FencedAt | None) -> Fence | None:
    if wanted is None:
        return None
    if wanted.seq != "right":
        return Fence(wanted.lane, wanted.seq)
    last = await journal.get(wanted.lane)
    return Fence(wanted.lane, last.seq if last is not None else 0)


async def _look(bus: Bus, journal: Journal, look: Look) -> object:
    match look.how:
        case "get":
            return _told(await journal.get(look.filter))
        case "get_seq":
            return _told(await journal.get_seq(look.seq))
        case "read":
            return [_told(entry) async for entry in journal.read(look.filter, start_seq=look.seq, batch=2)]
        case "fold":
            seen: list[object] = []
            filters = ["remit.run.*._.>", "remit.run.*.*.lease.*"]
            return await journal.fold(filters, look.seq, lambda entry: seen.append(_told(entry))), seen
        case "last_seq":
            return await journal.last_seq()
        case "result":
            return await _result(bus, journal)


def _told(entry: stream.Entry | None) -> object:
    return None if entry is None else (entry.subject, entry.seq, entry.data)


async def _result(bus: Bus, journal: Journal) -> object:
    """The copy lags: where there is an outcome, it is awaited."""
    outcome = await journal.get(subject.FINISHED_FILTER.replace("*", "r1", 1))
    async with asyncio.timeout(10.0):
        while (found := await Results(bus).get("r1")) is None and outcome is not None:
            await asyncio.sleep(0.005)
    return found


async def _pull(bus: Bus, pull: Pull) -> object:
    arrived: asyncio.Queue[Incoming] = asyncio.Queue()
    inbox = bus.new_inbox("p")
    listening = await bus.subscribe(inbox, arrived.put_nowait)
    body = {"batch": pull.batch, "expires": int(EXPIRES_S * 1_000_000_000)}
    bus.send(subject.pull("JOURNAL", ROLE), msgspec.json.encode(body), reply=inbox)
    found: list[object] = []
    for number in range(pull.batch):
        message = await asyncio.wait_for(arrived.get(), 10.0)
        if message.status:
            found.append((message.status, (message.headers or {}).get("Nats-Pending-Messages")))
            break
        about = subject.parse_ack(message.reply)
        assert about is not None
        found.append(
            (message.subject, about.stream_seq, about.num_delivered, about.consumer_seq)
        )  # `pending` is an estimate
        if word := pull.words[number % len(pull.words)]:
            bus.send(message.reply, word)
            await bus.flush()
    listening.drop()
    if pull.waits and b"" in pull.words and len(found) > 1:
        await asyncio.sleep(LONGER_S)
    return found


async def _given_up(bus: Bus) -> list[object]:
    notices = [entry.data async for entry in stream.entries(bus, "DEAD", "$JS.EVENT.ADVISORY.CONSUMER.>")]
    told = [msgspec.json.decode(data) for data in notices]
    return [(item["stream"], item["consumer"], item["stream_seq"], item["deliveries"]) for item in told]
