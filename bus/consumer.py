"""Pull from a durable consumer, call back with every delivery, and settle it: the only except ladder.

Two rules keep a pull loop whole. The server knows how many messages it still owes us; we count the same from what
arrives and from the statuses that end a pull, and each pull's inbox carries its generation and size, so that a status
says by itself what it gives back. And nothing is trusted to come: an idle server sends heartbeats, and silence, a
reconnect or a refusal all lead to a new generation of pulls, whose forerunners do not count any more.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from remit.bus import subject
from remit.bus.delivery import Delivery
from remit.contracts.errors import (
    BusUnavailableError,
    RefusedError,
    RemitError,
    RetryableError,
    StoppedError,
    SupersededError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remit.bus.connection import Bus, Subscription
    from remit.bus.wire import Incoming

__all__ = ["Delivery", "PullLoop", "backoff_s", "settle_with"]

log = structlog.get_logger(__name__)

_SECOND: Final = 1_000_000_000
_EXPIRES_S: Final = 30.0
_HEARTBEAT_S: Final = 2.0
_SILENCE_S: Final = 5.0
_RETRY_S: Final = 0.25
_HAND_BACK_S: Final = 0.05
_HEARTBEAT, _EXPIRED = 100, 408
_FIRST_BACKOFF_S: Final = 0.1
_LONGEST_BACKOFF_S: Final = 15.0


class PullLoop:
    """Deliveries of one durable consumer, asked for ahead of need, at most `limit` in the caller's hands at once."""

    def __init__(
        self,
        bus: Bus,
        stream: str,
        durable: str,
        *,
        on_delivery: Callable[[Delivery], None],
        batch: int,
        limit: int,
    ) -> None:
        self._bus = bus
        self._where = subject.pull(stream, durable)
        self._name = f"{stream}.{durable}"
        self._on_delivery = on_delivery
        self._batch = min(batch, limit) if limit else batch
        self._limit = limit
        self._inbox = bus.new_inbox("p")
        self._subscription: Subscription | None = None
        self._generation = 0
        self._owed = 0
        self._in_hand = 0
        self._heard_at = 0.0
        self._is_pulling = False
        self._watch: asyncio.TimerHandle | None = None
        self._forget = bus.when_reconnected(self._begin_anew)

    @classmethod
    async def start(  # noqa: PLR0917  # which consumer and what is called read best in a row
        cls,
        bus: Bus,
        stream: str,
        durable: str,
        on_delivery: Callable[[Delivery], None],
        *,
        batch: int = 64,
        limit: int = 0,
    ) -> PullLoop:
        """Give a loop that pulls. `on_delivery` is called from the reading of the socket: it must be fast.

        `limit` bounds the deliveries that are neither settled nor released; 0 means no bound. After a reconnect what
        the server still sends for old pulls may exceed it once.
        """
        loop = cls(bus, stream, durable, on_delivery=on_delivery, batch=batch, limit=limit)
        await loop.resume()
        return loop

    @property
    def in_hand(self) -> int:
        """How many deliveries are neither settled nor released."""
        return self._in_hand

    async def resume(self) -> None:
        """Pull again."""
        if self._is_pulling:
            return
        self._is_pulling = True
        self._subscription = await self._bus.subscribe(self._inbox + ".*.*", self._take)
        self._begin_anew()
        self._watch_silence()

    async def pause(self) -> None:
        """Nothing is handed out any more; what the server sent meanwhile was given back to it.

        Deliveries in the caller's hands stay there.
        """
        if not self._is_pulling:
            return
        self._is_pulling = False
        if self._watch is not None:
            self._watch.cancel()
        if self._subscription is not None:
            try:
                await self._subscription.unsubscribe()
            except BusUnavailableError as error:  # connection lost: the server forgets these pulls by itself
                log.warning("pull.pause_unconfirmed", consumer=self._name, error=str(error))

    async def stop(self) -> None:
        """Nothing is handed out any more, for good."""
        self._forget()
        await self.pause()

    # --- pulling -----------------------------------------------------------------------------------

    def _begin_anew(self) -> None:
        """Forget the pulls that are under way, and pull."""
        self._generation += 1
        self._owed = 0
        self._heard_at = asyncio.get_running_loop().time()
        self._pull()

    def _pull(self) -> None:
        if self._owed > self._batch // 2 or not self._is_pulling or not self._bus.is_connected:
            return
        wanted = self._batch
        if self._limit:
            wanted = min(wanted, self._limit - self._in_hand - self._owed)
        is_due = self._owed == 0 or wanted >= (self._batch + 1) // 2
        if wanted <= 0 or not is_due:
            return
        self._owed += wanted
        self._bus.send(self._where, _pull_request(wanted), reply=f"{self._inbox}.{self._generation}.{wanted}")

    def _take(self, message: Incoming) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        if message.raw_headers and message.status:
            self._take_status(message)
            return
        if not self._is_pulling:
            Delivery(self._bus, message, _nothing).nak(_HAND_BACK_S)
            return
        self._owed = max(0, self._owed - 1)
        self._in_hand += 1
        self._pull()
        self._on_delivery(Delivery(self._bus, message, self._release))

    def _release(self) -> None:
        self._in_hand -= 1
        self._pull()

    def _take_status(self, message: Incoming) -> None:
        if message.status == _HEARTBEAT:
            return
        *_, generation, size = message.subject.split(".")
        if int(generation) != self._generation:
            return
        left = (message.headers or {}).get("Nats-Pending-Messages", size)
        self._owed = max(0, self._owed - int(left))
        if message.status == _EXPIRED:
            self._pull()
            return
        log.warning("pull.refused", consumer=self._name, status=message.status, reason=message.description)
        asyncio.get_running_loop().call_later(_RETRY_S, self._pull)

    def _watch_silence(self) -> None:
        loop = asyncio.get_running_loop()
        if self._bus.is_connected and self._owed and loop.time() - self._heard_at > _SILENCE_S:
            log.warning("pull.repeated", consumer=self._name, silent_s=round(loop.time() - self._heard_at, 1))
            self._begin_anew()
        else:
            self._pull()
        self._watch = loop.call_later(_HEARTBEAT_S, self._watch_silence)


