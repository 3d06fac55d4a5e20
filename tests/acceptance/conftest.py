"""A deployed team and an effect server, each in processes of its own."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from remit import places
from remit.bus.connection import Bus
from remit.bus.identity import Credentials
from remit.contracts.control import AskStatus, TeamStatus
from remit.contracts.message import decode, encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TEAMS = Path(__file__).parent / "teams"
REMIT = Path(sys.executable).with_name("remit")
START_S = 120.0


class World:
    """A team that `remit up` serves, the two connections of its users, and the port of the effect server."""

    def __init__(self, serving: asyncio.subprocess.Process, operator: Bus, publisher: Bus, *, effects: int) -> None:
        self.serving = serving
        self.operator = operator
        self.publisher = publisher
        self.effects = effects

    def processes(self, kind: str) -> list[psutil.Process]:
        """Give the Ray workers that run an actor class."""
        found = []
        for child in psutil.Process(self.serving.pid).children(recursive=True):
            with suppress(psutil.Error):
                if " ".join(child.cmdline()).startswith(f"ray::{kind}"):
                    found.append(child)
        return found

    def servers(self) -> list[psutil.Process]:
        """Give the nats-server of the deployment."""
        children = psutil.Process(self.serving.pid).children(recursive=True)
        return [child for child in children if child.name().startswith("nats-server")]

    async def counted(self) -> Counter[str]:
        """Give how often each effect happened, as the effect server saw it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.effects)
        writer.write(b"all - -\n")
        lines = (await reader.read()).decode().splitlines()
        writer.close()
        return Counter({name: int(count) for count, _, name in (line.partition(" ") for line in lines)})

    async def status(self) -> TeamStatus:
        """Give the deployment as its supervisor sees it."""
        answer = await self.operator.request("remit.ctl.status.operator", encode(AskStatus()))
        return decode(TeamStatus, answer.data)

    async def ready(self) -> None:
        """Every wished host is there."""
        async with asyncio.timeout(START_S):
            while not is_ready(await self.status()):
                await asyncio.sleep(0.1)


def is_ready(status: TeamStatus) -> bool:
    return bool(status.gateways) and all(role.ready >= role.desired for role in status.roles)


@pytest.fixture
async def effects() -> AsyncIterator[int]:
    counting = await asyncio.create_subprocess_exec(
        sys.executable, str(TEAMS / "chaos" / "effects.py"), stdout=asyncio.subprocess.PIPE
    )
    assert counting.stdout is not None
    yield int(await counting.stdout.readline())
    counting.terminate()
    await counting.wait()


@pytest.fixture
async def world(effects: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setenv("EFFECTS_PORT", str(effects))
    async with deployed(TEAMS / "chaos", "chaos", home=tmp_path, monkeypatch=monkeypatch, effects=effects) as world:
        yield world


@asynccontextmanager
async def deployed(
    folder: Path, name: str, *, home: Path, monkeypatch: pytest.MonkeyPatch, effects: int = 0
) -> AsyncIterator[World]:
    """Give a team that `remit up` serves; afterwards it ended."""
    monkeypatch.setenv(places.HOME, str(home))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    words = (str(REMIT), "up", str(folder), "--port", "0", "--output", "json")
    serving = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert serving.stdout is not None
    try:
        assert await asyncio.wait_for(serving.stdout.readline(), START_S)
        place = places.read(name)
        operator = await connect(place, "operator", place.operator)
        publisher = await connect(place, "publisher", place.publisher)
        world = World(serving, operator, publisher, effects=effects)
        await world.ready()
        yield world
        await publisher.close()
        await operator.close()
    finally:
        if serving.returncode is None:
            serving.send_signal(signal.SIGINT)
        await asyncio.wait_for(serving.wait(), 60)


async def connect(place: places.Place, name: str, credentials: str) -> Bus:
    return await Bus.connect(place.url, name=name, credentials=Credentials.read(Path(credentials)))
