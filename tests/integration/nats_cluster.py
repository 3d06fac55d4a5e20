"""Three real nats-servers in one cluster on loopback, as a NATS operator would run them for us."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
from typing import TYPE_CHECKING, Final

from remit.bus import permission, stream, subject, topology
from remit.bus.connection import Bus
from remit.bus.embedded import binary
from remit.bus.identity import Authority
from remit.contracts.errors import BusRefusedError, BusUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from remit.bus.permission import Permissions

SERVERS: Final = 3
START_S: Final = 30.0
_MAX_PAYLOAD_BYTES: Final = 4 * 1024 * 1024
_CONTROL_LINE_BYTES: Final = 256 * 1024
_MONITOR: Final = "monitor"
_NOT_FOUND: Final = 404


class ClusterServer:
    """One server of a cluster; its ports and its data stay the same when it is started again."""

    def __init__(self, folder: Path, name: str, config: str) -> None:
        self.folder = folder
        self.name = name
        self.port = -1
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients of this server connect."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process; 0 if none runs."""
        return self._process.pid if self._process is not None else 0

    async def start(self) -> None:
        """The server listens to clients; on the port of the last time, if there was one."""
        self.folder.mkdir(exist_ok=True)
        config, log = self.folder / "server.conf", self.folder / "log"
        config.write_text(f"port: {self.port}\n{self._config}")
        self._process = subprocess.Popen([binary(), "-c", config, "-l", log])  # noqa: ASYNC220  # returns at once
        ports = self.folder / f"nats-server_{self._process.pid}.ports"
        async with asyncio.timeout(START_S):
            while True:
                assert self._process.poll() is None, log.read_text()
                with contextlib.suppress(OSError, ValueError):
                    self.port = int(json.loads(ports.read_text())["nats"][0].rsplit(":", 1)[1])
                    return
                await asyncio.sleep(0.005)

    def kill(self) -> None:
        """The server is gone without warning; what it stored stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_S)
            self._process = None


class NatsCluster:
    """Three servers in operator mode under one authority; JetStream syncs every write unless told otherwise."""

    def __init__(self, folder: Path, *, sync_interval: str = "always") -> None:
        self.folder = folder
        self.authority = Authority.create_or_load(folder / "keys")
        names = [f"n{number}" for number in range(1, SERVERS + 1)]
        routes = dict(zip(names, _free_ports(SERVERS), strict=True))
        sync = f", sync_interval: {sync_interval}" if sync_interval else ""
        self.servers = tuple(
            ClusterServer(folder / name, name, self._configured(folder / name, name, routes, sync)) for name in names
        )

    def _configured(self, folder: Path, name: str, routes: dict[str, int], sync: str) -> str:
        others = ", ".join(f'"nats://127.0.0.1:{port}"' for other, port in routes.items() if other != name)
        return (
            f'host: 127.0.0.1\nserver_name: {name}\nports_file_dir: "{folder}"\n'
            f"max_payload: {_MAX_PAYLOAD_BYTES}\nmax_control_line: {_CONTROL_LINE_BYTES}\n"
            f'jetstream {{ store_dir: "{folder}/js"{sync} }}\n'
            f"cluster {{ name: loopback, host: 127.0.0.1, port: {routes[name]}, routes: [{others}] }}\n"
            + self.authority.server_config(folder / "jwt")
        )

    @property
    def url(self) -> str:
        """Where clients connect: all servers, the commas as in every NATS client."""
        return ",".join(server.url for server in self.servers)

    async def start(self) -> None:
        """All servers listen, know one another and have elected the leader of JetStream."""
        await asyncio.gather(*(server.start() for server in self.servers))
        monitor, topology = permission.monitor_permissions(_MONITOR), permission.topology_permissions()
        async with asyncio.timeout(START_S), self.connected(_MONITOR, monitor) as bus:
            while not await _is_whole(bus):
                await asyncio.sleep(0.02)
        # The leader refuses until it has looked the account up.
        async with asyncio.timeout(START_S), self.connected("topology", topology) as bus:
            while not await _is_served(bus):
                await asyncio.sleep(0.02)

    def stop(self) -> None:
        """No server runs any more; what they stored stays."""
        for server in self.servers:
            server.kill()

    @contextlib.asynccontextmanager
    async def connected(self, name: str, permissions: Permissions) -> AsyncIterator[Bus]:
        """A connection under an identity of the cluster's authority."""
        credentials = self.authority.issue(name, permissions=permissions)
        bus = await Bus.connect(self.url, name=name, credentials=credentials)
        try:
            yield bus
        finally:
            await bus.close()


@contextlib.asynccontextmanager
async def nats_cluster(folder: Path, *, sync_interval: str = "always") -> AsyncIterator[NatsCluster]:
    """Three servers that stand, in one call; none is left afterwards."""
    cluster = NatsCluster(folder, sync_interval=sync_interval)
    try:
        await cluster.start()
        yield cluster
    finally:
        cluster.stop()


async def ensured(bus: Bus, roles: Sequence[str] = ()) -> None:
    """Every stream is there, thrice; asked for again while the servers are busy with one another."""
    async with asyncio.timeout(START_S * 2):
        while True:
            with contextlib.suppress(BusUnavailableError, BusRefusedError):
                await topology.ensure(bus, roles, profile="cluster")
                return
            await asyncio.sleep(0.1)


async def _is_whole(bus: Bus) -> bool:
    """Say whether the leader of JetStream's metadata sees every other server up to date."""
    found: asyncio.Queue[bytes] = asyncio.Queue()
    inbox = bus.new_inbox("meta")
    heard = await bus.subscribe(inbox, lambda message: found.put_nowait(message.data))
    try:
        bus.send("$SYS.REQ.SERVER.PING.JSZ", reply=inbox)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                for _ in range(SERVERS):
                    if _sees_all(await found.get()):
                        return True
    finally:
        heard.drop()
    return False


async def _is_served(bus: Bus) -> bool:
    answer = await stream.try_api(bus, "STREAM.INFO", subject.JOURNAL)
    return not isinstance(answer, stream.ApiError) or answer.code == _NOT_FOUND


def _sees_all(answer: bytes) -> bool:
    meta = json.loads(answer).get("data", {}).get("meta_cluster") or {}
    replicas = meta.get("replicas") or []
    return bool(meta.get("leader")) and len(replicas) == SERVERS - 1 and all(item["current"] for item in replicas)


def _free_ports(count: int) -> list[int]:
    """Give ports that nobody uses: routes are written into every configuration before a server has one."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
