"""What waits in a role's consumer, as the server counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from remit.bus.subject import JOURNAL
from remit.contracts.errors import RetryableError

if TYPE_CHECKING:
    from remit.bus.connection import Bus


class Delivered(msgspec.Struct, frozen=True):
    """How far a consumer came in its stream."""

    stream_seq: int = 0


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries of one role's consumer."""

    num_pending: int = 0
    num_ack_pending: int = 0
    num_redelivered: int = 0
    delivered: Delivered = Delivered()


async def backlog(bus: Bus, role: str) -> Backlog:
    """Give what waits for a role; zeros while its consumer cannot be asked."""
    try:
        answer = await bus.request(f"$JS.API.CONSUMER.INFO.{JOURNAL}.{role}", timeout_s=1.0)
    except RetryableError:
        return Backlog()
    return msgspec.json.decode(answer.data, type=Backlog)
