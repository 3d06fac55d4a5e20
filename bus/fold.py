"""Read a stream from a sequence to its present end, fast: an ephemeral push consumer whose gaps are noticed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from remit.bus import stream
from remit.bus.stream import Entry
from remit.bus.subject import AckSubject, parse_ack
from remit.contracts.errors import BusUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remit.bus.connection import Bus
    from remit.bus.wire import Incoming

log = structlog.get_logger(__name__)

_HEARTBEAT_S: Final = 1.0
_SILENCE_S: Final = 5.0
_ATTEMPTS: Final = 10
_SECOND: Final = 1_000_000_000
_STALLED: Final = "Nats-Consumer-Stalled"


class _Delivered(msgspec.Struct, frozen=True):
    consumer_seq: int = 0


class _Created(msgspec.Struct, frozen=True):
    num_pending: int = 0
    delivered: _Delivered = _Delivered()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits and nothing is already on its way."""
        return self.num_pending == 0 and self.delivered.consumer_seq == 0


_created = msgspec.json.Decoder(_Created)


async def fold(
    bus: Bus,
    name: str,
    filters: Sequence[str],
    *,
    start_seq: int,
    on_entry: Callable[[Entry], None],
    has_bodies: bool = True,
) -> int:
    """Call `on_entry` for every matching entry, in order, once; give the sequence reached, see `Journal.fold`."""
    end = (await stream.state(bus, name)).last_seq
    newest = await stream.newest_of(bus, name, filters) if bus.is_clustered else 0
    end = max(end, newest)  # it was stored since: who reads to the end must not stop before what he waits for
    reader = _Reader(bus, end=end, next_seq=max(start_seq, 1), on_entry=on_entry, has_bodies=has_bodies)
    for attempt in range(_ATTEMPTS):
        if reader.next_seq > end or await reader.read(name, filters):
            if reader.next_seq > newest:
                return max(end, reader.next_seq - 1)
            await asyncio.sleep(stream.LAG_S * 2**attempt)  # the replica that was read lags behind its leader
            newest = min(newest, await stream.newest_of(bus, name, filters))  # or it was purged: nobody waits for it
            continue
        log.warning("fold.interrupted", stream=name, next_seq=reader.next_seq, end=end)
    raise BusUnavailableError("the stream was not read to its end", where=name, got=f"stopped at {reader.next_seq - 1}")


class _Reader:
    """One pass over a stream in as many attempts as it takes; every attempt goes on after the last entry."""

    def __init__(
        self, bus: Bus, *, end: int, next_seq: int, on_entry: Callable[[Entry], None], has_bodies: bool = True
    ) -> None:
        self.next_seq = next_seq
        self._has_bodies = has_bodies
        self._bus = bus
        self._end = end
        self._on_entry = on_entry
        self._consumer_seq = 0
        self._heard_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def read(self, name: str, filters: Sequence[str]) -> bool:
        """Say whether the end was reached; if not, the connection or the consumer was lost on the way."""
        loop = asyncio.get_running_loop()
        self._outcome, self._consumer_seq, self._heard_at = loop.create_future(), 0, loop.time()
        inbox = self._bus.new_inbox("f")
        subscription = await self._bus.subscribe(inbox, self._take)
        forget = self._bus.when_reconnected(lambda: self._finish(reached=False))
        self._watch()
        try:
            config = _config(inbox, filters, self.next_seq, has_bodies=self._has_bodies)
            created = await stream.api(self._bus, "CONSUMER.CREATE", name, body={"stream_name": name, "config": config})
            return _created.decode(created).is_empty or await self._outcome
        except BusUnavailableError as error:
            log.warning("fold.failed", stream=name, error=str(error))
            await asyncio.sleep(_HEARTBEAT_S / 4)
            return False
        finally:
            forget()
            subscription.drop()
            if self._timer is not None:
                self._timer.cancel()

    def _take(self, message: Incoming) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        if self._outcome.done():
            return
        if message.raw_headers and message.status:
            self._control(message)
            return
        about = parse_ack(message.reply)
        if about is None or about.consumer_seq != self._consumer_seq + 1:
            self._finish(reached=False)
            return
        self._consumer_seq = about.consumer_seq
        try:
            self._on_entry(_entry(message, about))
        except Exception as error:  # noqa: BLE001  # carried to who called the fold
            self._outcome.set_exception(error)
            return
        self.next_seq = about.stream_seq + 1
        if about.stream_seq >= self._end or about.pending == 0:
            self._finish(reached=True)

    def _control(self, message: Incoming) -> None:
        """Answer flow control: without it the server stops when the socket falls behind."""
        if message.reply:
            self._bus.send(message.reply)
        elif stalled := (message.headers or {}).get(_STALLED):
            self._bus.send(stalled)

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._heard_at > _SILENCE_S:
            self._finish(reached=False)
        self._timer = loop.call_later(_SILENCE_S, self._watch)

    def _finish(self, *, reached: bool) -> None:
        if not self._outcome.done():
            self._outcome.set_result(reached)


def _entry(message: Incoming, about: AckSubject) -> Entry:
    """Nobody folds by headers, and to read them takes a third of the time."""
    return Entry(message.subject, about.stream_seq, message.data, None, stream.instant(about.stored_ns))


def _config(inbox: str, filters: Sequence[str], start_seq: int, *, has_bodies: bool) -> dict[str, object]:
    return {
        "headers_only": not has_bodies,
        "deliver_subject": inbox,
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": start_seq,
        "ack_policy": "none",
        "max_deliver": 1,
        "flow_control": True,
        "idle_heartbeat": int(_HEARTBEAT_S * _SECOND),
        "inactive_threshold": int(_SILENCE_S * _SECOND),
        "mem_storage": True,
        "num_replicas": 1,
        "filter_subjects": list(filters),
    }
