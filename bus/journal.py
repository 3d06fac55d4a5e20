"""The journal: write-once fenced append, atomic batches, reading a run, and the kept outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.bus import batch, stream, subject
from remit.bus import fold as folding
from remit.bus.batch import BATCH_LIMIT, Draft, Fence
from remit.bus.group_commit import GroupCommit
from remit.bus.stream import Entry
from remit.bus.subject import JOURNAL, RESULTS
from remit.contracts.errors import SupersededError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from remit.bus.connection import Bus

__all__ = ["Draft", "Entry", "Fence", "Journal", "Results"]


class Journal:
    """Everything that happens, in one stream that the server never lets anyone write twice.

    With `group_commit` what is appended while other entries are on their way is stored together with one synced
    write; nobody who appends sees another difference. It is for servers that sync every write.
    """

    def __init__(self, bus: Bus, *, timeout_s: float = 5.0, group_commit: bool = False) -> None:
        self._bus = bus
        self._timeout_s = timeout_s
        self._group = GroupCommit(bus, timeout_s=timeout_s) if group_commit else None

    @property
    def bus(self) -> Bus:
        """The connection that it is reached over."""
        return self._bus

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
        draft = Draft(subject=subject, body=body, fence=fence, headers=dict(headers) if headers else None)
        if self._group is not None:
            return await self._group.store((draft,))
        return await batch.store_one(self._bus, draft, timeout_s=self._timeout_s)

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
        if self._group is not None:
            last = await self._group.store(drafts)
        else:
            last = await batch.store_all(self._bus, drafts, timeout_s=self._timeout_s)
        return tuple(range(last - len(drafts) + 1, last + 1))

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

    async def whole(self, run: str, *, start_seq: int = 1) -> list[Entry]:
        """Give every entry of a run and of its state, oldest first; raises as `get`."""
        filters = (subject.run_all(run), subject.state_filter(run))
        found = await stream.lasts(self._bus, JOURNAL, filters, start_seq=start_seq)
        if found is None:  # the server names only so many at once
            found = [entry for filter_ in filters async for entry in self.read(filter_, start_seq=start_seq)]
            found.sort(key=lambda entry: entry.seq)
        return found

    async def last_seq(self) -> int:
        """Give the sequence of the newest entry; raises as `get`."""
        return (await stream.state(self._bus, JOURNAL)).last_seq

    async def fold(
        self, filters: Sequence[str], start_seq: int, on_entry: Callable[[Entry], None], *, has_bodies: bool = True
    ) -> int:
        """Call `on_entry` for every matching entry from `start_seq` on, in order; give the sequence reached.

        That is at least the newest when this was called. What `on_entry` raises ends the fold. Entries come without
        their headers, and if nobody needs them without bodies.

        Raises:
            BusUnavailableError: the journal could not be read to its end; every call made was right and in order.
        """
        return await folding.fold(
            self._bus, JOURNAL, filters, start_seq=start_seq, on_entry=on_entry, has_bodies=has_bodies
        )


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
