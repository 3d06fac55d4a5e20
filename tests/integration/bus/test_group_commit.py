"""Appends that are gathered into one synced write tell their callers what single appends would have told."""

from __future__ import annotations

import asyncio
import os
import secrets
from typing import TYPE_CHECKING, Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from remit.bus import group_commit, stream, subject, topology
from remit.bus.connection import Bus
from remit.bus.journal import Draft, Entry, Fence, Journal, Results
from remit.contracts.errors import (
    AlreadyStoredError,
    BusUnavailableError,
    FencedOutError,
    RemitError,
    RetryableError,
    TooLargeError,
)
from tests.conftest import NatsServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator
    from pathlib import Path

    from tests.conftest import Eventually

MANY: Final = 64
PATIENCE_S = 30.0
"""A disk that others keep busy may take seconds for a sync."""
OPEN_AT_MOST: Final = 50
"""How many batches of a stream the server keeps open."""


@pytest.fixture
def synced_server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path, sync_interval="always")
    yield server
    server.kill()


@pytest.fixture
async def bus(synced_server: NatsServer) -> AsyncIterator[Bus]:
    await synced_server.start()
    bus = await Bus.connect(synced_server.url, name="test")
    await topology.ensure(bus, ["clerk"])
    yield bus
    await bus.close()


@pytest.fixture
def journal(bus: Bus) -> Journal:
    return Journal(bus, timeout_s=10.0, group_commit=True)


def started(run: object) -> str:
    return f"remit.run.{run}._.1.started"


async def outcomes(*appends: Coroutine[object, object, int]) -> list[int | RemitError]:
    """What each caller was told, all at once; anything but an error of ours is a bug."""
    found = await asyncio.gather(*appends, return_exceptions=True)
    bugs = [item for item in found if not isinstance(item, int | RemitError)]
    assert bugs == []
    return [item for item in found if isinstance(item, int | RemitError)]


async def batches(journal: Journal) -> int:
    """Give how many batches were stored."""
    names = {(entry.headers or {}).get(stream.BATCH_ID, "") async for entry in journal.read("remit.run.>")}
    return len(names - {""})


async def test_many_appends_share_few_writes_and_each_learns_its_own_sequence(journal: Journal) -> None:
    told = await outcomes(*(journal.append(started(n), f"{n}".encode()) for n in range(MANY)))

    assert set(told) == set(range(1, MANY + 1))
    for n, seq in enumerate(told):
        entry = await journal.get_seq(seq) if isinstance(seq, int) else None
        assert entry is not None
        assert (entry.subject, entry.data) == (started(n), b"%d" % n)
    assert await batches(journal) == 1


async def test_one_append_at_a_time_is_sent_as_it_is(journal: Journal) -> None:
    for n in range(3):
        await journal.append(started(n), b"", headers={"Remit-Run": f"{n}"})

    assert [entry.headers or {} async for entry in journal.read("remit.run.>")] == [
        {stream.EXPECTED_STREAM: "JOURNAL", "Remit-Run": f"{n}"} for n in range(3)
    ]


@pytest.mark.parametrize("stale", [(30,), (0, 63), (10, 11, 12, 50), tuple(range(64)), (7,)])
async def test_of_a_refused_batch_exactly_the_stale_entries_are_refused(
    journal: Journal, stale: tuple[int, ...]
) -> None:
    await journal.append("remit.run.taken._.1.started", b"")

    def append(n: int) -> Coroutine[object, object, int]:
        if n in stale and n % 2:
            return journal.append("remit.run.taken._.1.started", b"second")
        return journal.append(started(n), b"", fence=Fence(subject.lane(f"{n}"), 9 if n in stale else 0))

    told = await outcomes(*map(append, range(MANY)))

    wanted = [(AlreadyStoredError if n % 2 else FencedOutError) if n in stale else int for n in range(MANY)]
    assert list(map(type, told)) == wanted
    assert (await stream.state(journal._bus, "JOURNAL")).messages == 1 + MANY - len(stale)


async def test_of_two_that_race_for_one_lane_one_is_fenced_out(journal: Journal) -> None:
    """The server would store both: it holds the fences of a batch against what was there before."""
    racers = [(run, n, Fence(subject.lane(f"r{run}"), 0)) for run in range(MANY) for n in (1, 2)]

    told = await outcomes(
        *(journal.append(subject.decision(f"r{run}", n, "started"), b"", fence=fence) for run, n, fence in racers)
    )

    pairs = [told[at : at + 2] for at in range(0, len(told), 2)]
    assert [sorted(type(item).__name__ for item in pair) for pair in pairs] == [["FencedOutError", "int"]] * MANY


