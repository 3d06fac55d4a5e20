"""The journal: write-once, fenced, and read back whole."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from structlog.testing import capture_logs

from remit.bus import fold, subject, topology
from remit.bus.journal import Draft, Entry, Fence, Journal, Results
from remit.bus.wire import Incoming
from remit.contracts.errors import (
    AlreadyStoredError,
    BusRefusedError,
    BusUnavailableError,
    FencedOutError,
    RetryableError,
    SupersededError,
    TooLargeError,
)

if TYPE_CHECKING:
    from remit.bus.connection import Bus
    from tests.conftest import Eventually, NatsServer

EVERYTHING = "remit.run.>"


@pytest.fixture
async def journal(bus: Bus) -> Journal:
    await topology.ensure(bus, ["clerk"])
    return Journal(bus, timeout_s=2.0)


async def entries_of(journal: Journal, filter_: str = EVERYTHING) -> list[Entry]:
    return [entry async for entry in journal.read(filter_)]


async def test_an_entry_is_read_back_with_its_headers_and_time(journal: Journal) -> None:
    seq = await journal.append("remit.run.r1._.1.started", b"goal", headers={"Remit-Run": "r1"})

    entry = await journal.get("remit.run.r1._.1.started")

    assert entry is not None
    assert (entry.subject, entry.seq, entry.data) == ("remit.run.r1._.1.started", seq, b"goal")
    assert (entry.headers or {})["Remit-Run"] == "r1"
    assert entry.stored_at is not None
    assert datetime.now(UTC) - entry.stored_at < timedelta(minutes=1)
    assert await journal.get_seq(seq) == entry


async def test_what_is_not_there_is_none(journal: Journal) -> None:
    assert await journal.get("remit.run.r1._.1.started") is None
    assert await journal.get_seq(7) is None
    assert await entries_of(journal) == []
    assert await journal.last_seq() == 0


async def test_a_second_entry_at_an_index_is_refused_by_the_server(journal: Journal) -> None:
    await journal.append("remit.run.r1.s.clerk-a.0.completed", b"first")

    with pytest.raises(AlreadyStoredError):
        await journal.append("remit.run.r1.s.clerk-a.0.completed", b"second")

    assert [entry.data for entry in await entries_of(journal)] == [b"first"]


async def test_an_old_fence_is_refused_and_a_true_one_holds(journal: Journal) -> None:
    first = await journal.append("remit.run.r1._.1.started", b"", fence=Fence(subject.lane("r1"), 0))

    with pytest.raises(FencedOutError):
        await journal.append("remit.run.r1._.2.planned", b"", fence=Fence(subject.lane("r1"), 0))
    await journal.append("remit.run.r1._.2.planned", b"", fence=Fence(subject.lane("r1"), first))

    assert len(await entries_of(journal)) == 2


async def test_of_fifty_who_race_for_an_index_exactly_one_wins(journal: Journal) -> None:
    async def race(racer: int) -> bool:
        try:
            await journal.append("remit.run.r1._.1.started", str(racer).encode(), fence=Fence(subject.lane("r1"), 0))
        except SupersededError:
            return False
        return True

    won = await asyncio.gather(*map(race, range(50)))

    assert sum(won) == 1
    assert [entry.data for entry in await entries_of(journal)] == [str(won.index(True)).encode()]


async def test_an_append_that_landed_before_is_known_as_our_own(journal: Journal) -> None:
    fence = Fence(subject.lane("r1"), 0)
    first = await journal.append_own("remit.run.r1._.1.started", b"ours", fence=fence)

    assert await journal.append_own("remit.run.r1._.1.started", b"ours", fence=fence) == first
    with pytest.raises(SupersededError):
        await journal.append_own("remit.run.r1._.1.started", b"theirs", fence=fence)


async def test_a_batch_is_stored_whole_and_in_order(journal: Journal) -> None:
    drafts = [Draft(subject=f"remit.state.r1.k{number}.1", body=b"v") for number in range(5)]

    seqs = await journal.append_batch(drafts)

    assert seqs == (1, 2, 3, 4, 5)
    assert [entry.subject for entry in await entries_of(journal, "remit.state.>")] == [d.subject for d in drafts]


@pytest.mark.parametrize(
    ("fence", "error"), [(None, AlreadyStoredError), (Fence("remit.state.r1.taken.*", 0), FencedOutError)]
)
async def test_a_batch_with_one_loser_stores_nothing(
    journal: Journal, fence: Fence | None, error: type[SupersededError]
) -> None:
    await journal.append("remit.state.r1.taken.1", b"")
    loser = Draft(subject="remit.state.r1.taken.1", body=b"", fence=fence)
    free = Draft(subject="remit.state.r1.free.1", body=b"")

    for drafts in ([free, loser], [loser, free]):
        with pytest.raises(error):
            await journal.append_batch(drafts)

    assert await journal.get(free.subject) is None


async def test_an_empty_batch_is_nothing_and_an_endless_one_is_refused(journal: Journal) -> None:
    drafts = [Draft(subject=f"remit.state.r1.k{number}.1", body=b"") for number in range(1001)]

    assert await journal.append_batch([]) == ()
    with pytest.raises(TooLargeError):
        await journal.append_batch(drafts)
    assert len(await journal.append_batch(drafts[:1000])) == 1000


@pytest.mark.parametrize("length", [900, 3000])  # the server names 1,024 entries at once; more it searches for
async def test_a_run_longer_than_any_batch_is_read_whole_and_alone(journal: Journal, length: int) -> None:
    async def fill(run: str) -> None:
        for first in range(0, length, 100):
            await asyncio.gather(
                *(journal.append(f"remit.run.{run}.s.call.{n}.called", b"x" * 100) for n in range(first, first + 100))
            )

    await asyncio.gather(fill("r1"), fill("r11"))

    found = await entries_of(journal, subject.run_all("r1"))
    assert len(found) == length
    assert all(entry.subject.startswith("remit.run.r1.") for entry in found)
    assert [entry.seq for entry in found] == sorted(entry.seq for entry in found)
    later = [entry.seq async for entry in journal.read(subject.run_all("r1"), start_seq=found[500].seq, batch=7)]
    assert later == [entry.seq for entry in found[500:]]


async def test_a_fold_sees_every_matching_entry_once_in_order(journal: Journal) -> None:
    for run in range(300):
        await asyncio.gather(
            journal.append(f"remit.run.r{run}._.1.started", b""),
            journal.append(f"remit.run.r{run}.s.clerk-a.0.completed", b"", headers={"Remit-Run": f"r{run}"}),
            journal.append(f"remit.run.r{run}._.2.finished", b""),
        )
    seen: list[Entry] = []

    reached = await journal.fold([subject.lane("*"), "remit.run.*.*.*.*.completed"], 1, seen.append)

    assert reached == 900
    assert [entry.seq for entry in seen] == list(range(1, 901))
    whole = [entry async for entry in journal.read(EVERYTHING)]
    assert [msgspec.structs.replace(entry, headers=None) for entry in whole] == seen


async def test_a_fold_goes_on_after_what_it_reached(journal: Journal) -> None:
    seen: list[str] = []
    await journal.append("remit.run.r1._.1.started", b"")
    reached = await journal.fold([EVERYTHING], 1, lambda entry: seen.append(entry.subject))
    await journal.append("remit.state.r1.k.1", b"not asked for")
    await journal.append("remit.run.r1._.2.planned", b"")
    await journal.append("remit.state.r1.k.2", b"not asked for")

    again = await journal.fold([EVERYTHING], reached + 1, lambda entry: seen.append(entry.subject))

    assert (reached, again) == (1, 4)
    assert seen == ["remit.run.r1._.1.started", "remit.run.r1._.2.planned"]
    assert await journal.fold([EVERYTHING], again + 1, lambda entry: seen.append(entry.subject)) == again


async def test_a_fold_of_an_empty_journal_reaches_zero(journal: Journal) -> None:
    assert await journal.fold([EVERYTHING], 1, lambda _: None) == 0


async def test_what_a_fold_raises_comes_out_of_it(journal: Journal) -> None:
    await journal.append("remit.run.r1._.1.started", b"")

    def break_off(entry: Entry) -> None:
        raise ValueError(entry.subject)

    with pytest.raises(ValueError, match=r"remit\.run\.r1"):
        await journal.fold([EVERYTHING], 1, break_off)


async def test_a_fold_survives_the_server_being_killed(nats_server: NatsServer, bus: Bus, journal: Journal) -> None:
    for first in range(0, 20_000, 500):
        await asyncio.gather(
            *(journal.append(f"remit.run.r{n}._.1.started", b"x" * 200) for n in range(first, first + 500))
        )
    seen: list[int] = []
    half = asyncio.Event()

    def count(entry: Entry) -> None:
        seen.append(entry.seq)
        if len(seen) == 5000:
            half.set()

    folding = asyncio.create_task(journal.fold([EVERYTHING], 1, count))
    await half.wait()
    nats_server.kill()
    await nats_server.start()

    assert await asyncio.wait_for(folding, 30) == 20_000
    assert seen == list(range(1, 20_001))


async def test_a_fold_that_misses_an_entry_stops_before_the_gap(bus: Bus) -> None:
    seen: list[int] = []
    reader = fold._Reader(bus, end=9, next_seq=1, on_entry=lambda entry: seen.append(entry.seq))

    for stream_seq, consumer_seq in ((3, 1), (4, 2), (6, 4), (7, 5)):
        reader._take(Incoming("remit.run.r1._.1.started", b"", f"$JS.ACK.JOURNAL.x.1.{stream_seq}.{consumer_seq}.0.9"))

    assert seen == [3, 4]
    assert await reader._outcome is False
    assert reader.next_seq == 5


async def test_nobody_deletes_or_overwrites_an_entry(bus: Bus, journal: Journal) -> None:
    seq = await journal.append("remit.run.r1._.1.started", b"true")

    answer = await bus.request("$JS.API.STREAM.MSG.DELETE.JOURNAL", b'{"seq":%d}' % seq)
    for headers in ({"Nats-Rollup": "sub"}, {"Nats-TTL": "1s"}):
        with pytest.raises(RetryableError):
            await journal.append("remit.run.r1._.1.started", b"false", headers=headers)

    assert b"error" in answer.data
    assert [entry.data for entry in await entries_of(journal)] == [b"true"]


async def test_a_full_stream_is_a_coded_error_that_names_the_servers_words(bus: Bus, journal: Journal) -> None:
    await bus.request("$JS.API.STREAM.CREATE.OTHER", b'{"name":"OTHER","subjects":["x"],"max_msgs":1,"discard":"new"}')
    await bus.request("x", b"1")
    other = {"Nats-Expected-Stream": "OTHER"}

    with pytest.raises(BusRefusedError) as caught:
        await journal.append("x", b"2", headers=other)

    assert caught.value.got == "10077 maximum messages exceeded"
    assert not isinstance(caught.value, SupersededError)


async def test_an_entry_that_lands_in_no_journal_is_refused(bus: Bus, journal: Journal) -> None:
    await bus.request("$JS.API.STREAM.CREATE.OTHER", b'{"name":"OTHER","subjects":["x"]}')

    with pytest.raises(BusRefusedError, match="expected stream"):
        await journal.append("x", b"")


async def test_outcomes_are_kept_beside_the_journal(bus: Bus, journal: Journal, eventually: Eventually) -> None:
    heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
    await bus.subscribe(subject.RESULT_ALL, lambda message: heard.put_nowait((message.subject, message.data)))
    results = Results(bus)
    assert await results.get("r7") is None

    await journal.append("remit.run.r7._.3.finished", b"outcome", fence=Fence(subject.lane("r7"), 0))

    assert await asyncio.wait_for(heard.get(), 5) == ("remit.result.r7", b"outcome")

    async def is_copied() -> bool:
        return await results.get("r7") == b"outcome"

    await eventually(is_copied)


async def test_appends_go_on_over_a_killed_server_and_nothing_is_stored_twice(
    nats_server: NatsServer, bus: Bus, journal: Journal
) -> None:
    """Every lane appends its numbered entries in turn and repeats what it does not know to be stored."""
    lanes, length = 20, 60
    stored: dict[str, int] = {}
    hundred_more = asyncio.Event()

    async def run(lane: int) -> None:
        last = 0
        for number in range(length):
            index = subject.decision(f"r{lane}", number, "noted")
            last = stored[index] = await insist(journal, index, Fence(subject.lane(f"r{lane}"), last))
            if len(stored) % 100 == 0:
                hundred_more.set()

    with capture_logs():
        running = asyncio.gather(*map(run, range(1, lanes + 1)))
        for _ in range(3):
            await asyncio.wait_for(hundred_more.wait(), 30)
            nats_server.kill()
            hundred_more.clear()
            await nats_server.start()
        await asyncio.wait_for(running, 60)

    found = await entries_of(journal)
    assert {entry.subject: entry.seq for entry in found} == stored
    assert len(found) == lanes * length


async def insist(journal: Journal, index: str, fence: Fence) -> int:
    while True:
        try:
            return await journal.append_own(index, index.encode(), fence=fence)
        except BusUnavailableError:
            await asyncio.sleep(0.02)
