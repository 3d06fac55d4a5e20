"""A real server, and the world of an agent on it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from remit.bus import permission, topology
from remit.bus.embedded import EmbeddedServer
from tests.integration.agents.world import World, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

# Read when ray is imported: under `uv run`, ray would otherwise send the whole tree to every worker.
os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"


@pytest.fixture
def embedded_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer.start(tmp_path / "data") as server:
        yield server


@pytest.fixture
async def world(embedded_server: EmbeddedServer) -> AsyncIterator[World]:
    shaper = await connect(embedded_server, "topology", permission.topology_permissions())
    await topology.ensure(shaper, ["probe"])
    await shaper.close()
    world = World(
        embedded_server,
        await connect(embedded_server, "supervisor", permission.supervisor_permissions()),
        await connect(embedded_server, "watcher", permission.operator_permissions("watcher")),
    )
    await world.watch()
    try:
        yield world
    finally:
        await world.close()
    assert world.bugs == []
