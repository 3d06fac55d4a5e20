"""A profile that a server does not give is refused, and the refusal names the setting."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from remit.bus import permission, profile, topology
from remit.bus.connection import Bus
from remit.bus.embedded import EmbeddedServer
from remit.bus.profile import Weakness
from remit.contracts.errors import BusUnavailableError, ServerTooWeakError
from tests.integration.nats_cluster import NatsCluster, ensured, nats_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from remit.bus.embedded import Durability
    from remit.bus.permission import Permissions

TOPOLOGY = permission.topology_permissions()
MONITOR = permission.monitor_permissions("monitor")


async def _connected(server: EmbeddedServer, name: str, permissions: Permissions) -> Bus:
    return await Bus.connect(server.url, name=name, credentials=server.authority.issue(name, permissions=permissions))


@pytest.fixture(params=["embedded", "durable"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Durability, Bus, Bus]]:
    """A server of one's own, with a connection that keeps the streams and one that looks at the server."""
    durability: Durability = request.param
    with EmbeddedServer.start(tmp_path, durability=durability) as started:
        bus, monitor = await _connected(started, "topology", TOPOLOGY), await _connected(started, "monitor", MONITOR)
        await topology.ensure(bus, [])
        yield durability, bus, monitor
        await bus.close()
        await monitor.close()


async def test_what_a_server_says_of_its_syncing_decides(server: tuple[Durability, Bus, Bus]) -> None:
    durability, bus, monitor = server

    proof = await profile.prove(bus, "durable", monitor=monitor)

    assert proof.evidence == "read"
    if durability == "durable":
        proof.require()
        assert proof.said() == "durable: every entry is synced before it counts; one copy; as the servers say"
        return
    with pytest.raises(ServerTooWeakError) as refused:
        proof.require()
    assert refused.value.expected == "jetstream { sync_interval: always }"
    assert (refused.value.where, refused.value.got) == ("server remit", "sync_interval: 120s")


async def test_without_the_system_account_a_write_is_measured_and_said_as_measured(
    server: tuple[Durability, Bus, Bus],
) -> None:
    """What a disk needs for a sync differs, so only the words are compared, and the traces that are left."""
    _, bus, _ = server

    proof = await profile.prove(bus, "durable")

    assert proof.evidence == "measured"
    assert proof.write_ms is not None
    assert "measured, not read" in proof.said()
    assert bool(proof.weaknesses) == (proof.write_ms < 0.05)


async def test_a_laptop_promises_no_more_than_it_gives(server: tuple[Durability, Bus, Bus]) -> None:
    _, bus, _ = server

    proof = await profile.prove(bus, "embedded")

    proof.require()
    assert proof.said() == "embedded: survives any crash of processes, not a loss of power; one copy"


async def test_one_server_is_no_cluster(server: tuple[Durability, Bus, Bus]) -> None:
    _, bus, monitor = server

    proof = await profile.prove(bus, "cluster", monitor=monitor)

    with pytest.raises(ServerTooWeakError) as refused:
        proof.require()
    assert (refused.value.expected, refused.value.got) == ("num_replicas: 3", "1")


@pytest.mark.parametrize("sync_interval", ["always", ""])
async def test_three_servers_are_a_cluster_if_all_of_them_sync(tmp_path: Path, sync_interval: str) -> None:
    async with nats_cluster(tmp_path, sync_interval=sync_interval) as cluster, _both(cluster) as (bus, monitor):
        proof = await profile.prove(bus, "cluster", monitor=monitor)

        assert sorted(proof.holders) == ["n1", "n2", "n3"]
        wanted = "jetstream { sync_interval: always }"
        lax = [
            Weakness(setting=wanted, where=f"server {name}", got="sync_interval: 120s") for name in ("n1", "n2", "n3")
        ]
        assert list(proof.weaknesses) == ([] if sync_interval else lax)


async def test_a_cluster_without_one_of_its_servers_is_not_three_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile, "_CURRENT_S", 0.5)
    async with nats_cluster(tmp_path) as cluster, _both(cluster) as (bus, monitor):
        leader = (await profile.prove(bus, "cluster", monitor=monitor)).holders[0]
        lost = next(server for server in cluster.servers if server.name != leader)
        lost.kill()

        proof = None
        while proof is None or not proof.weaknesses:
            await asyncio.sleep(0.05)  # the leader notices within some seconds
            with contextlib.suppress(BusUnavailableError):  # we were connected to the one that was lost
                proof = await profile.prove(bus, "cluster", monitor=monitor)

        assert any(lost.name in weakness.got + weakness.where for weakness in proof.weaknesses)
        with pytest.raises(ServerTooWeakError):
            proof.require()


@contextlib.asynccontextmanager
async def _both(cluster: NatsCluster) -> AsyncIterator[tuple[Bus, Bus]]:
    async with cluster.connected("topology", TOPOLOGY) as bus, cluster.connected("monitor", MONITOR) as monitor:
        await ensured(bus)
        yield bus, monitor
