"""The socket of a connection: messages go from it to their handlers at once, all other lines to nats-py's read loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from nats.aio.transport import Transport

if TYPE_CHECKING:
    import ssl
    from urllib.parse import ParseResult

_CLOSE_S = 2.0

TakeMessage = Callable[[list[bytes], bytes, bytes], None]
"""Called with the words of a `MSG` or `HMSG` line, the header block and the payload."""


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
                words = buffer[position:eol].split(b" ")  # a subject may hold any other white space
                start = eol + 2
                stop = start + int(words[-1])
                if stop + 2 > end:
                    self._need = stop + 2 - position
                    break
                body = start + int(words[-2]) if words[0] == b"HMSG" else start
                self._take(words, buffer[start:body], buffer[body:stop])
                position = stop + 2
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
            await loop.create_connection(lambda: socket, uri.hostname or "", uri.port or 0)

    async def connect_tls(  # noqa: PLR0917  # nats-py's signature
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
        socket.connection_made(upgraded)  # the loop says so of the first protocol of a socket only

    def write(self, payload: bytes) -> None:
        """Sent soon."""
        self._socket.write(payload)

    def writelines(self, payload: list[bytes]) -> None:
        """All are sent soon, in one piece."""
        self._socket.write(b"".join(payload))

    async def read(self, buffer_size: int) -> bytes:
        """Give the lines that came, without messages; nothing at the end."""
        return await self._socket.read()

    async def readline(self) -> bytes:
        """Give one line of the handshake."""
        return await self._socket.readline()

    async def drain(self) -> None:
        """The socket keeps up."""
        await self._socket.drain()

    async def wait_closed(self) -> None:
        """The socket is closed."""
        await self._socket.closed()

    def close(self) -> None:
        """The socket closes, and nothing it still gives is handed out."""
        self._socket.close()

    def at_eof(self) -> bool:
        """Say whether nothing will be read any more."""
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
        """The socket stands."""
        self.transport, self._was_made = cast("asyncio.Transport", transport), True  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        """Messages go out at once; lines wait."""
        if self._is_ignored:
            return
        if lines := self._cutter.feed(data):
            self._lines += lines
            self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits goes on and sees the end."""
        self._has_ended = True
        self._changed.set()
        self._may_write.set()
        self._lost.set()

    def pause_writing(self) -> None:
        """Much is unsent."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Little is unsent."""
        self._may_write.set()

    def write(self, data: bytes) -> None:
        """Sent soon, if there still is a socket; after a reconnect the publisher repeats what was not answered."""
        if self._was_made and not self._has_ended:
            self.transport.write(data)

    def ignore(self) -> None:
        """Messages that still come are not handed out."""
        self._is_ignored = True

    async def read(self) -> bytes:
        """Give the lines that came; nothing at the end."""
        while not self._lines and not self._has_ended:
            self._changed.clear()
            await self._changed.wait()
        lines, self._lines = self._lines, b""
        return lines

    async def readline(self) -> bytes:
        """Give one line, or what is left at the end."""
        while b"\n" not in self._lines and not self._has_ended:
            self._changed.clear()
            await self._changed.wait()
        line, newline, self._lines = self._lines.partition(b"\n")
        return line + newline

    async def drain(self) -> None:
        """Return when the socket keeps up, or is lost."""
        await self._may_write.wait()

    async def closed(self) -> None:
        """Return when the socket is closed; a peer that takes nothing any more is not waited for."""
        if not self._was_made:
            return
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._lost.wait()
        except TimeoutError:
            self.transport.abort()
            await self._lost.wait()

    def close(self) -> None:
        """The socket closes."""
        self.ignore()
        if self._was_made:
            self.transport.close()
