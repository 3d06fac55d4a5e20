"""A shop's supervisor and everything around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remit.bus import topology
from tests.integration.supervisor.world import World
from tests.teams import ROLES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remit.bus.connection import Bus


@pytest.fixture
async def world(nats_url: str, bus: Bus) -> AsyncIterator[World]:
    await topology.ensure(bus, list(ROLES))
    world = World(nats_url, bus)
    try:
        yield world
    finally:
        await world.close()
    assert world.bugs == []
