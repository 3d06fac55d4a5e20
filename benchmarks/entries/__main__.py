"""Measure what nats-server keeps for the entries of a write-once stream, each of which has a subject of its own."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
import structlog
import uvloop

from remit.bus import permission, topology
from remit.bus.connection import Bus
from remit.bus.embedded import EmbeddedServer

if TYPE_CHECKING:
    from remit.bus.identity import Credentials

KINDS: Final = (
    "_.1.started",
    "_.work.clerk.s1.1",
    "s1.lease.1",
    "s1.clerk-a1.1.recorded",
    "s1.clerk-a1.2.completed",
    "_.2.finished",
)
BODY: Final = b"x" * 450
LANES: Final = 256
STEPS: Final = (50_000, 100_000, 200_000, 400_000)


async def fill(bus: Bus, begin: int, end: int) -> float:
    """Append the entries of so many runs; give entries per second."""
    numbers = iter(range(begin, end))

    async def lane() -> None:
        for number in numbers:
            run, kind = divmod(number, len(KINDS))
            await bus.request(f"remit.run.r{run + 1}.{KINDS[kind]}", BODY, timeout_s=60)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(LANES):
            group.create_task(lane())
    return (end - begin) / (time.perf_counter() - began)


def used(server: EmbeddedServer) -> tuple[float, float]:
    """Give MB of memory that only the server has, and of its files."""
    memory = psutil.Process(server.pid).memory_full_info().uss
    files = sum(path.stat().st_size for path in (server.directory / "js").rglob("*") if path.is_file())
    return memory / 1e6, files / 1e6


async def measure(folder: Path) -> None:
    """Print memory, files and rate at every size, and what a restart costs."""
    with EmbeddedServer.start(folder) as server:
        print(f"empty: {used(server)[0]:.0f} MB of memory")
        await _ensure(server)
        bus = await Bus.connect(server.url, name="supervisor", credentials=_writer(server))
        done = 0
        for count in STEPS:
            per_s = await fill(bus, done, count)
            done = count
            memory, files = used(server)
            print(f"{count} entries: {memory:.0f} MB of memory, {files:.0f} MB of files, {per_s:.0f}/s", flush=True)
        await bus.close()
    began = time.perf_counter()
    with EmbeddedServer.start(folder) as server:
        print(f"started again: listens after {time.perf_counter() - began:.2f} s, {used(server)[0]:.0f} MB of memory")


async def _ensure(server: EmbeddedServer) -> None:
    rights = permission.topology_permissions()
    bus = await Bus.connect(
        server.url, name="topology", credentials=server.authority.issue("topology", permissions=rights)
    )
    await topology.ensure(bus, ("clerk",))
    await bus.close()


def _writer(server: EmbeddedServer) -> Credentials:
    # One identity for all kinds: whose lane an entry is in changes nothing of what it costs.
    rights = permission.Permissions(
        account="core", publish_allow=("remit.run.>",), subscribe_allow=("_I.supervisor.>",)
    )
    return server.authority.issue("supervisor", permissions=rights)


def main() -> None:
    """Measure on a fresh server."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="remit-entries-") as folder:
        uvloop.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
