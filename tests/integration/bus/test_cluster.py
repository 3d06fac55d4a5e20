"""Three servers in a cluster: what is stored is on all of them, and one of them may be lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.bus import permission, stream, stream_copy, subject
from remit.bus.journal import Fence, Journal
from remit.contracts.errors import RetryableError
from tests.integration.nats_cluster import NatsCluster, ensured, nats_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from remit.bus.connection import Bus


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[NatsCluster]:
    async with (
        nats_cluster(tmp_path) as cluster,
        cluster.connected("topology", permission.topology_permissions()) as bus,
    ):
        await ensured(bus, ["clerk"])
        yield cluster


async def test_what_was_stored_outlives_the_leader_and_writing_goes_on(cluster: NatsCluster) -> None:
    async with cluster.connected("supervisor", permission.supervisor_permissions()) as bus:
        journal = Journal(bus, timeout_s=1.0)
        before = await journal.append("remit.run.r1._.1.started", b"before")
        leader = await _leader(bus)

        next(server for server in cluster.servers if server.name == leader).kill()

        after = await _until_stored(journal, "remit.run.r1._.2.planned", b"after")
        kept = [(entry.seq, entry.data) async for entry in journal.read(subject.run_all("r1"))]
        assert kept == [(before, b"before"), (after, b"after")]


@pytest.mark.parametrize("group_commit", [False, True])
async def test_calls_of_one_step_do_not_refuse_one_another(cluster: NatsCluster, *, group_commit: bool) -> None:
    """Alone, the leader refuses a second entry under a fence while the first is on its way to the other servers."""
    everything = permission.Permissions(account="core", publish_allow=(">",), subscribe_allow=(">",))
    async with cluster.connected("all", everything) as bus:
        journal = Journal(bus, group_commit=group_commit)
        held = await journal.append(subject.lease("r1", "s", 1), b"")
        fence = Fence(subject.lease_lane("r1", "s"), held)

        stored = await asyncio.gather(
            *(journal.append(subject.call("r1", "s", str(n), "called"), b"", fence=fence) for n in range(40))
        )

        assert sorted(stored) == list(range(held + 1, held + 41))


async def test_a_copy_of_three_replicas_is_put_back_on_one_server(
    cluster: NatsCluster, bus: Bus, tmp_path: Path
) -> None:
    async with cluster.connected("supervisor", permission.supervisor_permissions()) as writer:
        await Journal(writer).append("remit.run.r1._.1.started", b"it")
    async with cluster.connected("backup", permission.backup_permissions()) as reader:
        copied = await stream_copy.copy_out(reader, subject.JOURNAL, tmp_path / "copy")

    await stream_copy.copy_in(bus, copied, tmp_path / "copy")

    assert [entry.data async for entry in Journal(bus).read("remit.run.>")] == [b"it"]


async def _leader(bus: Bus) -> str:
    found = msgspec.json.decode(await stream.api(bus, "STREAM.INFO", subject.JOURNAL))
    return str(found["cluster"]["leader"])


async def _until_stored(journal: Journal, name: str, body: bytes) -> int:
    async with asyncio.timeout(30):
        while True:
            try:
                return await journal.append_own(name, body)
            except RetryableError:  # the servers elect a leader
                await asyncio.sleep(0.05)
