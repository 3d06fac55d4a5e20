"""The socket of a connection: messages go from it to their handlers at once, all other lines to nats-py's read loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nats.aio.transport import Transport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from urllib.parse import ParseResult

TakeMessage = Callable[[list[bytes], bytes, int, int], None] if TYPE_CHECKING else object
"""Called with the words of a `MSG` or `HMSG` line, a buffer, and where in it headers and payload start and stop."""


class Cutter:
    """Cuts messages out of what the socket gave; keeps an incomplete one for later."""

    def __init__(self, take: TakeMessage) -> None:
        self._take = take
        self._chunks: list[bytes] = []
        self._have = 0
        self._need = 0

    def feed(self, data: bytes) -> bytes:
        """Hand out every complete message, in order; give the lines that are none."""
        self._chunks.append(data)
        self._have += len(data)
        if self._have < self._need:  # a large payload: joined once, when it is complete
            return b""
        buffer = data if len(self._chunks) == 1 else b"".join(self._chunks)
        position, lines = self._cut(buffer)
        rest = buffer[position:]
        self._chunks, self._have = ([rest] if rest else []), len(rest)
        return lines

    def _cut(self, buffer: bytes) -> tuple[int, bytes]:
        position, end, lines = 0, len(buffer), b""
        self._need = 0
        while position < end:
            eol = buffer.find(b"\r\n", position)
            if eol < 0:
                break
            if buffer.startswith((b"MSG ", b"HMSG "), position):
                words = buffer[position:eol].split()
                stop = eol + 4 + int(words[-1])
                if stop > end:
                    self._need = stop - position
                    break
                self._take(words, buffer, eol + 2, stop - 2)
                position = stop
            else:
                lines += buffer[position : eol + 2]
                position = eol + 2
        return position, lines


class WireTransport(Transport):
    """A TCP or TLS connection as nats-py uses one; it outlives reconnects, its socket does not."""

    def __init__(self, take: TakeMessage) -> None:
        self._take = take
        self._socket = _Socket(take)

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """A new socket stands; whatever the old one still gives is ignored."""
        self._socket.ignore()
        self._socket = socket = _Socket(self._take)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(connect_timeout):
            await loop.create_connection(lambda: socket, uri.hostname, uri.port)

    async def connect_tls(
        self, uri: str | ParseResult, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: int
    ) -> None:
        """The same socket, encrypted from here on."""
        plain = self._socket.transport
        self._socket = socket = _Socket(self._take)
        host = uri if isinstance(uri, str) else uri.hostname
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(connect_timeout):
            upgraded = await loop.start_tls(plain, socket, ssl_context, server_hostname=host)
        if upgraded is None:
            raise OSError("the connection ended during the TLS handshake")
        socket.transport = upgraded

    def write(self, payload: bytes) -> None:
        self._socket.transport.write(payload)

    def writelines(self, payload: list[bytes]) -> None:
        self._socket.transport.write(b"".join(payload))

    async def read(self, buffer_size: int) -> bytes:
        return await self._socket.read()

    async def readline(self) -> bytes:
        return await self._socket.readline()

    async def drain(self) -> None:
        await self._socket.drain()

    async def wait_closed(self) -> None:
        await self._socket.closed()

    def close(self) -> None:
        self._socket.close()

    def at_eof(self) -> bool:
        return self._socket.is_at_eof

    def __bool__(self) -> bool:
        return True


class _Socket(asyncio.Protocol):
    """One socket: messages are handed out where they arrive, lines wait to be read."""

    transport: asyncio.Transport

    def __init__(self, take: TakeMessage) -> None:
        self._cutter = Cutter(take)
        self._lines = b""
        self._is_ignored = False
        self._has_ended = False
        self._was_made = False
        self._changed = asyncio.Event()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._lost = asyncio.Event()

    @property
    def is_at_eof(self) -> bool:
        """Whether nothing will be read any more."""
        return self._has_ended and not self._lines

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self._was_made = transport, True

    def data_received(self, data: bytes) -> None:
        if self._is_ignored:
            return
        if lines := self._cutter.feed(data):
            self._lines += lines
            self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_ended = True
        self._changed.set()
        self._may_write.set()
        self._lost.set()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def ignore(self) -> None:
        """Messages that still come are not handed out."""
        self._is_ignored = True

    async def read(self) -> bytes:
        while not self._lines and not self._has_ended:
            self._changed.clear()
            await self._changed.wait()
        lines, self._lines = self._lines, b""
        return lines

    async def readline(self) -> bytes:
        while b"\n" not in self._lines and not self._has_ended:
            self._changed.clear()
            await self._changed.wait()
        line, newline, self._lines = self._lines.partition(b"\n")
        return line + newline

    async def drain(self) -> None:
        await self._may_write.wait()

    async def closed(self) -> None:
        if self._was_made:
            await self._lost.wait()

    def close(self) -> None:
        self.ignore()
        if self._was_made:
            self.transport.close()
