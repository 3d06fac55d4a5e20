"""Runs as they were at a place in the journal, finished ones included; and what the runs behind a retry did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.bus import subject
from remit.contracts.ids import is_run, node_of
from remit.supervisor.effects_done import Calls, is_below
from remit.supervisor.fold import Fold

if TYPE_CHECKING:
    from remit.bus.journal import Journal
    from remit.contracts.rollback import EffectDone
    from remit.contracts.team import TeamSpec
    from remit.supervisor.run_state import RunState, StepState


async def folded(journal: Journal, team: TeamSpec, name: str, *, end_seq: int = 0) -> RunState | None:
    """Give a run, open or finished, as it was at a place in the journal, or is; None if this team has no such run.

    Raises:
        BusUnavailableError: the journal could not be read.
    """
    if not is_run(name):
        return None
    fold = Fold(team, keeps_finished=True)
    async for entry in journal.read(subject.run_all(name)):
        if end_seq and entry.seq > end_seq:
            break
        fold.apply(entry)
    return fold.runs.get(name) or fold.ended.get(name)


class Origins:
    """The runs whose work a retry goes on with, the nearest first: what they did is its own to undo."""

    def __init__(self) -> None:
        self._past: list[tuple[RunState, Calls]] = []

    @classmethod
    async def of(cls, journal: Journal, team: TeamSpec, run: RunState) -> Origins:
        """Give the origins of a run; a fork at a checkpoint has none, its steps begin anew. Raises as `folded`."""
        origins, state = cls(), run
        while (fork := state.started.fork) is not None and not fork.at:
            past = await folded(journal, team, fork.run_id, end_seq=fork.at_seq)
            if past is None:
                break
            calls = await Calls.read(journal, past.run_id, start_seq=past.first_seq)
            origins._past.append((past, calls))
            state = past
        return origins

    def step(self, name: str) -> StepState | None:
        """Give a step as the nearest of them left it."""
        return next((past.steps[name] for past, _calls in self._past if name in past.steps), None)

    def effects(self, root: str) -> tuple[EffectDone, ...]:
        """Give what they may have done to the world for a step, and have not undone themselves, newest first."""
        return tuple(
            effect
            for past, calls in self._past
            for effect in calls.effects(lambda name: is_below(name, root), after=past.undone_to.get(node_of(root), 0))
        )
