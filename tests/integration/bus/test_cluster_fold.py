"""Three servers in a cluster: a journal is read to its end while others write to it and purge it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from remit.bus import permission, stream, subject
from remit.bus.journal import Journal
from tests.integration.nats_cluster import NatsCluster, ensured, nats_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from remit.bus.connection import Bus
    from remit.bus.stream import Entry

FOLDS = 10
ENTRIES = 30


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[NatsCluster]:
    async with (
        nats_cluster(tmp_path, sync_interval="") as cluster,
        cluster.connected("topology", permission.topology_permissions()) as bus,
    ):
        await ensured(bus)
        yield cluster


async def test_a_journal_is_read_to_its_end_while_others_write_it(cluster: NatsCluster) -> None:
    """What is stored between two looks at the leader is waited for, so it must be read as well."""
    async with cluster.connected("supervisor", permission.supervisor_permissions()) as bus:
        journal = Journal(bus)
        writer = asyncio.create_task(_write(journal))
        try:
            for _ in range(FOLDS):
                seen: list[Entry] = []
                reached = await journal.fold(("remit.run.*._.>",), 1, seen.append)
                assert [entry.seq for entry in seen] == list(range(1, reached + 1))
        finally:
            writer.cancel()


async def test_nobody_waits_for_what_was_purged_meanwhile(cluster: NatsCluster) -> None:
    """An archivist purges a run while a supervisor reads it."""
    everything = permission.Permissions(account="core", publish_allow=(">",), subscribe_allow=(">",))
    async with cluster.connected("all", everything) as bus:
        journal = Journal(bus)
        for number in range(1, 13):
            run = f"r{number}"
            await asyncio.gather(
                *(journal.append(subject.decision(run, index, "started"), b"") for index in range(1, ENTRIES))
            )
            async with asyncio.timeout(10):
                await asyncio.gather(_purge(bus, run), *(_read(journal, run) for _ in range(4)))


async def _write(journal: Journal) -> None:
    number = 0
    while True:
        number += 1
        await journal.append(subject.decision(f"r{number}", 1, "started"), b"")


async def _read(journal: Journal, run: str) -> None:
    while await journal.whole(run):
        _ = [entry async for entry in journal.read(subject.run_all(run))]


async def _purge(bus: Bus, run: str) -> None:
    await stream.api(bus, "STREAM.PURGE", subject.JOURNAL, body={"filter": subject.run_all(run)})
