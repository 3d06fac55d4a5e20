"""Rollbacks under way: what was held is stopped, its calls have an outcome, compensations run, the state is put back.

Each stage ends with an entry of the run's lane, so a supervisor that starts goes on where the journal ends. Nothing is
waited for under the run's lock: while a call is open, the run is looked at again a little later.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from remit.bus import subject
from remit.contracts.ids import node_of
from remit.contracts.message import decode, raw
from remit.contracts.rollback import Lasting, RollbackListed, Undo, Undoing
from remit.supervisor import saga
from remit.supervisor.dispatch import Append
from remit.supervisor.effects_done import Calls, is_below
from remit.supervisor.past import Origins
from remit.supervisor.restoration import Restoration
from remit.supervisor.step_end import in_plan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from remit.bus.journal import Journal
    from remit.contracts.rollback import EffectDone
    from remit.supervisor.arbiter import Arbiter
    from remit.supervisor.overwrite import Overwrites
    from remit.supervisor.run_state import RollbackState, RunState, StepState

AGAIN_S: Final = 0.2
_UNDO_BYTES: Final = 2 * 1024 * 1024
"""Of all compensations of one rollback; beyond it they are told less of what they undo."""


class Rollbacks:
    """Gives the entries that a rollback needs and that only the journal and the world can tell."""

    def __init__(
        self,
        journal: Journal,
        *,
        arbiter: Arbiter,
        overwrites: Overwrites,
        stop: Callable[[RunState], Awaitable[None]],
        wake: Callable[[str, float], None],
    ) -> None:
        self._stop = stop
        self._journal = journal
        self._restoration = Restoration(journal, arbiter, overwrites)
        self._wake = wake

    async def next(self, run: RunState) -> Append | None:
        """Give the entry by which the rollback goes on; None while it waits, for a call or for a compensation.

        Raises:
            BusUnavailableError: the journal could not be read or written; what is put back so far stays.
            RefusedError: the state cannot be put back, because no contract covers it any more.
        """
        if run.rollback is None:
            return None
        if run.rollback.listed is None:
            return await self._listed(run, run.rollback)
        return await self._done(run, run.rollback) if saga.is_compensated(run.team, run) else None

    # --- what is undone --------------------------------------------------------------------------

    async def _listed(self, run: RunState, rollback: RollbackState) -> Append | None:
        nodes = set(rollback.begun.nodes)
        await self._stop(run)
        calls = await Calls.read(self._journal, run.run_id, start_seq=run.first_seq)
        if calls.waiting(lambda step: node_of(step) in nodes, datetime.now(UTC)):
            self._wake(run.run_id, AGAIN_S)
            return None
        origins = await Origins.of(self._journal, run.newest, run)
        undo, lasting, room = list[Undoing](), list[Lasting](), _UNDO_BYTES
        for step in _newest_first(run, nodes, origins):
            effects = _effects(run, step, calls, origins=origins)
            undoing = self._undoing(run, step, effects, reason=rollback.begun.reason, room=room)
            if undoing is None:
                lasting += [_lasting(item) for item in effects]
            else:
                undo.append(undoing)
                room -= len(bytes(undoing.body))
        entry = RollbackListed(run_id=run.run_id, undo=tuple(undo), lasting=tuple(lasting))
        return Append(subject.decision(run.run_id, run.number + 1, "rollback_listed"), entry)

    def _undoing(
        self, run: RunState, step: StepState, effects: tuple[EffectDone, ...], *, reason: str, room: int
    ) -> Undoing | None:
        """Give the compensation of a step; None if there is none, or nothing to undo."""
        compensation = run.nodes[node_of(step.work.step)].spec.undo
        if compensation is None or not (effects or (step.status == "completed" and not _is_marking(run, step))):
            return None
        body = Undo(
            step=step.work.step,
            role=step.work.role,
            reason=reason,
            work=decode(object, step.work.body),
            reply=decode(object, step.reply) if step.status == "completed" else None,
            effects=effects,
        )
        if len(raw(body)) > max(room, 0):
            body = Undo(step=step.work.step, role=step.work.role, reason=reason)
        by = f"{step.work.step}-u{run.rollbacks}"
        return Undoing(step=step.work.step, by=by, role=compensation.role, body=raw(body))

    # --- what is put back ------------------------------------------------------------------------

    async def _done(self, run: RunState, rollback: RollbackState) -> Append:
        begun = rollback.begun
        mark = f"{run.run_id}-rollback{run.rollbacks}"
        restored, lasting = await self._restoration.restore(run, begun.at_seq, by=begun.by, mark=mark)
        return saga.done(run, restored=tuple(restored), lasting=tuple(lasting))


def _newest_first(run: RunState, nodes: set[str], origins: Origins) -> Sequence[StepState]:
    """Give the steps of these nodes; those that a retry took over and did not come to are the oldest."""
    steps = [step for step in run.steps.values() if in_plan(step.work) and node_of(step.work.step) in nodes]
    waiting = [origins.step(name) for name in run.adopted if name not in run.steps and node_of(name) in nodes]
    return sorted(steps, key=lambda step: -step.order) + [step for step in waiting if step is not None]


def _effects(run: RunState, step: StepState, calls: Calls, *, origins: Origins) -> tuple[EffectDone, ...]:
    """Give what is to be undone of a step: what it did, and what it took over, once for each key."""
    root = step.work.step
    own = calls.effects(lambda name: is_below(name, root), after=_since(run, step))
    is_first = node_of(root) not in run.undone_to and not _is_marking(run, step)
    found: dict[str, EffectDone] = {}
    for effect in (*own, *(origins.effects(root) if is_first else ())):
        found.setdefault(effect.intent, effect)
    return tuple(found.values())


def _is_marking(run: RunState, step: StepState) -> bool:
    """Say whether a step itself marked the checkpoint: what it did before that stays."""
    mark = run.checkpoints.get(run.rollback.begun.to) if run.rollback is not None else None
    return mark is not None and mark.taken.step == step.work.step


def _since(run: RunState, step: StepState) -> int:
    """Give the place in the journal after which the effects of a step are to be undone."""
    earlier = run.undone_to.get(node_of(step.work.step), 0)
    at = run.rollback.begun.at_seq if run.rollback is not None and _is_marking(run, step) else 0
    return max(earlier, at)


def _lasting(effect: EffectDone) -> Lasting:
    doubt = " perhaps" if effect.is_in_doubt else ""
    return Lasting(
        what=f"{effect.tool} of step {effect.step}", why=f"it happened{doubt}, and no compensation is declared"
    )
