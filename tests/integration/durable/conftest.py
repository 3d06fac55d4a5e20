"""A whole team in one process."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.integration.durable.house import House, charter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from remit import Team
    from remit.bus.connection import Bus
    from remit.contracts.charter import Charter

    Housing = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture
def housing(nats_url: str, bus: Bus, tmp_path: Path) -> Housing:
    """Give what opens the house of a team."""

    @asynccontextmanager
    async def housed(team: Team, rules: Charter | None = None) -> AsyncIterator[House]:
        house = House(nats_url, bus, team, rules=rules or charter(team), data=tmp_path)
        try:
            await house.open()
            yield house
        finally:
            await house.close()
        assert house.bugs == []

    return housed
