"""Versions and lost proposals in the journal: appended, read on when another arbiter was first, and answered again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from remit.bus import subject
from remit.bus.journal import Draft, Entry
from remit.contracts.errors import (
    AlreadyStoredError,
    BusUnavailableError,
    Fault,
    FencedOutError,
    ReplayMismatchError,
)
from remit.contracts.message import decode, encode, raw
from remit.contracts.proposal import ProposalRecord, StateBatch, StateCommitted, StateRejected
from remit.supervisor.archive import Archive
from remit.supervisor.versions import Versions, batch_of, together_with

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remit.bus.connection import Bus
    from remit.bus.journal import Fence, Journal
    from remit.contracts.blob import BlobRef
    from remit.contracts.proposal import ProposeState, StateChange

VersionName = tuple[str, str]
"""Scope and key."""
Answer = StateCommitted | StateBatch | StateRejected | Fault
"""What became of a proposal; a fault is a refusal, said again as it was said first."""


class StateJournal:
    """What stands, and every way in which the journal changes it."""

    def __init__(self, bus: Bus, journal: Journal, *, on_commit: Callable[[StateCommitted], None]) -> None:
        self.versions = Versions()
        self.archive = Archive(bus, journal)
        self._journal = journal
        self._on_commit = on_commit
        self._waiters: dict[VersionName, set[asyncio.Future[None]]] = {}

    async def answer(self, proposal: ProposeState, request: str) -> Answer | None:
        """Give what became of a proposal, or None if it is not decided.

        Raises:
            ReplayMismatchError: something else was proposed at this position before.
            BusUnavailableError: the journal could not be read.
        """
        run, step, position = proposal.run_id, proposal.step, proposal.position
        if not self.versions.is_decided(run, step, position):
            return None
        if (before := self.versions.request_of(run, step, position)) not in {"", request}:
            raise ReplayMismatchError(
                "another proposal stands at this position", where=position, expected=before, got=request
            )
        if refs := self.versions.committed_by(run, step, position):
            return batch_of([await self.archive.version(*ref) for ref in refs])
        kind = self.versions.lost_as(run, step, position)
        entry = await self._journal.get(subject.proposal_record(run, step, position, kind))
        record = decode(ProposalRecord, entry.data) if entry is not None else None
        return (record.rejected or record.refused) if record is not None else None

    async def append(self, versions: Sequence[StateCommitted]) -> tuple[int, ...] | None:
        """Append all or none; None if the journal knows more by now than we did."""
        drafts = [
            Draft(subject=subject.state(item.scope, item.key, item.version), body=encode(item)) for item in versions
        ]
        try:
            if len(drafts) == 1:
                return (await self._journal.append(drafts[0].subject, drafts[0].body),)
            return await self._journal.append_batch(drafts)
        except (AlreadyStoredError, FencedOutError, BusUnavailableError):
            await self.catch_up(*((item.scope, item.key) for item in versions))
            return None

    async def catch_up(self, *names: VersionName) -> None:
        """Apply what was stored of some documents since, and of those committed with them: all of it at one point.

        Raises:
            BusUnavailableError: the journal could not be read; nothing is applied.
        """
        todo, seen, found = [*names], set[VersionName](), list[Entry]()
        while todo:
            if (name := todo.pop()) in seen:
                continue
            seen.add(name)
            held = self.versions.held(*name)
            start = held.seq + 1 if held is not None else 1
            async for entry in self._journal.read(subject.state_filter(*name), start_seq=start):
                found.append(entry)
                todo += together_with(entry)
        for entry in sorted(found, key=lambda entry: entry.seq):
            self.versions.apply(entry)
        for name in seen:
            self._wake(*name)

    async def record(self, record: ProposalRecord, *, fence: Fence | None = None) -> bool:
        """Keep a proposal that changed nothing; False if the journal knows more by now than we did."""
        asked = record.proposal
        kind = "rejected" if record.rejected is not None else "refused"
        name = subject.proposal_record(asked.run_id, asked.step, asked.position, kind)
        changes = await self._kept(asked.changes)
        kept = msgspec.structs.replace(record, proposal=msgspec.structs.replace(asked, changes=changes))
        try:
            await self._journal.append(name, encode(kept), fence=fence)
        except (AlreadyStoredError, FencedOutError, BusUnavailableError):
            if (entry := await self._journal.get(name)) is not None:
                self.versions.apply(entry)
            return False
        self.versions.record(record)
        return True

    async def _kept(self, changes: tuple[StateChange, ...]) -> tuple[StateChange, ...]:
        """Losing proposals are kept whole; what is too large for an entry goes where large values go."""
        kept: list[StateChange] = []
        for change in changes:
            value, ref = await self._kept_value(change)
            kept.append(msgspec.structs.replace(change, value=value, value_ref=ref))
        return tuple(kept)

    async def _kept_value(self, change: StateChange) -> tuple[msgspec.Raw, BlobRef | None]:
        try:
            msgspec.json.decode(bytes(change.value))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return raw({"no_json": bytes(change.value)[:80].decode("utf-8", "replace")}), None
        return await self.archive.stored(bytes(change.value))

    # --- who waits -------------------------------------------------------------------------------

    async def change(self, scope: str, key: str, *, within_s: float) -> None:
        """Return when the key has its next version, or after this time."""
        waiters = self._waiters.setdefault((scope, key), set())
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters.add(waiter)
        try:
            await asyncio.wait((waiter,), timeout=within_s)
        finally:
            waiters.discard(waiter)
            if not waiters:
                self._waiters.pop((scope, key), None)

    def take(self, version: StateCommitted, seq: int) -> None:
        """Note a version that is stored, and tell who waits for it."""
        self.versions.take(version, seq)
        self._wake(version.scope, version.key)
        self._on_commit(version)

    def _wake(self, scope: str, key: str) -> None:
        for waiter in self._waiters.get((scope, key), ()):
            if not waiter.done():
                waiter.set_result(None)
