"""What of a journal a supervisor must read again: folded from its entries, and small however long the journal is.

A run is folded from its own entries alone. So whoever knows which runs are open, and what outlives runs, need not read
the rest. A name too many does no harm, its entries say what it is; one too few would be a run that is lost.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from remit.bus import subject
from remit.contracts.errors import MalformedMessageError
from remit.contracts.ids import LANE, is_run
from remit.contracts.lease import Lease, LeaseRevoked
from remit.contracts.message import decode, decode_any
from remit.contracts.task import RunFinished
from remit.supervisor.fold import REPEATED, SETTLED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remit.bus.journal import Entry
    from remit.bus.subject import RunSubject


@dataclass(frozen=True, slots=True)
class _Holder:
    epoch: int
    agent: str


@dataclass(slots=True)
class Index:
    """Open runs, what is left of those that are over, and the newest versions that outlive runs."""

    open: dict[str, int] = field(default_factory=dict)
    """Runs that are not over, with the place at which each begins."""
    left: set[str] = field(default_factory=set)
    """Runs that are over, and of which somebody may still hold a step."""
    revoked: deque[msgspec.Raw] = field(default_factory=lambda: deque(maxlen=REPEATED))
    """The newest revocations."""
    shared: dict[tuple[str, str], int] = field(default_factory=dict)
    """The newest version of each key that belongs to no run."""
    finished: int = 0
    """How many runs are over."""
    _held: dict[str, dict[str, _Holder]] = field(default_factory=dict)
    """By run and step the newest lease that was neither taken nor used up."""

    def apply(self, entry: Entry) -> None:
        """Apply one entry of a run."""
        parts = subject.parse_run(entry.subject)
        if parts is None:
            return
        try:
            self._apply(parts, entry)
        except MalformedMessageError:  # whoever folds the run says so
            return

    def apply_version(self, entry: Entry) -> None:
        """Apply one version of a state key; its subject is enough."""
        about = subject.parse_state(entry.subject)
        if about is not None and not is_run(about.scope):
            name = (about.scope, about.key)
            self.shared[name] = max(about.version, self.shared.get(name, 0))

    def settle(self, *, open_runs: Iterable[str], left: Iterable[str]) -> None:
        """What was found out by reading runs is known: these are open, these are left, no others."""
        self.open = {name: self.open[name] for name in open_runs if name in self.open}
        self.left = set(left)
        self._held = {name: held for name, held in self._held.items() if name in self.open or name in self.left}

    def forget_left(self, run: str) -> None:
        """Nobody holds a step of this run."""
        self.left.discard(run)
        self._held.pop(run, None)

    @property
    def oldest_open_seq(self) -> int:
        """Where the oldest open run begins; 0 if none is open."""
        return min(self.open.values(), default=0)

    def _apply(self, parts: RunSubject, entry: Entry) -> None:
        if parts.lane == LANE:
            self._on_lane(parts, entry)
        elif parts.kind == "revoked":
            self._on_revoked(parts, entry)
        elif parts.run in self.open:
            self._on_step(parts, entry)

    def _on_lane(self, parts: RunSubject, entry: Entry) -> None:
        if parts.kind == "finished":
            if decode(RunFinished, entry.data).run_id == parts.run:
                self._on_finished(parts.run)
        elif parts.run not in self.open and _may_begin(parts, entry.subject):
            self.open[parts.run] = entry.seq

    def _on_finished(self, run: str) -> None:
        self.finished += 1
        self.open.pop(run, None)
        if self._held.get(run):
            self.left.add(run)
        else:
            self._held.pop(run, None)

    def _on_revoked(self, parts: RunSubject, entry: Entry) -> None:
        notice: LeaseRevoked = decode_any(LeaseRevoked, entry.data)
        if (notice.run_id, notice.step, str(notice.epoch)) != (parts.run, parts.lane, parts.index):
            return
        self.revoked.append(msgspec.Raw(entry.data))
        held = self._held.get(parts.run, {})
        if (holder := held.get(parts.lane)) is not None and holder.epoch <= notice.epoch:
            del held[parts.lane]
        if not held and parts.run in self.left:
            self.left.discard(parts.run)
            self._held.pop(parts.run, None)

    def _on_step(self, parts: RunSubject, entry: Entry) -> None:
        held = self._held.get(parts.run, {})
        if parts.kind == "lease":
            lease: Lease = decode_any(Lease, entry.data)
            if (lease.run_id, lease.step) == (parts.run, parts.lane):
                self._held.setdefault(parts.run, {})[parts.lane] = _Holder(lease.epoch, lease.agent)
        elif parts.kind in SETTLED and (holder := held.get(parts.lane)) is not None:
            end = decode_any(SETTLED[parts.kind], entry.data)
            if (end.run_id, end.step) == (parts.run, parts.lane) and holder == _Holder(end.epoch, parts.author):
                del held[parts.lane]


def _may_begin(parts: RunSubject, name: str) -> bool:
    """Say whether an entry of a lane may be a run's first: its start, or the dispatch of its only step."""
    return parts.kind == "started" or (parts.kind == "work" and name.endswith(".1"))
