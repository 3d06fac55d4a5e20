"""The turns that a run takes, in the fold: pauses, refused plans, checkpoints, rollbacks, and the past of a fork."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

from remit.contracts.errors import CompensationFailedError, RolledBackError
from remit.contracts.fork import RunForked
from remit.contracts.ids import is_asked_before, node_of
from remit.contracts.plan import START, PlanRefused
from remit.contracts.rollback import Checkpointed, RollbackBegun, RollbackListed, RolledBack, RolledBackNote
from remit.contracts.task import RunBound, RunPaused, RunResumed
from remit.supervisor.run_state import CheckpointState, Ending, NodeState, RollbackState, StepState
from remit.supervisor.run_view import items_of
from remit.supervisor.step_end import discard, fail, park, take_back

if TYPE_CHECKING:
    from datetime import datetime

    from remit.contracts.task import Verdict
    from remit.supervisor.run_state import RunState

Turn = (
    PlanRefused
    | Checkpointed
    | RollbackBegun
    | RollbackListed
    | RolledBack
    | RunPaused
    | RunResumed
    | RunForked
    | RunBound
)


def on_turn(run: RunState, seq: int, entry: Turn, *, at: datetime) -> None:
    """Apply one of these entries, stored at `seq` at the time `at`."""
    match entry:
        case PlanRefused():
            _on_refused(run, entry, at)
        case Checkpointed():
            _on_checkpoint(run, seq, entry)
        case RunPaused():
            run.paused = entry
            _dispatch_again(run, entry.held)
        case RunBound():
            run.team, run.is_bound, run.bound_to = run.newest.of(entry.build), entry.is_older, entry.build
            _dispatch_again(run, entry.held)
        case RunResumed():
            run.paused = None
            run.ends_at += timedelta(seconds=entry.paused_s)
        case RunForked():
            _on_forked(run, seq, entry, at=at)
        case _:
            _on_rollback_turn(run, seq, entry, at=at)


def _on_rollback_turn(
    run: RunState, seq: int, entry: RollbackBegun | RollbackListed | RolledBack, *, at: datetime
) -> None:
    match entry:
        case RollbackBegun():
            _on_rollback(run, entry)
        case RollbackListed():
            if run.rollback is not None:
                run.rollback.listed = entry
        case RolledBack():
            _on_rolled_back(run, seq, entry, at=at)
        case _:
            assert_never(entry)


def forget_waits(run: RunState, step: str) -> None:
    """A step waits for nothing any more."""
    discard(run.failed, step)
    discard(run.reopened, step)
    run.waiting.pop(step, None)
    run.sleeping.pop(step, None)
    run.awaiting.pop(step, None)


def reopen(run: RunState, step: StepState) -> None:
    """What a parked step waited for is over: it is dispatched again when there is room."""
    step.status = "decided"
    run.reopened.append(step.work.step)


def _on_refused(run: RunState, entry: PlanRefused, at: datetime) -> None:
    step = run.steps[entry.step]
    if step.work.epoch != entry.epoch or step.status != "completed":
        return
    take_back(run, step)
    fail(run, entry.step, entry.errors[0], retryable=True, at=at)
    step.refusals = entry.errors


def _on_checkpoint(run: RunState, seq: int, entry: Checkpointed) -> None:
    run.checkpoints[entry.name] = CheckpointState(entry, seq)
    if not entry.step:
        for name in entry.over:
            node = run.nodes[name]
            node.is_marked |= node.spec.checkpoint == entry.name


def _dispatch_again(run: RunState, held: tuple[str, ...]) -> None:
    """What is held will be dispatched again; an end of it that the supervisor had not heard of never happened."""
    for name in held:
        if run.steps[name].status in {"completed", "failed"}:
            take_back(run, run.steps[name])
    for step in run.steps.values():
        if park(run, step):
            reopen(run, step)


# --- rollback ------------------------------------------------------------------------------------


def _on_rollback(run: RunState, entry: RollbackBegun) -> None:
    run.rollback = RollbackState(entry)
    run.rollbacks += 1
    if entry.rule >= 0:
        run.rule_uses[entry.rule] = run.rule_uses.get(entry.rule, 0) + 1
    for name, step in run.steps.items():
        if node_of(name) in entry.nodes and not step.work.undoes and step.status != "completed":
            run.in_flight -= step.is_held
            step.status = "reset"
            forget_waits(run, name)
    _withdraw(run, set(entry.nodes))


def _withdraw(run: RunState, nodes: set[str]) -> None:
    """Nobody waits for what the stopped steps asked of people and judges."""
    for name in [name for name, item in run.reviews.items() if item.decided is None]:
        if node_of(run.reviews[name].opened.step) in nodes:
            del run.reviews[name]
    for disputes in (run.conflict_steps, run.conflict_reviews):
        for dispute in [name for name in disputes if node_of(name.split(".")[1]) in nodes]:
            del disputes[dispute]


def _on_rolled_back(run: RunState, seq: int, entry: RolledBack, *, at: datetime) -> None:
    if run.rollback is None:
        return
    begun, run.rollback = run.rollback.begun, None
    note = RolledBackNote(
        to=entry.to,
        reason=begun.reason,
        lasting=entry.lasting,
        undone=entry.undone,
        restored=entry.restored,
        reply=begun.reply,
    )
    for name in entry.reset:
        _reset(run, name, note=note, seq=seq)
    _take_up_again(run, note)
    for name, mark in tuple(run.checkpoints.items()):
        if mark.seq > begun.at_seq:
            del run.checkpoints[name]
    if is_half_done(entry):
        what = "; ".join(f"{item.what}: {item.why}" for item in entry.lasting if item.is_failure)
        error = CompensationFailedError("a step could not be undone", where=run.run_id, got=what).fault()
        run.ending = Ending("failed", f"rollback to {entry.to}", error)
    elif begun.then == "end":
        ended = begun.error or RolledBackError(f"rolled back to {entry.to} by {begun.by}", got=begun.reason).fault()
        outcome: Verdict = "failed" if begun.error is not None else "stopped"
        run.ending = Ending(outcome, f"rollback to {entry.to} by {begun.by}", ended)
    elif begun.then == "pause":
        run.paused = RunPaused(run_id=run.run_id, by=begun.by, reason=f"rolled back to {entry.to}", paused_at=at)


def is_half_done(entry: RolledBack) -> bool:
    """Say whether a compensation failed, so that going on might do something twice."""
    return any(item.is_failure for item in entry.lasting)


def _reset(run: RunState, name: str, *, note: RolledBackNote, seq: int) -> None:
    node = run.nodes.get(name)
    run.undone_to[name] = seq
    if node is None:
        return
    for step in run.steps.values():
        if node_of(step.work.step) == name and not step.work.undoes and not _is_kept(run, step, note.to):
            discard(run.proposals, step.work.step)
            step.status = "reset"
    if node.added_by and _is_reset_too(run, node):
        del run.nodes[name]
        run.undecided -= not node.decided
        return
    run.undecided += node.decided
    run.nodes[name] = NodeState(node.spec, added_by=node.added_by, note=note)


def _is_kept(run: RunState, step: StepState, to: str) -> bool:
    """Say whether a step was asked for, and answered, before the checkpoint that its asker marked: that stays."""
    mark = run.checkpoints.get(to)
    if mark is None or not mark.taken.step or step.status != "completed":
        return False
    return is_asked_before(step.work.step, mark.taken.step, mark.taken.position)


def _take_up_again(run: RunState, note: RolledBackNote) -> None:
    """What a planner gave up that begins again is part of the plan again."""
    for name, gone in tuple(run.dropped.items()):
        planner = run.steps.get(gone.by)
        if planner is not None and planner.status == "reset":
            del run.dropped[name]
            run.nodes[name] = NodeState(gone.spec, added_by=gone.added_by, note=note)
            run.undecided += 1


def _is_reset_too(run: RunState, node: NodeState) -> bool:
    """Say whether the planner of a node begins again, and will plan anew."""
    planner = run.steps.get(node.added_by)
    return planner is not None and planner.status == "reset"


# --- the past of a fork --------------------------------------------------------------------------


def _on_forked(run: RunState, seq: int, entry: RunForked, *, at: datetime) -> None:
    for name in entry.dropped:
        run.undecided -= not run.nodes.pop(name).decided
    for spec in entry.added:
        run.nodes[spec.name] = NodeState(spec)
        run.undecided += 1
    for planned in entry.nodes:
        node = run.nodes[planned.node]
        node.decided, node.fanned, node.skipped = True, planned.fanned, planned.skipped
        node.width = 0 if planned.skipped else planned.width
        run.undecided -= 1
    for adopted in entry.steps:
        step = StepState(adopted.work, at, status="completed", reply=adopted.reply, completed_by=adopted.completed_by)
        run.steps[adopted.work.step] = step
    run.adopted |= {item.step: item for item in entry.records}
    run.effects_shared += entry.effects
    if entry.is_last:
        run.is_forking = False
        for node in run.nodes.values():
            _go_on_with(run, node)
        over = tuple(name for name, node in run.nodes.items() if node.is_over)
        run.checkpoints[START] = CheckpointState(Checkpointed(run_id=run.run_id, name=START, over=over), seq)


def _go_on_with(run: RunState, node: NodeState) -> None:
    """What the origin had finished of a node is finished; the rest of it is to be dispatched."""
    if not node.decided:
        return
    missing = [index for index in range(node.width) if node.step(index) not in run.steps]
    node.undispatched.extend(missing)
    node.open = len(missing)
    node.is_marked = bool(node.spec.checkpoint) and not missing
    if node.fanned:
        node.items = items_of(run, node.spec)
