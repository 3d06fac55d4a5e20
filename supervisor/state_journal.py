"""Versions and lost proposals in the journal: appended, read on when another arbiter was first, and answered again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from remit.bus import subject
from remit.bus.journal import Draft
from remit.contracts.errors import AlreadyStoredError, BusUnavailableError, Fault, FencedOutError
from remit.contracts.message import decode, encode, raw
from remit.contracts.proposal import ProposalRecord, StateBatch, StateCommitted, StateRejected
from remit.supervisor.archive import Archive
from remit.supervisor.versions import Held, Versions, batch_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remit.bus.connection import Bus
    from remit.bus.journal import Fence, Journal
    from remit.contracts.blob import BlobRef
    from remit.contracts.proposal import StateChange

Answer = StateCommitted | StateBatch | StateRejected | Fault
"""What became of a proposal; a fault is a refusal, said again as it was said first."""


class StateJournal:
    """What stands, and every way in which the journal changes it."""

    def __init__(self, bus: Bus, journal: Journal, *, on_commit: Callable[[StateCommitted], None]) -> None:
        self.versions = Versions()
        self.archive = Archive(bus, journal)
        self._journal = journal
        self._on_commit = on_commit
        self._changed: dict[tuple[str, str], asyncio.Event] = {}

    async def answer(self, run: str, step: str, position: str) -> Answer | None:
        """Give what became of a proposal, or None if it is not decided; raises BusUnavailableError."""
        if refs := self.versions.committed_by(run, step, position):
            return batch_of([await self.archive.version(*ref) for ref in refs])
        if not (kind := self.versions.lost_as(run, step, position)):
            return None
        entry = await self._journal.get(subject.proposal_record(run, step, position, kind))
        record = decode(ProposalRecord, entry.data) if entry is not None else None
        return (record.rejected or record.refused) if record is not None else None

    async def append(self, versions: Sequence[StateCommitted], held: Sequence[Held | None]) -> tuple[int, ...] | None:
        """Append all or none; None if the journal knows more by now than we did."""
        drafts = [
            Draft(subject=subject.state(item.scope, item.key, item.version), body=encode(item)) for item in versions
        ]
        try:
            if len(drafts) == 1:
                return (await self._journal.append(drafts[0].subject, drafts[0].body),)
            return await self._journal.append_batch(drafts)
        except (AlreadyStoredError, FencedOutError, BusUnavailableError):
            for version, before in zip(versions, held, strict=True):
                await self.catch_up(version.scope, version.key, after=before.seq if before is not None else 0)
            return None

    async def catch_up(self, scope: str, key: str, *, after: int = 0) -> None:
        """Apply the versions of a key that were stored behind a place in the journal."""
        if not after and (held := self.versions.held(scope, key)) is not None:
            after = held.seq
        async for entry in self._journal.read(subject.state_filter(scope, key), start_seq=after + 1):
            self.versions.apply(entry)
            self._wake(scope, key)

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

    def changes(self, scope: str, key: str) -> asyncio.Event:
        """Give what is set when the key has its next version."""
        return self._changed.setdefault((scope, key), asyncio.Event())

    def take(self, version: StateCommitted, seq: int) -> None:
        """Note a version that is stored, and tell who waits for it."""
        self.versions.take(version, seq)
        self._wake(version.scope, version.key)
        self._on_commit(version)

    def _wake(self, scope: str, key: str) -> None:
        if (waiting := self._changed.pop((scope, key), None)) is not None:
            waiting.set()
