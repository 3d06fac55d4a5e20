"""Entries of the journal as the server takes them: the headers of one, and an atomic batch of several."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import msgspec

from remit.bus import stream
from remit.bus.subject import JOURNAL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from remit.bus.connection import Bus
    from remit.bus.stream import PubAck

BATCH_LIMIT: Final = 1000
"""How many entries the server takes in one batch."""


class Fence(msgspec.Struct, frozen=True):
    """The append counts only if `seq` is still the last sequence on `subject`; 0 means that nothing is there."""

    subject: str
    seq: int


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """One entry before it is stored."""

    subject: str
    body: bytes
    fence: Fence | None = None
    headers: dict[str, str] | None = None


async def store_one(bus: Bus, draft: Draft, *, timeout_s: float) -> int:
    """The entry is stored; give its sequence; raises as `stream.store`."""
    ack = await stream.store(bus, draft.subject, draft.body, headers=headers_of(draft), timeout_s=timeout_s)
    return ack.seq


async def store_all(bus: Bus, drafts: Sequence[Draft], *, timeout_s: float) -> int:
    """All entries are stored next to each other, or none; give the sequence of the last.

    Raises as `stream.store`; a refusal does not say which entry it is about, and may be about the batch itself.
    """
    ack = await stream.settled(lambda: _send(bus, drafts, timeout_s), drafts[-1].subject, timeout_s)
    return ack.seq


def _send(bus: Bus, drafts: Sequence[Draft], timeout_s: float) -> Awaitable[PubAck]:
    batch = secrets.token_hex(8)
    # Not interrupted by anything: what is begun and not ended takes one of few places at the server for ten seconds.
    for number, draft in enumerate(drafts[:-1], 1):
        bus.send(draft.subject, draft.body, headers=_numbered(draft, batch, number))
    final = drafts[-1]
    sent = _numbered(final, batch, len(drafts))
    sent[stream.BATCH_COMMIT] = "1"
    return stream.ask(bus, final.subject, final.body, headers=sent, timeout_s=timeout_s)


def headers_of(draft: Draft) -> dict[str, str]:
    """Give the headers of an entry that is stored by itself."""
    sent = {stream.EXPECTED_STREAM: JOURNAL}
    if draft.fence is not None:
        sent[stream.EXPECTED_SEQ] = str(draft.fence.seq)
        sent[stream.EXPECTED_SEQ_SUBJECT] = draft.fence.subject
    if draft.headers:
        sent.update(draft.headers)
    return sent


def _numbered(draft: Draft, batch: str, number: int) -> dict[str, str]:
    sent = headers_of(draft)
    sent[stream.BATCH_ID], sent[stream.BATCH_SEQUENCE] = batch, str(number)
    return sent