async def test_a_fence_sees_what_an_unfenced_entry_wrote_beside_it(journal: Journal) -> None:
    """In this order the server would store both."""
    filler = [journal.append(started(n), b"") for n in range(20)]
    first = journal.append("remit.run.r1._.1.started", b"")
    second = journal.append("remit.run.r1._.2.planned", b"", fence=Fence(subject.lane("r1"), 0))

    told = await outcomes(*filler, first, second)

    lane = [entry.subject async for entry in journal.read(subject.lane("r1"))]
    assert isinstance(told[-2], int)
    if isinstance(told[-1], int):  # then the fence was held first
        assert told[-1] < told[-2]
    assert len(lane) == sum(isinstance(item, int) for item in told[-2:])


async def test_calls_of_one_step_share_the_fence_of_its_lease(journal: Journal) -> None:
    seq = await journal.append(subject.lease("r1", "s", 1), b"")
    fence = Fence(subject.lease_lane("r1", "s"), seq)

    told = await outcomes(
        *(journal.append(subject.call("r1", "s", str(n), "called"), b"", fence=fence) for n in range(MANY))
    )

    assert set(told) == set(range(seq + 1, seq + 1 + MANY))
    assert await batches(journal) == 1


async def test_one_index_is_taken_once_and_its_owner_knows_its_own_entry(journal: Journal) -> None:
    told = await outcomes(*(journal.append_own(started(n % 4), b"%d" % (n % 8)) for n in range(MANY)))

    for index in range(4):
        mine = [told[n] for n in range(MANY) if n % 4 == index]
        won = await journal.get(started(index))
        assert won is not None
        assert {item for item in mine if isinstance(item, int)} == {won.seq}
        assert sum(isinstance(item, AlreadyStoredError) for item in mine) == len(mine) // 2  # the other bytes


async def test_versions_that_belong_together_stay_together_in_a_batch(journal: Journal) -> None:
    await journal.append("remit.state.r9.k.1", b"")

    def together(n: int) -> Coroutine[object, object, tuple[int, ...]]:
        keys = (f"r{n}.a", f"r{n}.b", "r9.k" if n == 5 else f"r{n}.c")
        return journal.append_batch([Draft(subject=f"remit.state.{key}.1", body=b"") for key in keys])

    told = await asyncio.gather(
        *(together(n) for n in range(30)), *(journal.append(started(n), b"") for n in range(30)), return_exceptions=True
    )

    assert isinstance(told.pop(5), AlreadyStoredError)
    assert [entry async for entry in journal.read("remit.state.r5.>")] == []
    for seqs in told[:29]:
        assert isinstance(seqs, tuple)
        assert seqs == tuple(range(seqs[0], seqs[0] + 3))
        kept = await journal.get_seq(seqs[1])
        assert kept is not None
        assert kept.subject.endswith(".b.1")


async def test_an_id_is_compared_as_for_a_single_append(journal: Journal) -> None:
    told = await outcomes(
        *(journal.append(started(n), b"", headers={stream.MESSAGE_ID: f"id{n % 4}"}) for n in range(MANY))
    )

    assert len(set(told)) == 4


async def test_outcomes_in_a_batch_are_told_and_kept(bus: Bus, journal: Journal, eventually: Eventually) -> None:
    heard: list[str] = []
    await bus.subscribe(subject.RESULT_ALL, lambda message: heard.append(message.subject))

    await outcomes(
        *(
            journal.append(subject.decision(f"r{n}", 1, "finished"), b"%d" % n, fence=Fence(subject.lane(f"r{n}"), 0))
            for n in range(MANY)
        )
    )

    async def kept() -> bool:
        return [await Results(bus).get(f"r{n}") for n in range(MANY)] == [b"%d" % n for n in range(MANY)]

    await eventually(kept)
    assert sorted(heard) == sorted(subject.result(f"r{n}") for n in range(MANY))


