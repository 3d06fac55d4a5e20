"""Stands where nats-py's client stands, below the product's own `Bus`: everything above it is the product's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import structlog

from remit.bus.wire import _check_subject, header_block
from remit.contracts.errors import BusUnavailableError, TooLargeError
from tests.simulation.network import Link
from tests.simulation.process import PROCESS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from remit.bus.wire import Incoming

log = structlog.get_logger(__name__)


class _Told(Protocol):
    def __call__(self) -> Coroutine[object, object, None]: ...


class SimWire:
    """What `remit.bus.connection` needs of `WireClient`, over a simulated link."""

    def __init__(self) -> None:
        self.handlers: dict[int, Callable[[Incoming], None]] = {}
        self.process = PROCESS.get()
        self.is_connected = False
        self.is_closed = False
        self.max_payload = 1024 * 1024
        self.last_error: Exception | None = None
        self.servers: list[object] = []
        self._server_info = {"version": "2.15.1"}
        self._network = self.process.world.network
        self._link: Link
        self._name = ""
        self._sid = 0
        self._subs: dict[int, tuple[str, str]] = {}
        self._unsent: list[tuple[str, str, bytes, bytes]] = []
        self._on_lost: _Told
        self._on_back: _Told
        self._on_end: _Told

    async def connect(
        self,
        _url: str,
        *,
        name: str,
        disconnected_cb: _Told,
        reconnected_cb: _Told,
        closed_cb: _Told,
        **_options: object,
    ) -> None:
        self._name, self._on_lost, self._on_back, self._on_end = name, disconnected_cb, reconnected_cb, closed_cb
        await asyncio.sleep(self._network.delay_s())
        self.process.wires.append(self)
        self._join()

    def _join(self) -> None:
        if self.process.is_dead or self.is_closed:
            return
        self._link = Link(self._network, self, self.process, self._name)
        self.is_connected = True
        for sid, (subject, queue) in self._subs.items():
            self._link.up(self._network.server.subscribe, sid, subject, queue)
        unsent, self._unsent = self._unsent, []
        for message in unsent:
            self._link.up(self._network.server.publish, *message)

    # --- what `Bus` uses -------------------------------------------------------------------------

    def send(self, subject: str, body: bytes, *, reply: str = "", headers: Mapping[str, str] | None = None) -> None:
        _check_subject(subject, reply)
        block = header_block(headers) if headers else b""
        size = len(block) + len(body)
        if size > self.max_payload:
            raise TooLargeError("the message is too large", where=subject, got=str(size))
        if self.process.is_dead:
            return
        if self.is_closed:
            raise BusUnavailableError("the connection to NATS is closed")
        if not self.is_connected:
            self._unsent.append((subject, reply, block, body))
        elif self._network.tap(self.process, subject) and self.is_connected:
            self._link.up(self._network.server.publish, subject, reply, block, body)

    async def drained(self) -> None:
        """The socket always keeps up."""

    def listen(self, subject: str, handler: Callable[[Incoming], None], *, queue: str = "") -> int:
        _check_subject(subject, queue)
        self._sid += 1
        self._subs[self._sid] = (subject, queue)
        self.handlers[self._sid] = handler
        if self.is_connected:
            self._link.up(self._network.server.subscribe, self._sid, subject, queue)
        return self._sid

    def unlisten(self, sid: int) -> None:
        if self._subs.pop(sid, None) is not None and self.is_connected:
            self._link.up(self._network.server.unsubscribe, sid)

    def write_now(self) -> None:
        """Nothing ever waits here."""

    async def confirmed(self, timeout_s: float) -> None:
        pong: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self.is_connected:
            self._link.up(Link.pong, pong)
        async with asyncio.timeout(timeout_s):
            await pong

    async def close(self) -> None:
        self.is_closed = True
        if self.is_connected:
            self.is_connected = False
            self._link.up(self._network.server.leave)
        if self in self.process.wires:
            self.process.wires.remove(self)

    # --- what happens to it ----------------------------------------------------------------------

    def deliver(self, link: Link, sid: int, message: Incoming) -> None:
        """A message arrived."""
        handler = self.handlers.get(sid)
        if handler is None or link.is_cut or self.process.is_dead:
            return
        try:
            handler(message)
        except Exception as error:  # noqa: BLE001  # as the real client: it must not end the reading of the others
            self.process.world.bug(self.process, error)

    def cut(self, *, for_good: bool = False, notice_s: float = 0.0) -> None:
        """The connection is lost; the server notices after a while."""
        if not self.is_connected:
            return
        self.is_connected = False
        link = self._link
        link.cut()
        asyncio.get_running_loop().call_later(notice_s, self._network.server.leave, link, context=self._network.nowhere)
        if not for_good:
            self.process.spawn(self._on_lost())

    def restore(self) -> None:
        """The connection stands again: subscriptions are replayed, then what waited is sent."""
        if self.is_connected or self.is_closed or self.process.is_dead:
            return
        self._join()
        self.process.spawn(self._on_back())
