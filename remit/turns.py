"""The turns that a run took, folded from its entries: its plan, checkpoints, rollbacks, pauses, and its shared past."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remit.contracts.fork import RunForked
from remit.contracts.plan import START, PlanAccepted, PlanRefused
from remit.contracts.rollback import Checkpointed, RollbackBegun, RollbackListed, RolledBack
from remit.contracts.task import RunPaused, RunResumed

if TYPE_CHECKING:
    from datetime import datetime

    from remit.contracts.plan import Node

Turn = (
    PlanAccepted
    | PlanRefused
    | Checkpointed
    | RollbackBegun
    | RollbackListed
    | RolledBack
    | RunPaused
    | RunResumed
    | RunForked
)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A checkpoint, and its place in the journal."""

    taken: Checkpointed
    seq: int


@dataclass(kw_only=True)
class Rollback:
    """One rollback: what set it off, what it undoes, and what came of it."""

    begun: RollbackBegun
    seq: int
    """Place in the journal where it began."""
    listed: RollbackListed | None = None
    done: RolledBack | None = None
    done_seq: int = 0


@dataclass(kw_only=True)
class Pause:
    """A time in which nothing was dispatched; it lasts if nothing ended it."""

    paused: RunPaused
    resumed: RunResumed | None = None
    is_over: bool = False


@dataclass
class Turns:
    """The turns of one run, in journal order."""

    plans: list[PlanAccepted] = field(default_factory=list)
    refused: list[PlanRefused] = field(default_factory=list)
    checkpoints: dict[str, Mark] = field(default_factory=dict)
    """Those that stand: a rollback takes away what was marked behind it."""
    rollbacks: list[Rollback] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    past: list[RunForked] = field(default_factory=list)
    """What a fork took over, part by part."""

    @property
    def rollback(self) -> Rollback | None:
        """The rollback that is under way."""
        return self.rollbacks[-1] if self.rollbacks and self.rollbacks[-1].done is None else None

    @property
    def paused(self) -> RunPaused | None:
        """The pause that lasts."""
        return self.pauses[-1].paused if self.pauses and not self.pauses[-1].is_over else None

    @property
    def added(self) -> tuple[Node, ...]:
        """Every node that a planner, or a fork's origin, put into the plan."""
        shared = [node for part in self.past for node in part.added]
        return (*shared, *(node for plan in self.plans for node in plan.added))

    def apply(self, seq: int, turn: Turn, *, at: datetime) -> None:
        """Apply one of these entries, stored at `seq` at the time `at`."""
        match turn:
            case PlanAccepted():
                self.plans.append(turn)
            case PlanRefused():
                self.refused.append(turn)
            case Checkpointed():
                self.checkpoints[turn.name] = Mark(taken=turn, seq=seq)
            case RunPaused():
                self.pauses.append(Pause(paused=turn))
            case RunResumed():
                self._on_resumed(turn)
            case RunForked():
                self._on_forked(seq, turn)
            case _:
                self._on_rollback(seq, turn, at)

    def _on_resumed(self, turn: RunResumed) -> None:
        if self.paused is not None:
            self.pauses[-1].resumed, self.pauses[-1].is_over = turn, True

    def _on_forked(self, seq: int, turn: RunForked) -> None:
        self.past.append(turn)
        if turn.is_last:
            over = tuple(node.node for entry in self.past for node in entry.nodes)
            self.checkpoints[START] = Mark(taken=Checkpointed(run_id=turn.run_id, name=START, over=over), seq=seq)

    def _on_rollback(self, seq: int, turn: RollbackBegun | RollbackListed | RolledBack, at: datetime) -> None:
        if isinstance(turn, RollbackBegun):
            self.rollbacks.append(Rollback(begun=turn, seq=seq))
            return
        known = self.rollback
        if known is None:
            return
        if isinstance(turn, RollbackListed):
            known.listed = turn
            return
        known.done, known.done_seq = turn, seq
        if known.begun.then == "pause" and not any(item.is_failure for item in turn.lasting):
            reason = f"rolled back to {turn.to}"
            pause = RunPaused(run_id=turn.run_id, by=known.begun.by, reason=reason, paused_at=at)
            self.pauses.append(Pause(paused=pause))
        self.checkpoints = {name: mark for name, mark in self.checkpoints.items() if mark.seq <= known.begun.at_seq}
