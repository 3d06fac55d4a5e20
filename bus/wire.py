"""nats-py's client with a cheap delivery path: one synchronous call from the socket to the callback, headers unread.

nats-py delivers through a queue, a task and a coroutine per message and decodes every header block; a publish runs
through five coroutines. In one Python process that is most of a journal append. This file, and no other, reaches
behind nats-py's interface, at four places; the rest (handshake, signing, pings, reconnecting, replaying of
subscriptions) stays nats-py's own:

- `_transport`: a socket of ours that hands messages out where they arrive and leaves every other line to nats-py;
- `_subs`: our subscriptions stand there, so that a reconnect replays them, but have a handler instead of a task;
- `_pending`: commands are put there at once, and written once per turn of the event loop;
- `handlers` beside nats-py's subscriptions decides who is called.
"""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.subscription import Subscription as NatsSubscription

from remit.bus.transport import WireTransport
from remit.contracts.errors import BusUnavailableError, MalformedMessageError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = structlog.get_logger(__name__)

_HEADER_NAME = re.compile(r"[!-9;-~]+")
_DRAIN_EVERY_BYTES: Final = 256 * 1024
_SUBJECTS_BYTES: Final = 3500
"""What the subjects of one command may take. nats-server's line has 4,096 bytes unless it is told otherwise, verb and
sizes included; it closes the connection of who exceeds it, and nats-py does not come back from that."""
_STATUS_AT, _STATUS_LENGTH = 9, 3


class Incoming(msgspec.Struct, frozen=True, gc=False):
    """A message as it came; headers are decoded only when they are asked for."""

    subject: str
    data: bytes
    reply: str = ""
    raw_headers: bytes = b""

    @property
    def headers(self) -> dict[str, str] | None:
        """The decoded headers, or None if there are none."""
        return parse_headers(self.raw_headers) if self.raw_headers else None

    @property
    def status(self) -> int:
        """The server's inline status such as 404 or 503; 0 for every message that someone sent."""
        if not self.raw_headers.startswith(b"NATS/1.0 "):
            return 0
        return int(self.raw_headers[_STATUS_AT : _STATUS_AT + _STATUS_LENGTH])

    @property
    def description(self) -> str:
        """The words that the server puts after its status."""
        return self.raw_headers.split(b"\r\n", 1)[0][_STATUS_AT + _STATUS_LENGTH :].strip().decode()


def parse_headers(raw: bytes) -> dict[str, str]:
    """Give a header block as a dict; the last of several values of one name stands."""
    pairs = (line.partition(":") for line in raw.decode("utf-8", "replace").split("\r\n")[1:])
    return {name: value.strip() for name, colon, value in pairs if colon}


def header_block(headers: Mapping[str, str]) -> bytes:
    """Give headers as NATS writes them.

    Raises:
        MalformedMessageError: a name or value would break out of its line; nothing was sent.
    """
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers) or not all(map(_is_name, headers)):
        raise MalformedMessageError("a header must be one line with a name", got=repr(dict(headers))[:256])
    return f"NATS/1.0\r\n{lines}\r\n".encode()


@lru_cache(maxsize=256)
def _is_name(name: str) -> bool:
    return bool(_HEADER_NAME.fullmatch(name))


def _is_subject(text: str) -> bool:
    return bool(text) and " " not in text and text.isprintable()  # line ends are not printable


def _fits(text: str) -> bool:
    return len(text.encode()) <= _SUBJECTS_BYTES


def _check_subject(subject: str, other: str) -> None:
    text = subject + other
    if not subject or not _is_subject(text):
        raise MalformedMessageError("this is no subject", got=repr(subject[:128]))
    if not _fits(text):
        raise MalformedMessageError(
            "the subject is too long", where=subject[:128], expected=f"at most {_SUBJECTS_BYTES} bytes, reply included"
        )


def _answerable(word: bytes) -> str:
    """Give the reply that somebody chose; none where no answer could be sent, for who answers must not fail at it."""
    reply = word.decode("utf-8", "ignore")
    return reply if reply.encode() == word and _is_subject(reply) and _fits(reply) else ""


