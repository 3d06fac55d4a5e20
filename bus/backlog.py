"""What waits in a role's consumer, as the server counts it."""

from __future__ import annotations

from datetime import datetime  # read by the decoder
from typing import TYPE_CHECKING

import msgspec

from remit.bus import stream, subject
from remit.bus.subject import JOURNAL
from remit.contracts.errors import BusUnavailableError, RetryableError

if TYPE_CHECKING:
    from remit.bus.connection import Bus


class Delivered(msgspec.Struct, frozen=True):
    """How far a consumer came in its stream, and how often it handed something out."""

    stream_seq: int = 0
    consumer_seq: int = 0


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries of one role's consumer."""

    num_pending: int = 0
    num_ack_pending: int = 0
    num_redelivered: int = 0
    delivered: Delivered = Delivered()
    ts: str = ""
    """When the server said so, by its own clock."""


async def backlog(bus: Bus, role: str) -> Backlog:
    """Give what waits for a role; zeros while its consumer cannot be asked."""
    try:
        answer = await bus.request(f"$JS.API.CONSUMER.INFO.{JOURNAL}.{role}", timeout_s=1.0)
    except RetryableError:
        return Backlog()
    return msgspec.json.decode(answer.data, type=Backlog)


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What waits in a role's consumer, and since when."""

    waiting: int
    handed_over: int
    begun: int
    """Hand-overs so far, repeated ones included."""
    oldest_wait_s: float


async def waiting(bus: Bus, role: str) -> Waiting:
    """Give what waits for a role.

    Raises:
        BusUnavailableError: the server did not say; nothing is known.
    """
    answer = await bus.ask(f"$JS.API.CONSUMER.INFO.{JOURNAL}.{role}", b"", timeout_s=1.0)
    known = msgspec.json.decode(answer.data, type=Backlog)
    if not known.ts:
        raise BusUnavailableError("the consumer of a role cannot be asked", where=role)
    oldest_wait_s = 0.0
    if known.num_pending:
        oldest = await stream.next_of(bus, JOURNAL, subject.work_filter(role), start_seq=known.delivered.stream_seq + 1)
        if oldest is not None and oldest.stored_at is not None:
            oldest_wait_s = max(0.0, (datetime.fromisoformat(known.ts) - oldest.stored_at).total_seconds())
    return Waiting(
        waiting=known.num_pending,
        handed_over=known.num_ack_pending,
        begun=known.delivered.consumer_seq,
        oldest_wait_s=oldest_wait_s,
    )