async def test_outcomes_are_kept_though_their_copy_is_not_synced(
    synced_server: NatsServer, eventually: Eventually
) -> None:
    await synced_server.start()
    bus = await Bus.connect(synced_server.url, name="test")
    await topology.ensure(bus, [], profile="durable")
    journal = Journal(bus, group_commit=True, timeout_s=PATIENCE_S)
    await outcomes(*(journal.append(subject.decision(f"r{n}", 1, "finished"), b"%d" % n) for n in range(MANY)))

    synced_server.kill()
    for file in synced_server.folder.glob("js/**/RESULTS/msgs/*"):  # what a loss of power may leave of it
        if file.suffix == ".blk":
            os.truncate(file, file.stat().st_size // 2)
        else:
            file.unlink()
    await synced_server.start()

    async def kept() -> bool:
        try:
            return [await Results(bus).get(f"r{n}") for n in range(MANY)] == [b"%d" % n for n in range(MANY)]
        except RetryableError:  # the connection comes back
            return False

    await eventually(kept)
    config = msgspec.json.decode(await stream.api(bus, "STREAM.INFO", "RESULTS"))["config"]
    assert config["persist_mode"] == "async"
    await topology.ensure(bus, [], profile="durable")
    await bus.close()


async def test_one_entry_above_the_limit_is_refused_and_no_other(bus: Bus, journal: Journal) -> None:
    told = await outcomes(
        *(journal.append(started(n), b"x" * (bus.max_payload + 1 if n == 9 else 10)) for n in range(MANY)),
        *(journal.append(started(f"l{n}"), b"x" * (bus.max_payload // 3)) for n in range(6)),
    )

    assert isinstance(told.pop(9), TooLargeError)
    assert all(isinstance(item, int) for item in told)


async def test_an_entry_that_no_message_can_carry_is_refused_and_no_other(journal: Journal) -> None:
    told = await outcomes(*(journal.append(started(n) + (" " if n == 40 else ""), b"") for n in range(MANY)))

    assert type(told.pop(40)).__name__ == "MalformedMessageError"
    assert all(isinstance(item, int) for item in told)


async def test_entries_are_stored_though_the_server_takes_no_more_batches(bus: Bus, journal: Journal) -> None:
    """Anybody who may write into the journal may leave batches open."""
    for n in range(OPEN_AT_MOST):
        headers = {stream.BATCH_ID: secrets.token_hex(8), stream.BATCH_SEQUENCE: "1"}
        bus.send(started(f"open{n}"), b"", headers=headers)

    told = await outcomes(*(journal.append(started(n), b"") for n in range(MANY)))

    assert set(told) == set(range(1, MANY + 1))


async def test_who_gives_up_waiting_takes_nobody_along(journal: Journal) -> None:
    tasks = [asyncio.create_task(journal.append(started(n), b"")) for n in range(MANY)]
    await asyncio.sleep(0)

    for task in tasks[::3]:
        task.cancel()

    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(item, int) for item in told] == [bool(n % 3) for n in range(MANY)]


async def test_a_server_killed_with_batches_on_their_way_loses_nothing_and_doubles_nothing(
    synced_server: NatsServer, journal: Journal
) -> None:
    """64 runs append one entry after the other, each again until it is known to be stored."""
    reached, unknown = asyncio.Event(), 0

    async def run(name: str) -> list[int]:
        nonlocal unknown
        seqs = [0]
        for n in range(1, 9):
            while len(seqs) == n:
                try:
                    fence = Fence(subject.lane(name), seqs[-1])
                    seqs.append(await journal.append_own(subject.decision(name, n, "noted"), b"%d" % n, fence=fence))
                except RetryableError:
                    unknown += 1
                    await asyncio.sleep(0.02)
            if n == 3 and name == "r7":
                reached.set()
        return seqs[1:]

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        runs = [group.create_task(run(f"r{n}")) for n in range(MANY)]
        await reached.wait()
        synced_server.kill()
        await synced_server.start()

    assert unknown > 0
    for number, told in enumerate(runs):
        lane = [(entry.seq, entry.data) async for entry in journal.read(subject.lane(f"r{number}"))]
        assert lane == [(seq, b"%d" % n) for n, seq in enumerate(told.result(), 1)]


async def test_with_the_connection_lost_nobody_is_told_more_than_is_known(
    synced_server: NatsServer, journal: Journal
) -> None:
    appends = [asyncio.create_task(journal.append(started(n), b"%d" % n)) for n in range(MANY * 32)]
    await asyncio.wait(appends, return_when=asyncio.FIRST_COMPLETED)

    synced_server.kill()
    await synced_server.start()

    told = await asyncio.gather(*appends, return_exceptions=True)
    assert any(isinstance(item, BusUnavailableError) for item in told)
    for n, item in enumerate(told):
        assert isinstance(item, int | BusUnavailableError), item
        if isinstance(item, int):
            kept = await journal.get_seq(item)
            assert kept is not None
            assert kept.data == b"%d" % n


# --- any mixture, held against what single appends may answer ---------------------------------------

NAMES: Final = ("a", "b", "c")
FENCES: Final = ("none", "right", "stale", "ahead")
APPENDS: Final = some.tuples(some.sampled_from(NAMES), some.integers(1, 4), some.sampled_from(FENCES))
UNITS: Final = some.lists(APPENDS, min_size=1, max_size=3, unique_by=lambda item: item[:2])
WAVES: Final = some.lists(some.lists(UNITS, min_size=1, max_size=24), min_size=1, max_size=3)
Unit = list[tuple[str, int, str]]


@pytest.fixture
def running_server(synced_server: NatsServer) -> NatsServer:
    asyncio.run(synced_server.start())
    return synced_server


@pytest.mark.timeout(300)
@pytest.mark.parametrize("few", [0, 2])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(waves=WAVES)
def test_what_callers_are_told_is_what_single_appends_may_have_told(
    running_server: NatsServer, few: int, waves: list[list[Unit]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group_commit, "FEW", few)
        asyncio.run(_tell_and_compare(running_server.url, waves))


async def _tell_and_compare(url: str, waves: list[list[Unit]]) -> None:
    bus, series = await Bus.connect(url, name="test"), secrets.token_hex(4)
    await topology.ensure(bus, [])
    journal = Journal(bus, group_commit=True, timeout_s=PATIENCE_S)
    try:
        for wave in waves:
            before = await _heads(journal, series)
            units = [[_draft(series, item, before) for item in unit] for unit in wave]
            told = await asyncio.gather(*map(journal.append_batch, units), return_exceptions=True)
            entries = [entry async for entry in journal.read(f"remit.run.{series}.>")]
            for unit, item in zip(units, told, strict=True):
                _check(unit, item, entries, before, await _heads(journal, series))
    finally:
        await bus.close()


async def _heads(journal: Journal, series: str) -> dict[str, int]:
    lanes = {name: f"remit.run.{series}.{name}.>" for name in NAMES}
    found = {lane: await journal.get(lane) for lane in lanes.values()}
    return {lane: entry.seq if entry is not None else 0 for lane, entry in found.items()}


def _draft(series: str, item: tuple[str, int, str], heads: dict[str, int]) -> Draft:
    name, number, kind = item
    lane = f"remit.run.{series}.{name}.>"
    seq = {"right": heads[lane], "stale": max(heads[lane] - 1, 0), "ahead": heads[lane] + 1}.get(kind)
    body = secrets.token_bytes(4)
    fence = None if seq is None else Fence(lane, seq)
    return Draft(subject=f"remit.run.{series}.{name}.{number}.x", body=body, fence=fence)


def _check(
    unit: list[Draft], told: object, entries: list[Entry], before: dict[str, int], after: dict[str, int]
) -> None:
    """Hold one answer against the order in which the journal holds what was stored."""
    kept = {entry.subject: entry for entry in entries}
    if isinstance(told, tuple):
        assert told == tuple(range(told[0], told[0] + len(unit)))
        for seq, draft in zip(told, unit, strict=True):
            assert (kept[draft.subject].seq, kept[draft.subject].data) == (seq, draft.body)
            if draft.fence is not None:
                lane = draft.fence.subject[:-1]
                earlier = [entry.seq for entry in entries if entry.subject.startswith(lane) and entry.seq < told[0]]
                assert max(earlier, default=0) == draft.fence.seq
        return
    assert not any(draft.subject in kept and kept[draft.subject].data == draft.body for draft in unit)
    fences = [draft.fence for draft in unit if draft.fence is not None]
    is_stale = any(fence.seq != heads[fence.subject] for fence in fences for heads in (before, after))
    is_taken = any(draft.subject in kept for draft in unit)
    assert (isinstance(told, FencedOutError) and is_stale) or (isinstance(told, AlreadyStoredError) and is_taken), told
