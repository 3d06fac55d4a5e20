"""Where a journal stands, read from the newest snapshot and what came after it, or from the journal's beginning.

Both ways give the same: open runs are folded from their own entries, whichever way they were found.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from remit.bus import subject
from remit.bus.snapshot import SnapshotHead, Snapshots
from remit.contracts.errors import MalformedMessageError
from remit.contracts.ids import is_run
from remit.contracts.lease import LeaseRevoked
from remit.contracts.message import decode
from remit.supervisor import fold, versions
from remit.supervisor.index import Index
from remit.supervisor.versions import SharedCommit, SharedDocument, Versions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remit.bus.journal import Entry, Journal
    from remit.contracts.team import TeamSpec

log = structlog.get_logger(__name__)

AT_ONCE: Final = 32
"""Runs that are read at the same time."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a snapshot holds: of runs their names only, so it knows nothing of how a build sees them."""

    open: dict[str, int]
    left: tuple[str, ...]
    revoked: tuple[msgspec.Raw, ...]
    finished: int
    documents: tuple[SharedDocument, ...]
    commits: tuple[SharedCommit, ...]


_snapshot = msgspec.json.Decoder(Snapshot)


@dataclass(slots=True)
class Recovered:
    """Where a journal stands."""

    fold: fold.Fold
    index: Index
    seq: int
    """Every entry of a run up to there is in it."""
    state_seq: int = 0
    """Every version up to there is known."""
    start_seq: int = 1
    """Where reading on began: behind the snapshot, if there was one."""


async def recover(journal: Journal, team: TeamSpec, state: Versions | None = None) -> Recovered:
    """Give where the journal stands; the versions that somebody may still ask for are applied to `state`, if given.

    Raises:
        BusUnavailableError: the journal could not be read to its end.
    """
    found = await _from_snapshot(journal, team, state)
    runs, index = found.fold, found.index

    def apply(entry: Entry) -> None:
        index.apply(entry)
        runs.apply(entry)

    found.seq = await journal.fold(fold.FILTERS, found.start_seq, apply)
    if state is not None:
        await _read_state(journal, found, state)
    index.settle(open_runs=[*runs.runs, *runs.strangers], left=runs.left)
    return found


async def _read_state(journal: Journal, found: Recovered, state: Versions) -> None:
    runs = found.fold

    def apply(entry: Entry) -> None:
        """The state of runs that are over is in the journal, and nobody asks for it."""
        found.index.apply_version(entry)
        run = versions.run_of(entry.subject)
        if not is_run(run) or run in runs.runs or run in runs.strangers:
            state.apply(entry)

    found.state_seq = await journal.fold(versions.FILTERS, found.start_seq, apply)
    state.forget_all_but(runs.runs)


async def _from_snapshot(journal: Journal, team: TeamSpec, state: Versions | None) -> Recovered:
    empty = Recovered(fold.Fold(team), Index(), 0)
    snapshots = Snapshots(journal.bus)
    stored = await snapshots.read()
    if stored is None:
        return empty
    head, data = stored
    try:
        snapshot = _snapshot.decode(data)
        notices = [decode(LeaseRevoked, notice) for notice in snapshot.revoked]
    except (msgspec.MsgspecError, MalformedMessageError) as error:
        log.warning("snapshot.ignored", reason="its content cannot be read", got=str(error))
        return empty
    found = Recovered(
        fold.Fold(team),
        Index(open=dict(snapshot.open), left=set(snapshot.left), finished=snapshot.finished),
        head.seq,
        start_seq=head.seq + 1,
    )
    found.index.shared = {(item.version.scope, item.version.key): item.version.version for item in snapshot.documents}
    if state is not None:
        state.restore(snapshot.documents, snapshot.commits)
    await _read_runs(journal, found, [*snapshot.open, *snapshot.left], state=state)
    # Read run by run they are not in the order of the journal, and those of runs long over are not among them.
    found.index.revoked.clear()
    found.index.revoked.extend(snapshot.revoked)
    found.fold.revoked.clear()
    found.fold.revoked.extend(notices)
    log.info("snapshot.read", seq=head.seq, open_runs=len(snapshot.open), size_bytes=head.size_bytes, build=head.build)
    return found


async def _read_runs(journal: Journal, found: Recovered, names: Iterable[str], *, state: Versions | None) -> None:
    """Fold runs from their own entries, as far as the snapshot goes."""
    limit, begins = asyncio.Semaphore(AT_ONCE), found.index.open

    async def read(name: str) -> None:
        async with limit:
            entries = await journal.whole(name, start_seq=begins.get(name, 1))
        finished = found.index.finished
        for entry in entries:
            if entry.seq > found.seq:
                break
            found.index.apply(entry)
            found.fold.apply(entry)
            if state is not None and _is_of_state(entry):
                state.apply(entry)
        found.index.finished = finished

    await asyncio.gather(*map(read, names))


def _is_of_state(entry: Entry) -> bool:
    parts = subject.parse_run(entry.subject)
    return parts.author == "state" if parts is not None else True


async def take_snapshot(journal: Journal, *, team: str) -> Index:
    """A journal that was put back has a snapshot, and its consumers a place to begin; give what is open in it.

    Raises:
        TooLargeError: what outlives runs is too large for a snapshot; there is none.
        BusRefusedError: the server refused; there is none.
        BusUnavailableError: the journal could not be read, or no answer came.
    """
    index, state, snapshots = Index(), Versions(), Snapshots(journal.bus)

    def apply(entry: Entry) -> None:
        index.apply_version(entry)
        state.apply(entry)

    seq = await journal.fold(fold.FILTERS, 1, index.apply)
    await journal.fold(versions.FILTERS, 1, apply)
    state.forget_all_but(index.open)
    head = SnapshotHead(
        seq=seq,
        oldest_open_seq=index.oldest_open_seq or seq + 1,
        anchor=await snapshots.anchor(seq),
        team=team,
        build="",
        at=datetime.now(UTC),
    )
    await snapshots.write(head, content(index, state))
    return index


def content(index: Index, state: Versions) -> bytes:
    """Give what a snapshot holds."""
    return msgspec.json.encode(
        Snapshot(
            open=index.open,
            left=tuple(sorted(index.left)),
            revoked=tuple(index.revoked),
            finished=index.finished,
            documents=state.shared(),
            commits=state.shared_commits(index.open),
        )
    )
