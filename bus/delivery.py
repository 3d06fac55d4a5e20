"""One attempt at one message: what came, how often, and how it is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from remit.bus.subject import AckSubject, parse_ack
from remit.contracts.errors import BusUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from remit.bus.connection import Bus
    from remit.bus.wire import Incoming

log = structlog.get_logger(__name__)

_ACK, _NAK, _TERM, _IN_PROGRESS = b"+ACK", b"-NAK", b"+TERM", b"+WPI"
_SECOND = 1_000_000_000
_UNKNOWN = AckSubject("", "", 0, 0, 0, 0, 0)


class Delivery:
    """A message in the hands of this process until it is settled; settling it twice does nothing.

    It takes a place in its pull loop until `release`. Settling releases, unless it is asked to keep the place: work
    that goes on after its hand-over is acked still fills a slot.
    """

    __slots__ = ("_about", "_bus", "_message", "_on_release", "is_settled")

    def __init__(self, bus: Bus, message: Incoming, on_release: Callable[[], None]) -> None:
        self._bus = bus
        self._message = message
        self._on_release: Callable[[], None] | None = on_release
        self._about: AckSubject | None = None
        self.is_settled = False

    @property
    def subject(self) -> str:
        """Where the message is stored."""
        return self._message.subject

    @property
    def data(self) -> bytes:
        """The body."""
        return self._message.data

    @property
    def headers(self) -> dict[str, str] | None:
        """The headers, decoded at every call."""
        return self._message.headers

    @property
    def about(self) -> AckSubject:
        """What the server says about this delivery."""
        if self._about is None:
            self._about = parse_ack(self._message.reply) or _UNKNOWN
        return self._about

    @property
    def stream_seq(self) -> int:
        """Sequence of the message in its stream."""
        return self.about.stream_seq

    @property
    def num_delivered(self) -> int:
        """How often it was handed out, this time included."""
        return self.about.num_delivered

    def ack(self, *, keep_place: bool = False) -> None:
        """It is done: the server hands it out no more. Nothing is waited for."""
        self._settle(_ACK, keep_place=keep_place)

    def nak(self, delay_s: float = 0.0) -> None:
        """It is handed out again after a delay."""
        delay = {"delay": int(delay_s * _SECOND)}
        self._settle(_NAK + b" " + msgspec.json.encode(delay) if delay_s > 0 else _NAK)

    def term(self, reason: str) -> None:
        """It is never handed out again, and the server says so with the reason."""
        self._settle(_TERM + b" " + reason.encode())

    def in_progress(self) -> None:
        """The server waits for its whole `ack_wait` anew."""
        if not self.is_settled:
            self._answer(_IN_PROGRESS)

    def release(self) -> None:
        """Its place in the pull loop is free."""
        free, self._on_release = self._on_release, None
        if free is not None:
            free()

    def _settle(self, word: bytes, *, keep_place: bool = False) -> None:
        if not self.is_settled:
            self.is_settled = True
            self._answer(word)
        if not keep_place:
            self.release()

    def _answer(self, word: bytes) -> None:
        try:
            self._bus.send(self._message.reply, word)
        except BusUnavailableError as error:  # it is handed out again after `ack_wait`, which every handler bears
            log.warning("delivery.answer_lost", subject=self.subject, word=word.decode(), error=str(error))
