"""The journal: write-once fenced append, atomic batches, reading a run, and the kept outcomes."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import msgspec

from remit.bus import fold as folding
from remit.bus import stream, subject
from remit.bus.stream import Entry
from remit.bus.subject import JOURNAL, RESULTS
from remit.contracts.errors import SupersededError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from remit.bus.connection import Bus

__all__ = ["Draft", "Entry", "Fence", "Journal", "Results"]

BATCH_LIMIT: Final = 1000


class Fence(msgspec.Struct, frozen=True):
    """The append counts only if `seq` is still the last sequence on `subject`; 0 means that nothing is there."""

    subject: str
    seq: int


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of an atomic batch."""

    subject: str
    body: bytes
    fence: Fence | None = None
    headers: dict[str, str] | None = None


class Journal:
    """Everything that happens, in one stream that the server never lets anyone write twice."""

    def __init__(self, bus: Bus, *, timeout_s: float = 5.0) -> None:
        self._bus = bus
        self._timeout_s = timeout_s

    async def append(
        self, subject: str, body: bytes, *, fence: Fence | None = None, headers: Mapping[str, str] | None = None
    ) -> int:
        """Store an entry at its index and give its sequence; it is durable and visible to every consumer.

        Raises:
            FencedOutError: the lane moved on; nothing changed. Our own entry may be what moved it.
            AlreadyStoredError: an entry stands at this index; nothing changed. It may be our own.
            TooLargeError: above the limit of a message; nothing changed.
            BusRefusedError: the server could not store it, its disk may be full; nothing changed.
            BusUnavailableError: no answer came; the entry may or may not be stored. Append it again.
        """
        sent = _headers(fence, headers)
        return (await stream.store(self._bus, subject, body, headers=sent, timeout_s=self._timeout_s)).seq

    async def append_own(
        self, subject: str, body: bytes, *, fence: Fence | None = None, headers: Mapping[str, str] | None = None
    ) -> int:
        """Append; if the index is taken by these very bytes, an earlier attempt landed: give its sequence.

        Raises: as `append`, but a refusal means that somebody else's entry is in the way.
        """
        try:
            return await self.append(subject, body, fence=fence, headers=headers)
        except SupersededError:
            found = await self.get(subject)
            if found is None or found.data != body:
                raise
            return found.seq

    async def append_batch(self, drafts: Sequence[Draft]) -> tuple[int, ...]:
        """Store all entries or none, next to each other, and give their sequences.

        Every fence is held against what was stored before the batch.

        Raises:
            FencedOutError: one fence does not hold; nothing was stored.
            AlreadyStoredError: one index is taken; nothing was stored.
            TooLargeError: more entries than one batch takes; nothing was stored.
            BusRefusedError: the server refused; nothing was stored.
            BusUnavailableError: no answer came; all or nothing is stored.
        """
        if len(drafts) > BATCH_LIMIT:
            raise TooLargeError("one batch holds fewer entries", expected=f"{BATCH_LIMIT}", got=f"{len(drafts)}")
        if not drafts:
            return ()
        batch = secrets.token_hex(8)
        for number, draft in enumerate(drafts[:-1], 1):
            await self._bus.publish(draft.subject, draft.body, headers=_batch_headers(draft, batch, number))
        final = drafts[-1]
        sent = _batch_headers(final, batch, len(drafts)) | {stream.BATCH_COMMIT: "1"}
        ack = await stream.store(self._bus, final.subject, final.body, headers=sent, timeout_s=self._timeout_s)
        return tuple(range(ack.seq - len(drafts) + 1, ack.seq + 1))

    async def get(self, subject: str) -> Entry | None:
        """Give the entry at an index, or the last one under a wildcard, or None.

        Raises:
            BusUnavailableError: the journal could not be read.
        """
        return await stream.last(self._bus, JOURNAL, subject)

    async def get_seq(self, seq: int) -> Entry | None:
        """Give the entry with a sequence, or None; raises as `get`."""
        return await stream.at(self._bus, JOURNAL, seq)

    def read(self, filter_: str, *, start_seq: int = 1, batch: int = 512) -> AsyncIterator[Entry]:
        """Give the entries on matching subjects in order, as many as there are; raises as `get`."""
        return stream.entries(self._bus, JOURNAL, filter_, start_seq=start_seq, batch=batch, is_write_once=True)

    async def last_seq(self) -> int:
        """Give the sequence of the newest entry; raises as `get`."""
        return (await stream.state(self._bus, JOURNAL)).last_seq

    async def fold(self, filters: Sequence[str], start_seq: int, on_entry: Callable[[Entry], None]) -> int:
        """Call `on_entry` for every matching entry from `start_seq` on, in order; give the sequence reached.

        That is at least the newest when this was called. What `on_entry` raises ends the fold.

        Raises:
            BusUnavailableError: the journal could not be read to its end; every call made was right and in order.
        """
        return await folding.fold(self._bus, JOURNAL, filters, start_seq=start_seq, on_entry=on_entry)


class Results:
    """The outcome of every run, kept beside the journal; a copy that lags by milliseconds."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def get(self, run: str) -> bytes | None:
        """Give the outcome of a run, or None if there is none yet.

        Raises:
            BusUnavailableError: the outcomes could not be read.
        """
        found = await stream.last(self._bus, RESULTS, subject.result(run), may_lag=True)
        return found.data if found else None


def _headers(fence: Fence | None, headers: Mapping[str, str] | None) -> dict[str, str]:
    sent = {stream.EXPECTED_STREAM: JOURNAL}
    if fence is not None:
        sent[stream.EXPECTED_SEQ] = str(fence.seq)
        sent[stream.EXPECTED_SEQ_SUBJECT] = fence.subject
    if headers:
        sent.update(headers)
    return sent


def _batch_headers(draft: Draft, batch: str, number: int) -> dict[str, str]:
    return _headers(draft.fence, draft.headers) | {stream.BATCH_ID: batch, stream.BATCH_SEQUENCE: str(number)}
