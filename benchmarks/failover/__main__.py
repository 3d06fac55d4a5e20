"""Measure three nats-servers in one cluster: what an append costs, and how long appends wait when a server dies."""

from __future__ import annotations

import asyncio
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import msgspec
import structlog
import uvloop

from remit.bus import permission, stream, subject, topology
from remit.bus.stream import ApiError
from remit.contracts.errors import RemitError
from tests.integration.nats_cluster import ClusterServer, NatsCluster, nats_cluster

if TYPE_CHECKING:
    from remit.bus.connection import Bus

BODY: Final = b"x" * 500
TIMES: Final = 5
_ASK_S: Final = 0.2
_WHOLE_S: Final = 60.0
_LOOK_S: Final = 0.02


class _Peers(msgspec.Struct):
    leader: str = ""
    replicas: list[dict[str, object]] = []


class _Info(msgspec.Struct):
    cluster: _Peers


class Writer:
    """Appends entries, each at a place of its own."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._next = 0

    async def append(self, timeout_s: float = 5.0) -> None:
        """One more entry is stored.

        Raises:
            RemitError: no answer, or a refusal.
        """
        self._next += 1
        target = f"remit.run.r{self._next}._.1.started"
        reply = await self._bus.request(target, BODY, timeout_s=timeout_s)
        if b'"seq":' not in reply.data:
            raise RemitError("the append was refused", got=reply.data.decode()[:200])

    async def rate(self, *, in_flight: int, count: int) -> tuple[float, float]:
        """Give appends per second and the median in milliseconds."""
        taken: list[float] = []
        numbers = iter(range(count))

        async def lane() -> None:
            for _ in numbers:
                at = time.perf_counter()
                await self.append()
                taken.append(time.perf_counter() - at)

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(lane())
        return count / (time.perf_counter() - began), statistics.median(taken) * 1000

    async def recover_s(self, *, most_s: float = 30.0) -> float | None:
        """Give how long it takes until an entry is stored; None if it takes longer than that."""
        began = time.perf_counter()
        while time.perf_counter() - began < most_s:
            try:
                await self.append(_ASK_S)
            except RemitError:
                await asyncio.sleep(_LOOK_S)
            else:
                return time.perf_counter() - began
        return None


async def info(bus: Bus) -> _Peers:
    """Give who holds JOURNAL."""
    answer = await stream.try_api(bus, "STREAM.INFO", subject.JOURNAL)
    return _Peers() if isinstance(answer, ApiError) else msgspec.json.decode(answer, type=_Info).cluster


async def whole(bus: Bus) -> str:
    """Give the leader of JOURNAL, once both followers know all that it knows."""
    async with asyncio.timeout(_WHOLE_S):
        while True:
            try:
                peers = await info(bus)
            except RemitError:
                peers = _Peers()
            if peers.leader and [item["current"] for item in peers.replicas] == [True, True]:
                return peers.leader
            await asyncio.sleep(_LOOK_S)


async def deaths(cluster: NatsCluster, bus: Bus, writer: Writer, *, of_leader: bool) -> list[float | None]:
    """Kill the leader of JOURNAL, or a follower, again and again; give how long appends waited each time."""
    found: list[float | None] = []
    for _ in range(TIMES):
        leader = await whole(bus)
        victim = next(server for server in cluster.servers if (server.name == leader) is of_leader)
        victim.kill()
        found.append(await writer.recover_s())
        await victim.start()
    return found


async def two_deaths(cluster: NatsCluster, bus: Bus, writer: Writer) -> tuple[float | None, float | None]:
    """Kill two servers; give how long until an append is stored without them (None), and after one is back."""
    leader = await whole(bus)
    gone: list[ClusterServer] = [server for server in cluster.servers if server.name != leader]
    for server in gone:
        server.kill()
    without = await writer.recover_s(most_s=10.0)
    began = time.perf_counter()
    await gone[0].start()
    back = await writer.recover_s()
    after = None if back is None else time.perf_counter() - began
    await gone[1].start()
    return without, after


async def measure(folder: Path, *, sync_interval: str) -> None:
    """Print what an append costs, and what deaths cost where every write is synced."""
    async with nats_cluster(folder, sync_interval=sync_interval) as cluster:
        async with cluster.connected("topology", permission.topology_permissions()) as bus:
            await topology.ensure(bus, ("clerk",), profile="cluster")
        async with cluster.connected("supervisor", permission.supervisor_permissions()) as bus:
            writer = Writer(bus)
            await whole(bus)
            await writer.rate(in_flight=16, count=500)
            for in_flight, count in ((1, 500), (8, 2000), (64, 6000)):
                per_s, p50_ms = await writer.rate(in_flight=in_flight, count=count)
                print(f"sync {sync_interval or 'default'}: {in_flight} in flight {per_s:.0f}/s, p50 {p50_ms:.2f} ms")
            if sync_interval != "always":
                return
            for of_leader in (False, True):
                waits = _said(await deaths(cluster, bus, writer, of_leader=of_leader))
                print(f"{'leader' if of_leader else 'follower'} killed, s until an append is stored: {waits}")
            without, after = await two_deaths(cluster, bus, writer)
            print(f"two killed: {_said([without])}; one is started again: {_said([after])} s after that")


def _said(values: list[float | None]) -> str:
    return ", ".join("nothing is stored" if value is None else f"{value:.2f}" for value in values)


def main() -> None:
    """Measure with every write synced, and without."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    for sync_interval in ("always", ""):
        with tempfile.TemporaryDirectory(prefix="remit-failover-") as folder:
            uvloop.run(measure(Path(folder), sync_interval=sync_interval))


if __name__ == "__main__":
    main()
