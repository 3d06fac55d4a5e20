"""Dispatching is journaling: the entries by which steps go to the pools."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from remit.bus import subject
from remit.contracts.ids import GENERATION, conflict_step
from remit.contracts.message import raw, tag_of
from remit.contracts.step import Parent, RunStep
from remit.supervisor.step_end import in_plan

if TYPE_CHECKING:
    from datetime import datetime

    from remit.contracts.proposal import StateConflict
    from remit.contracts.rollback import Undoing
    from remit.contracts.task import RunStarted
    from remit.contracts.team import TeamSpec
    from remit.supervisor.run import LaneEntry
    from remit.supervisor.run_state import NodeState, RunState, StepState


UNDO_LIMITS = 10
"""A compensation may take so many times its role's limit, its retries included."""


class Append(NamedTuple):
    """An entry to store: its subject and its message."""

    subject: str
    message: LaneEntry


def work(
    team: TeamSpec,
    started: RunStarted,
    *,
    step: str,
    role: str,
    body: msgspec.Raw,
    rule: str,
    ends_at: datetime | None = None,
    **more: object,
) -> RunStep:
    """Give the first dispatch of a step; the run ends at `ends_at`, or as it did when it started."""
    first = RunStep(
        run_id=started.run_id,
        step=step,
        epoch=1,
        role=role,
        goal=started.goal,
        goal_hash=started.goal_hash,
        contract=tag_of(team.roles[role].takes),
        body=body,
        deadline_at=ends_at or started.started_at + timedelta(seconds=started.limits.wall_clock_s),
        limit_s=team.charter.roles[role].limits.deadline_s,
        rule=rule,
    )
    return msgspec.structs.replace(first, **more) if more else first


def of_node(team: TeamSpec, run: RunState, node: NodeState, *, step: str, body: msgspec.Raw, rule: str) -> Append:
    """Dispatch a step of the plan: for the first time, or from its beginning after a rollback."""
    spec, before = node.spec, run.steps.get(step)
    limit_s = team.charter.roles[spec.role].limits.deadline_s
    entry = work(
        team,
        run.started,
        step=step,
        role=spec.role,
        body=body,
        rule=rule,
        ends_at=run.ends_at,
        limit_s=min(spec.deadline_s or limit_s, limit_s),
        attempts=spec.attempts,
        backoff_s=spec.backoff_s,
    )
    if (adopted := run.adopted.get(step)) is not None and before is None:
        entry = msgspec.structs.replace(entry, generation=adopted.generation, jumps=adopted.jumps)
    if before is not None:
        generation = before.work.generation + 1
        entry = msgspec.structs.replace(
            entry,
            epoch=before.work.epoch + 1,
            generation=generation,
            rolled_back=node.note,
            jumps=_jumps(run, node, before.work, to=generation * GENERATION),
        )
    return Append(subject.work(run.run_id, role=team.pool(spec.role), step=step, epoch=entry.epoch), entry)


def _jumps(run: RunState, node: NodeState, before: RunStep, *, to: int) -> tuple[tuple[int, int], ...]:
    """The step that marked the checkpoint keeps what it recorded before; every other one begins anew."""
    mark = run.checkpoints.get(node.note.to) if node.note is not None else None
    if mark is None or mark.taken.step != before.step:
        return ((-1, to),)
    at = int(mark.taken.position)
    return (*(jump for jump in before.jumps if jump[0] < at), (at, to))


def child(
    team: TeamSpec, run: RunState, *, parent: StepState, step: str, role: str, body: msgspec.Raw, position: str
) -> Append:
    """Dispatch the step that a step asks for."""
    entry = work(
        team,
        run.started,
        step=step,
        role=role,
        body=body,
        rule=f"ask by {parent.work.step} at {position}",
        ends_at=max(run.ends_at, parent.work.deadline_at),
        parent=Parent(step=parent.work.step, position=position),
    )
    if (before := run.steps.get(step)) is not None:  # a rollback took it back, and its asker asks again
        generation = before.work.generation + 1
        entry = msgspec.structs.replace(
            entry,
            epoch=before.work.epoch + 1,
            generation=generation,
            jumps=((-1, generation * GENERATION),),
        )
    return Append(subject.work(run.run_id, role=team.pool(role), step=step, epoch=entry.epoch), entry)


def arbitration(
    team: TeamSpec, run: RunState, *, parent: StepState, role: str, within_s: float, conflict: StateConflict
) -> Append:
    """Dispatch the step in which a role arbitrates a conflict."""
    position = conflict.proposal.position
    step = conflict_step(parent.work.step, position, len(run.conflict_steps.get(conflict.dispute, ())))
    entry = work(
        team,
        run.started,
        step=step,
        role=role,
        body=raw(conflict),
        rule=f"conflict over {', '.join(sorted({item.key for item in conflict.fields}))}",
        parent=Parent(step=parent.work.step, position=position),
        conflict=conflict.dispute,
        limit_s=within_s,
        ends_at=run.ends_at,
    )
    return Append(subject.work(run.run_id, role=team.pool(role), step=step, epoch=1), entry)


def undo(team: TeamSpec, run: RunState, undoing: Undoing, *, now: datetime) -> Append:
    """Dispatch a compensation; it may take its time, whenever the run would have ended."""
    limit_s = team.charter.roles[undoing.role].limits.deadline_s
    entry = work(
        team,
        run.started,
        step=undoing.by,
        role=undoing.role,
        body=undoing.body,
        rule=f"undo {undoing.step}",
        ends_at=max(run.ends_at, now + timedelta(seconds=UNDO_LIMITS * limit_s)),
        undoes=undoing.step,
    )
    return Append(subject.work(run.run_id, role=team.pool(undoing.role), step=undoing.by, epoch=1), entry)


def again(run: RunState, step: StepState, rule: str, *, attempt: int = 0) -> Append:
    """Dispatch a step once more, in its next epoch; whoever holds the old one is superseded."""
    old = step.work
    is_void = bool(step.outdated or step.refusals)
    generation = old.generation + is_void
    entry = msgspec.structs.replace(
        old,
        epoch=old.epoch + 1,
        rule=rule,
        attempt=attempt or old.attempt,
        generation=generation,
        jumps=((-1, generation * GENERATION),) if is_void else old.jumps,
        outdated=step.outdated or old.outdated,
        refusals=step.refusals or old.refusals,
        deadline_at=run.ends_at if in_plan(old) else max(old.deadline_at, run.ends_at),
        start=None,
    )
    return Append(subject.work(run.run_id, role=run.team.pool(old.role), step=old.step, epoch=entry.epoch), entry)
