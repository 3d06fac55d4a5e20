"""Writes a snapshot of the journal now and then, behind the work; what it says is read from the journal as well.

What the supervisor believes may be behind the journal, or ahead of what it read: an answer was lost, another supervisor
wrote. So which runs are open is folded a second time here, from the entries alone, a part at a time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from remit.bus.snapshot import SnapshotHead, Snapshots
from remit.contracts.errors import RemitError
from remit.supervisor import fold, past
from remit.supervisor.index import Index
from remit.supervisor.recovery import content
from remit.supervisor.versions import number_of

if TYPE_CHECKING:
    from remit.bus.journal import Journal
    from remit.contracts.team import TeamSpec
    from remit.supervisor.arbiter import Arbiter
    from remit.supervisor.recovery import Recovered

log = structlog.get_logger(__name__)

STATE_FILTERS: Final = ("remit.state.*.*.*",)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often a snapshot is written: after so many entries, or after this time if there are any."""

    look_s: float = 5.0
    entries: int = 10_000
    quiet_s: float = 60.0


PACE: Final = Pace()


class SnapshotWriter:
    """Keeps the newest snapshot near the end of the journal."""

    def __init__(self, journal: Journal, team: TeamSpec, arbiter: Arbiter, *, pace: Pace) -> None:
        self._journal = journal
        self._snapshots = Snapshots(journal.bus)
        self._team = team
        self._arbiter = arbiter
        self._pace = pace
        self._index = Index()
        self._seq = 0
        self._state_seq = 0
        self._written_seq = 0
        self._written_at = 0.0

    def begin(self, recovered: Recovered) -> None:
        """Go on from where the journal was read to."""
        self._index, self._seq, self._state_seq = recovered.index, recovered.seq, recovered.state_seq
        self._written_seq = recovered.start_seq - 1
        self._written_at = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Write when there is enough that is new, for ever."""
        while True:
            await asyncio.sleep(self._pace.look_s)
            await self.try_write()

    async def try_write(self) -> None:
        """Write if there is enough that is new; what fails is tried again later, and the log says so."""
        now = asyncio.get_running_loop().time()
        try:
            new = await self._journal.last_seq() - self._written_seq
            if new >= self._pace.entries or (new and now - self._written_at >= self._pace.quiet_s):
                await self.write()
                self._written_at = now
        except RemitError as error:  # it is a cache: nobody waits for it
            log.warning("snapshot.not_written", error=str(error))

    async def write(self) -> None:
        """The newest snapshot is of the journal as it is now.

        Raises:
            TooLargeError: there is more that outlives runs than a snapshot holds; the one before stands.
            BusRefusedError: the server refused; the one before stands.
            BusUnavailableError: the journal could not be read, or no answer came.
        """
        self._seq = await self._journal.fold(fold.FILTERS, self._seq + 1, self._index.apply)
        self._state_seq = await self._journal.fold(
            STATE_FILTERS, self._state_seq + 1, self._index.apply_version, has_bodies=False
        )
        await self._look_at_what_is_left()
        await self._know_what_stands()
        head = SnapshotHead(
            seq=self._seq,
            oldest_open_seq=self._index.oldest_open_seq or self._seq + 1,
            anchor=await self._snapshots.anchor(self._seq),
            team=self._team.name,
            build=self._team.build,
            at=datetime.now(UTC),
        )
        data = content(self._index, self._arbiter.versions)
        await self._snapshots.write(head, data)
        self._written_seq = head.seq
        log.info("snapshot.written", seq=head.seq, open_runs=len(self._index.open), size_bytes=len(data))

    async def _look_at_what_is_left(self) -> None:
        """Of most runs that ended while a step had a lease the step was over as well."""
        for name in tuple(self._index.left):
            run = await past.folded(self._journal, self._team, name)
            if run is None or not fold.is_left(run):
                self._index.forget_left(name)

    async def _know_what_stands(self) -> None:
        """What outlives runs is taken from memory, which must not be behind the journal."""
        versions = self._arbiter.versions
        behind = [name for name, number in self._index.shared.items() if number_of(versions.held(*name)) < number]
        if behind:
            await self._arbiter.stored.catch_up(*behind)