class WireClient(Client):
    """A nats-py client that calls handlers synchronously and publishes without waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers: dict[int, Callable[[Incoming], None]] = {}
        self._transport = WireTransport(self._deliver)
        self._write_is_due = False
        self._undrained_bytes = 0

    def send(self, subject: str, body: bytes, *, reply: str = "", headers: Mapping[str, str] | None = None) -> None:
        """Hand a message to the socket; it leaves within this turn of the loop, or after the reconnect.

        Raises:
            MalformedMessageError: the subject or a header cannot be written, or subject and reply are too long for
                the server's line; nothing was sent.
            TooLargeError: the message is above the server's limit; nothing was sent.
            BusUnavailableError: the connection is closed, or its buffer is full; nothing was sent.
        """
        _check_subject(subject, reply)
        block = header_block(headers) if headers else b""
        size = len(block) + len(body)
        if size > self._max_payload:
            raise TooLargeError(
                "the message is too large", where=subject, expected=f"at most {self._max_payload} bytes", got=str(size)
            )
        head = f"HPUB {subject} {reply} {len(block)} {size}\r\n" if block else f"PUB {subject} {reply} {size}\r\n"
        self._enqueue(b"".join((head.encode(), block, body, b"\r\n")))

    async def drained(self) -> None:
        """Return when the socket keeps up again: at once, except after much was sent."""
        if self._undrained_bytes < _DRAIN_EVERY_BYTES or not self.is_connected or self._transport is None:
            return
        self._undrained_bytes = 0
        self._write()
        try:
            await self._transport.drain()  # type: ignore[no-untyped-call]  # nats-py left it so
        except OSError as error:  # the read loop sees the same loss and reconnects
            log.debug("bus.drain_failed", error=str(error))

    def listen(self, subject: str, handler: Callable[[Incoming], None], *, queue: str = "") -> int:
        """Call the handler with every message on a subject, across reconnects; give the id for `unlisten`.

        Raises:
            MalformedMessageError: the subject cannot be written, or is too long; nobody listens.
        """
        _check_subject(subject, queue)
        self._sid += 1
        sid = self._sid
        self._subs[sid] = NatsSubscription(self, sid, subject, queue=queue)
        self.handlers[sid] = handler
        if self.is_connected:  # otherwise the reconnect replays it
            self._enqueue(f"SUB {subject} {queue} {sid}\r\n".encode())
        return sid

    def unlisten(self, sid: int) -> None:
        """Tell the server that nobody listens any more; what it has sent is still handled."""
        if self._subs.pop(sid, None) is not None and self.is_connected:
            self._enqueue(f"UNSUB {sid}\r\n".encode())

    def write_now(self) -> None:
        """Write what waits."""
        self._write()

    async def confirmed(self, timeout_s: float) -> None:
        """Return when the server has all that was sent, and everything it sent before its answer was handled.

        nats-py's `flush` sends its ping before what still waits; and it cancels the future of a ping that is given up,
        whose pong then ends the reading of the connection. Ours is never cancelled.

        Raises:
            TimeoutError: the server did not answer.
        """
        self._write()
        pong: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        await self._send_ping(pong)
        async with asyncio.timeout(timeout_s):
            await asyncio.shield(pong)

    def _enqueue(self, command: bytes) -> None:
        if not self.is_connected:
            self._check_room(command)
        self._pending.append(command)
        self._pending_data_size += len(command)
        self._undrained_bytes += len(command)
        self.stats["out_msgs"] += 1
        if not self._write_is_due:
            self._write_is_due = True
            asyncio.get_running_loop().call_soon(self._write)

    def _check_room(self, command: bytes) -> None:
        if self.is_closed:
            raise BusUnavailableError("the connection to NATS is closed")
        if self._pending_data_size + len(command) > self._max_pending_size:
            raise BusUnavailableError("NATS is away and the outgoing buffer is full", got=f"{len(command)} bytes more")

    def _write(self) -> None:
        self._write_is_due = False
        if not self._pending or not self.is_connected or self._transport is None:
            return
        try:
            self._transport.writelines(self._pending)
        except (OSError, RuntimeError) as error:  # closed under us: sent again after the reconnect
            log.debug("bus.write_failed", error=str(error))
            return
        self._pending = []
        self._pending_data_size = 0

    def _deliver(self, words: list[bytes], headers: bytes, body: bytes) -> None:
        handler = self.handlers.get(int(words[2]))
        if handler is None:
            return
        has_reply = len(words) == (6 if words[0] == b"HMSG" else 5)
        subject = words[1].decode("utf-8", "replace")  # its sender chose it, and the server lets any bytes pass
        message = Incoming(subject, body, _answerable(words[3]) if has_reply else "", headers)
        try:
            handler(message)
        except Exception:  # a handler's bug must not end the reading of every other subscription
            log.exception("bus.handler_failed", subject=message.subject, size_bytes=len(message.data))