class _PullRequest(msgspec.Struct, frozen=True):
    batch: int
    expires: int = int(_EXPIRES_S * _SECOND)
    idle_heartbeat: int = int(_HEARTBEAT_S * _SECOND)


def _pull_request(batch: int) -> bytes:
    return msgspec.json.encode(_PullRequest(batch))


def _nothing() -> None:
    """A delivery that was never handed out takes no place."""


# --- settling --------------------------------------------------------------------------------------


def backoff_s(attempt: int) -> float:
    """Give how long to wait after this many attempts: 0.1 s doubled each time, at most 15 s."""
    doublings = min(max(attempt, 1) - 1, 10)
    return min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * (1 << doublings))


async def settle_with(
    delivery: Delivery,
    handler: Callable[[Delivery], Awaitable[None]],
    *,
    on_refused: Callable[[Delivery, RefusedError], Awaitable[None]],
    on_bug: Callable[[BaseException], None],
) -> None:
    """The handler has had the delivery, and the class of what it raised has decided what becomes of it.

    Returned: acked, unless the handler settled it. Retryable: given back with backoff. Refused: `on_refused` has made
    it an outcome or a dead letter, then acked. Superseded: touched no more, an ack would settle the new holder's.
    Stopped: acked. Anything else is our bug: untouched, and `on_bug` ends the process. Cancelled: untouched, raised.
    """
    try:
        await _handle(delivery, handler, on_refused)
        delivery.ack()
    except RetryableError as error:
        delay_s = backoff_s(delivery.num_delivered)
        _log_error("delivery.retried", delivery, error, delay_s=delay_s)
        delivery.nak(delay_s)
    except SupersededError as error:
        _log_error("delivery.superseded", delivery, error)
    except StoppedError as error:
        _log_error("delivery.stopped", delivery, error)
        delivery.ack()
    except Exception as error:  # the last rung: whatever has no class here is our bug
        log.exception("delivery.failed", subject=delivery.subject, num_delivered=delivery.num_delivered)
        on_bug(error)
    finally:
        delivery.release()


async def _handle(
    delivery: Delivery,
    handler: Callable[[Delivery], Awaitable[None]],
    on_refused: Callable[[Delivery, RefusedError], Awaitable[None]],
) -> None:
    try:
        await handler(delivery)
    except RefusedError as error:
        _log_error("delivery.refused", delivery, error)
        await on_refused(delivery, error)


def _log_error(event: str, delivery: Delivery, error: RemitError, **facts: object) -> None:
    log.warning(event, subject=delivery.subject, num_delivered=delivery.num_delivered, error=str(error), **facts)
