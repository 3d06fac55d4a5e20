"""A real nats-server, and a connection to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from remit.bus.connection import Bus
from remit.bus.embedded import binary

if TYPE_CHECKING:
    import signal
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")  # a busy machine is slow, which is no failure

START_S = 10.0
EVENTUALLY_S = 30.0


class NatsServer:
    """A nats-server without authentication: fast, for tests that are not about identities."""

    def __init__(self, folder: Path, *, sync_interval: str = "") -> None:
        self.folder = folder
        self._sync = f", sync_interval: {sync_interval}" if sync_interval else ""
        self.url = ""
        self._port = -1
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """The server listens; on the port of the last time, if there was one."""
        self._process = self._launch()
        self.url = await asyncio.wait_for(self._listening(self._process), START_S)
        self._port = int(self.url.rsplit(":", 1)[1])

    def _launch(self) -> subprocess.Popen[bytes]:
        config = self.folder / "server.conf"
        config.write_text(
            f'host: 127.0.0.1\nport: {self._port}\nports_file_dir: "{self.folder}"\n'
            f'jetstream {{ store_dir: "{self.folder}/js"{self._sync} }}\n'
        )
        return subprocess.Popen([binary(), "-c", config, "-l", self.folder / "log"])

    def kill(self) -> None:
        """The server is gone without warning; what it stored stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_S)
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """The server gets a signal."""
        if self._process is not None:
            self._process.send_signal(number)

    async def _listening(self, process: subprocess.Popen[bytes]) -> str:
        """The server writes the file when it listens, and tells nobody."""
        ports = self.folder / f"nats-server_{process.pid}.ports"
        while True:
            assert process.poll() is None, (self.folder / "log").read_text()
            with contextlib.suppress(OSError, ValueError):
                return str(json.loads(ports.read_text())["nats"][0])
            await asyncio.sleep(0.002)


@pytest.fixture
def stopped_nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path)
    yield server
    server.kill()


@pytest.fixture
async def nats_server(stopped_nats_server: NatsServer) -> NatsServer:
    await stopped_nats_server.start()
    return stopped_nats_server


Holds = Callable[[], Awaitable[bool]]
Eventually = Callable[[Holds], Awaitable[None]]


@pytest.fixture
def eventually() -> Eventually:
    """Wait for what another process does and tells nobody."""

    async def wait(holds: Holds) -> None:
        async with asyncio.timeout(EVENTUALLY_S):
            while not await holds():  # there is no event to wait for
                await asyncio.sleep(0.01)

    return wait


@pytest.fixture
def nats_url(nats_server: NatsServer) -> str:
    return nats_server.url


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    bus = await Bus.connect(nats_server.url, name="test")
    yield bus
    await bus.close()
