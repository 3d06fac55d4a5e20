"""Record the journals that are not stored yet: `python -m tests.samples.record`. What is there is never overwritten."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec

from remit.bus import topology
from remit.bus.connection import Bus
from tests.conftest import NatsServer
from tests.integration.supervisor.world import World
from tests.samples.journals import RUNS, record
from tests.samples.stored import JOURNALS, Line, summary
from tests.teams import ROLES

if TYPE_CHECKING:
    from remit.bus.stream import Entry


async def main() -> None:
    """Every run that there is a function for has a stored journal."""
    for name in RUNS:
        if not (JOURNALS / f"{name}.jsonl").exists():
            _store(name, await _recorded(name))
            sys.stdout.write(f"recorded {name}\n")


async def _recorded(name: str) -> list[Entry]:
    with TemporaryDirectory() as folder:
        server = NatsServer(Path(folder))
        await server.start()
        bus = await Bus.connect(server.url, name="test")
        await topology.ensure(bus, list(ROLES))
        world = World(server.url, bus)
        try:
            await record(world, RUNS[name])
            return await world.entries("remit.>")
        finally:
            await world.close()
            await bus.close()
            server.kill()


def _store(name: str, entries: list[Entry]) -> None:
    lines = [
        msgspec.json.encode(
            Line(seq=entry.seq, subject=entry.subject, stored_at=entry.stored_at, data=msgspec.Raw(entry.data))
        )
        for entry in entries
        if entry.stored_at is not None
    ]
    (JOURNALS / f"{name}.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    told = msgspec.json.encode(summary(entries), order="sorted")
    (JOURNALS / f"{name}.summary.json").write_bytes(msgspec.json.format(told, indent=1) + b"\n")


if __name__ == "__main__":
    asyncio.run(main())
