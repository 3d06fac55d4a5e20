"""Consumers of a stream: durable ones from which clients pull, and short-lived ones that push to their reader."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from remit.bus.wire import Incoming
from tests.simulation.subjects import matcher

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from tests.simulation.network import Link
    from tests.simulation.server import Listener, SimServer
    from tests.simulation.stream import SimStream, Stored

_NANO: Final = 1_000_000_000
_NO_LIMIT: Final = -1


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client says when it pulls; what is not known here is refused."""

    batch: int = 1
    expires: int = 0
    idle_heartbeat: int = 0


@dataclass(slots=True)
class Pull:
    """A client waits for some messages."""

    reply: str
    left: int
    heartbeat_s: float
    expiry: asyncio.TimerHandle | None = None
    beat: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class Pending:
    """A message in a client's hands until its time is up."""

    until: float
    consumer_seq: int


@dataclass(slots=True)
class Consumer:
    """Where one consumer stands in its stream."""

    server: SimServer
    stream: SimStream
    name: str
    config: dict[str, object]
    next_seq: int = 1
    consumer_seq: int = 0
    num_pending: int = 0
    pending: dict[int, Pending] = field(default_factory=dict)
    deliveries: dict[int, int] = field(default_factory=dict)
    again: deque[int] = field(default_factory=deque)
    pulls: deque[Pull] = field(default_factory=deque)
    timer: asyncio.TimerHandle | None = None
    matchers: list[Callable[[str], bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        start = self.config.get("opt_start_seq", 1)
        assert isinstance(start, int)
        self.next_seq = start
        filters = self.config.get("filter_subjects")
        self.matchers = [matcher(str(item)) for item in filters] if isinstance(filters, list) else []
        self.num_pending = sum(self.covers(item.subject) for item in self.stream.after(start, ""))

    def covers(self, subject: str) -> bool:
        """Say whether a subject is one of the consumer's."""
        return not self.matchers or any(matches(subject) for matches in self.matchers)

    @property
    def deliver_subject(self) -> str:
        """Where a consumer that pushes sends."""
        return str(self.config.get("deliver_subject", ""))

    @property
    def ack_wait_s(self) -> float:
        """How long a delivery may stay unanswered."""
        wait = self.config.get("ack_wait", 30 * _NANO)
        assert isinstance(wait, int)
        return wait / _NANO

    def info(self) -> dict[str, object]:
        """Give what CONSUMER.INFO says."""
        return {
            "stream_name": self.stream.name,
            "name": self.name,
            "config": self.config,
            "delivered": {"consumer_seq": self.consumer_seq, "stream_seq": self.next_seq - 1},
            "num_pending": self.num_pending,
            "num_ack_pending": len(self.pending),
            "num_redelivered": sum(count > 1 for seq, count in self.deliveries.items() if seq in self.pending),
        }

    def close(self) -> None:
        """It hands nothing out any more; what was in a client's hands is nobody's."""
        if self.timer is not None:
            self.timer.cancel()
        for pull in self.pulls:
            self._end(pull)
        self.pulls.clear()
        self.pending.clear()

    # --- handing out -----------------------------------------------------------------------------

    def stored(self, message: Stored) -> None:
        """Something new is in the stream."""
        if message.seq >= self.next_seq and self.covers(message.subject):
            self.num_pending += 1
            self.pump()

    def pump(self) -> None:
        """Hand out as much as is wanted and there."""
        if self.deliver_subject:
            while (item := self._new()) is not None:
                self._send(self.deliver_subject, item, count=1)
            return
        while (pull := self._waiting()) is not None:
            found = self._next()
            if found is None:
                self.pulls.appendleft(pull)
                return
            self._hand_out(pull, found)

    def _waiting(self) -> Pull | None:
        while self.pulls:
            pull = self.pulls.popleft()
            if self.server.listeners(pull.reply):
                return pull
            self._end(pull)
        return None

    def _hand_out(self, pull: Pull, item: Stored) -> None:
        self.pending[item.seq] = Pending(self.server.loop.time() + self.ack_wait_s, self.consumer_seq + 1)
        self._arm()
        pull.left -= 1
        self._send(pull.reply, item, count=self.deliveries[item.seq])
        if pull.left > 0:
            self.pulls.append(pull)
            self._beat_later(pull)
        else:
            self._end(pull)

    def _next(self) -> Stored | None:
        limit = self.config.get("max_deliver", _NO_LIMIT)
        assert isinstance(limit, int)
        while self.again:
            item = self.stream.messages.get(self.again.popleft())
            if item is None:
                continue
            count = self.deliveries.get(item.seq, 0) + 1
            if 0 < limit < count:
                self.pending.pop(item.seq, None)
                self._give_up(item, count - 1)
                continue
            self.deliveries[item.seq] = count
            return item
        item = self._new()
        if item is not None:
            self.deliveries[item.seq] = 1
        return item

    def _new(self) -> Stored | None:
        while self.next_seq <= self.stream.last_seq:
            item = self.stream.messages.get(self.next_seq)
            self.next_seq += 1
            if item is not None and self.covers(item.subject):
                self.num_pending -= 1
                return item
        return None

    def _send(self, target: str, item: Stored, *, count: int) -> None:
        self.consumer_seq += 1
        facts = (count, item.seq, self.consumer_seq, item.nanoseconds, self.num_pending)
        reply = ".".join(("$JS.ACK", self.stream.name, self.name, *map(str, facts)))
        self.server.network.trace.note(target, f"{item.subject} {count}")
        for listener in self.server.listeners(target):
            listener.link.down(listener.sid, Incoming(item.subject, item.body, reply, item.block))

    def _give_up(self, item: Stored, deliveries: int) -> None:
        notice = {
            "type": "io.nats.jetstream.advisory.v1.max_deliver",
            "stream": self.stream.name,
            "consumer": self.name,
            "stream_seq": item.seq,
            "deliveries": deliveries,
        }
        where = f"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{self.stream.name}.{self.name}"
        self.server.jetstream.take(where, "", b"", msgspec.json.encode(notice))

    # --- pulls -----------------------------------------------------------------------------------

    def pull(self, _link: Link, reply: str, body: bytes) -> None:
        """A client asks for messages."""
        asked = msgspec.json.decode(body, type=Asked)
        pull = Pull(reply, asked.batch, asked.idle_heartbeat / _NANO)
        self.pulls.append(pull)
        if asked.expires:
            pull.expiry = self.server.loop.call_later(asked.expires / _NANO, self._expire, pull)
        self._beat_later(pull)
        self.pump()

    def _beat_later(self, pull: Pull) -> None:
        if pull.beat is not None:
            pull.beat.cancel()
        if pull.heartbeat_s and pull.left:
            pull.beat = self.server.loop.call_later(pull.heartbeat_s, self._beat, pull)

    def _beat(self, pull: Pull) -> None:
        if pull not in self.pulls:
            return
        if not self._status(pull, b"NATS/1.0 100 Idle Heartbeat\r\n\r\n"):
            self.pulls.remove(pull)
            self._end(pull)
            return
        pull.beat = None
        self._beat_later(pull)

    def _expire(self, pull: Pull) -> None:
        if pull in self.pulls:
            self.pulls.remove(pull)
            self._end(pull)
            block = (
                f"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: {pull.left}\r\nNats-Pending-Bytes: 0\r\n\r\n"
            )
            self._status(pull, block.encode())

    def _status(self, pull: Pull, block: bytes) -> bool:
        listeners: list[Listener] = self.server.listeners(pull.reply)
        for listener in listeners:
            listener.link.down(listener.sid, Incoming(pull.reply, b"", "", block))
        return bool(listeners)

    def _end(self, pull: Pull) -> None:
        for timer in (pull.expiry, pull.beat):
            if timer is not None:
                timer.cancel()

    # --- what becomes of deliveries --------------------------------------------------------------

    def acknowledge(self, seq: int, word: bytes) -> None:
        """A client says what became of a delivery; an old one counts for the newest."""
        pending = self.pending.get(seq)
        if pending is None:
            return
        verb, _, rest = word.partition(b" ")
        if verb == b"+WPI":
            pending.until = self.server.loop.time() + self.ack_wait_s
            self._arm()
        elif verb == b"-NAK":
            delay_s = msgspec.json.decode(rest, type=dict[str, int]).get("delay", 0) / _NANO if rest else 0.0
            pending.until = self.server.loop.time() + delay_s
            if delay_s:
                self._arm()
            else:
                self._ring()
        else:
            del self.pending[seq]
            if self.stream.config.get("retention") == "workqueue":
                self.stream.remove(seq)

    def _arm(self) -> None:
        first = min(item.until for item in self.pending.values())
        if self.timer is None or self.timer.when() > first or self.timer.cancelled():
            if self.timer is not None:
                self.timer.cancel()
            self.timer = self.server.loop.call_at(first, self._ring)

    def _ring(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        now = self.server.loop.time()
        due = [seq for seq, item in self.pending.items() if item.until <= now]
        for seq in due:
            if seq not in self.again:
                self.again.append(seq)
            self.pending[seq].until = now + self.ack_wait_s
        if self.pending:
            self._arm()
        self.pump()
