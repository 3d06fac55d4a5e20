"""The three servers of deploy/nats on this machine: the shipped files, with only names, ports and paths replaced."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from remit.bus.connection import Bus
from remit.bus.embedded import binary
from remit.bus.identity import Authority
from remit.bus.permission import monitor_permissions
from remit.identity_export import RESOLVER
from tests.page import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from remit.bus.permission import Permissions

FILES: Final = ROOT / "deploy/nats"
NAMES: Final = ("nats-0", "nats-1", "nats-2")
HOST: Final = "127.0.0.1"
START_S: Final = 30.0


class Servers:
    """The three configurations in one folder, and the servers that run on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority.create_or_load(folder / "keys")
        ports = _free_ports(3 * len(NAMES))
        self.ports = dict(zip(NAMES, ports[:3], strict=True))
        self._routes = dict(zip(NAMES, ports[3:6], strict=True))
        self._monitoring = dict(zip(NAMES, ports[6:], strict=True))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ca = self._certify()
        for name in NAMES:
            self._configure(name)

    def config(self, name: str) -> Path:
        """The file that a server is started with."""
        return self.folder / name / f"{name}.conf"

    def url(self, name: str) -> str:
        """Where clients connect to a server."""
        return f"tls://{HOST}:{self.ports[name]}"

    def checked(self, name: str) -> subprocess.CompletedProcess[str]:
        """Let nats-server read a configuration."""
        return subprocess.run(
            [binary(), "-t", "-c", self.config(name)],
            cwd=self.folder / name,
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )

    async def start(self) -> None:
        """All servers listen."""
        for name in NAMES:
            own = self.folder / name
            command = [str(binary()), "-c", str(self.config(name)), "-l", str(own / "log")]
            self._processes[name] = subprocess.Popen(command, cwd=own)  # noqa: ASYNC220  # returns at once
        async with asyncio.timeout(START_S):
            for name, process in self._processes.items():
                while not await _listens(self.ports[name]):
                    assert process.poll() is None, (self.folder / name / "log").read_text()
                    await asyncio.sleep(0.02)

    def kill(self, name: str) -> None:
        """A server is gone without warning; without one of that name, nothing happens."""
        if process := self._processes.pop(name, None):
            process.kill()
            process.wait(START_S)

    @contextlib.asynccontextmanager
    async def connected(self, server: str, name: str, permissions: Permissions) -> AsyncIterator[Bus]:
        """A connection to one server under an identity of the authority."""
        credentials = self.authority.issue(name, permissions=permissions)
        bus = await Bus.connect(self.url(server), name=name, credentials=credentials)
        try:
            yield bus
        finally:
            await bus.close()

    @contextlib.asynccontextmanager
    async def monitored(self, server: str) -> AsyncIterator[Bus]:
        """A connection that may look at the servers themselves."""
        async with self.connected(server, "monitor", monitor_permissions("monitor")) as bus:
            yield bus

    def _configure(self, name: str) -> None:
        own = self.folder / name
        shutil.copytree(FILES, own)
        text = (own / "server.conf").read_text()
        for other in NAMES:
            text = text.replace(f"tls://{other}.internal:6222", f"tls://{HOST}:{self._routes[other]}")
        replaced = {
            "0.0.0.0:6222": f"{HOST}:{self._routes[name]}",
            "host: 0.0.0.0": f"host: {HOST}",
            "port: 4222": f"port: {self.ports[name]}",
            "127.0.0.1:8222": f"127.0.0.1:{self._monitoring[name]}",
            "/etc/nats/tls": str(self.folder / "tls"),
            "/var/lib/nats": str(own / "data"),
        }
        for old, new in replaced.items():
            assert old in text, old
            text = text.replace(old, new)
        (own / "server.conf").write_text(text)
        (own / "remit-accounts.conf").write_text(self.authority.server_config(RESOLVER))

    def _certify(self) -> Path:
        """Make one certificate for all three; it is its own authority."""
        tls = self.folder / "tls"
        tls.mkdir()
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
                *("-days", "2", "-subj", "/CN=nats", "-addext", f"subjectAltName=IP:{HOST}"),
                *("-keyout", tls / "server.key", "-out", tls / "server.crt"),
            ],
            check=True,
            capture_output=True,
            timeout=30,
        )
        return Path(shutil.copy(tls / "server.crt", tls / "ca.crt"))


async def _listens(port: int) -> bool:
    try:
        _reader, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


def _free_ports(count: int) -> list[int]:
    """Give ports that nobody uses: routes are written into every configuration before a server has one."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [int(each.getsockname()[1]) for each in sockets]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    servers = Servers(tmp_path)
    yield servers
    for name in NAMES:
        servers.kill(name)
