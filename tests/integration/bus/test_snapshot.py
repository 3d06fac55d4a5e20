"""A snapshot is replaced whole, and one that does not fit its journal is no snapshot."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from remit.bus import stream, subject, topology
from remit.bus.journal import Journal
from remit.bus.snapshot import LIMIT_BYTES, PART_BYTES, SnapshotHead, Snapshots
from remit.bus.subject import JOURNAL, SNAPSHOT
from remit.contracts.errors import TooLargeError

if TYPE_CHECKING:
    from remit.bus.connection import Bus


@pytest.fixture
async def journal(bus: Bus) -> Journal:
    await topology.ensure(bus, [])
    journal = Journal(bus)
    for number in range(3):
        await journal.append(subject.decision("r1", number, "planned"), b"{}")
    return journal


async def head(journal: Journal, seq: int = 3) -> SnapshotHead:
    anchor = await Snapshots(journal.bus).anchor(seq)
    return SnapshotHead(seq=seq, oldest_open_seq=1, anchor=anchor, team="t", build="b", at=datetime.now(UTC))


async def test_the_newest_of_many_parts_is_read_whole(journal: Journal) -> None:
    snapshots, written = Snapshots(journal.bus), bytes(range(256)) * (PART_BYTES // 100)
    await snapshots.write(await head(journal), b"x" * PART_BYTES * 6)
    await snapshots.write(await head(journal), written)

    found = await snapshots.read()

    assert found is not None
    assert found[1] == written
    assert found[0].parts > 1


async def test_a_reader_beside_a_writer_reads_one_or_the_other(journal: Journal) -> None:
    snapshots = Snapshots(journal.bus)
    kinds = [letter * (PART_BYTES * 2 + 5) for letter in (b"a", b"b", b"c")]
    await snapshots.write(await head(journal), kinds[0])

    async def write() -> None:
        for number in range(30):
            await snapshots.write(await head(journal), kinds[number % 3])

    writing = asyncio.create_task(write())
    found = []
    while not writing.done():
        if (read := await snapshots.read()) is not None:
            found.append(read[1])
    await writing

    assert found
    assert set(found) <= set(kinds)


async def test_where_there_is_none_none_is_read(journal: Journal) -> None:
    before = await Snapshots(journal.bus).read()
    await stream.api(journal.bus, "STREAM.DELETE", SNAPSHOT)

    assert before is None
    assert await Snapshots(journal.bus).read() is None


@pytest.mark.parametrize("damage", ["part", "head", "format", "missing"])
async def test_one_that_was_changed_is_ignored(journal: Journal, damage: str) -> None:
    snapshots = Snapshots(journal.bus)
    await snapshots.write(await head(journal), b"y" * 1000)
    match damage:
        case "part":
            await stream.store(journal.bus, subject.snapshot("0"), b"y" * 999 + b"z")
        case "head":
            await stream.store(journal.bus, subject.snapshot("head"), b"{}")
        case "format":
            found = await stream.last(journal.bus, SNAPSHOT, subject.snapshot("head"))
            assert found is not None
            await stream.store(journal.bus, found.subject, found.data.replace(b'"format":1', b'"format":2'))
        case _:
            await stream.api(journal.bus, "STREAM.PURGE", SNAPSHOT, body={"filter": subject.snapshot("0")})

    assert await snapshots.read() is None


async def test_one_of_a_journal_that_was_put_back_or_made_anew_is_ignored(journal: Journal) -> None:
    snapshots = Snapshots(journal.bus)
    await snapshots.write(await head(journal), b"data")
    await stream.api(journal.bus, "STREAM.DELETE", JOURNAL)
    await topology.ensure(journal.bus, [])

    shorter = await snapshots.read()
    for number in range(5):
        await journal.append(subject.decision("r2", number, "planned"), b"{}")
    longer = await snapshots.read()

    assert shorter is None
    assert longer is None


async def test_one_too_large_is_not_written_and_the_one_before_stands(journal: Journal) -> None:
    snapshots = Snapshots(journal.bus)
    await snapshots.write(await head(journal), b"small")

    with pytest.raises(TooLargeError):
        await snapshots.write(await head(journal), bytes(LIMIT_BYTES + 1))

    found = await snapshots.read()
    assert found is not None
    assert found[1] == b"small"
