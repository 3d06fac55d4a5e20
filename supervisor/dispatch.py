"""Dispatching is journaling: the entries by which steps go to the pools."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from remit.bus import subject
from remit.contracts.ids import conflict_step
from remit.contracts.message import raw, tag_of
from remit.contracts.step import Parent, RunStep

if TYPE_CHECKING:
    from datetime import datetime

    from remit.contracts.proposal import StateConflict
    from remit.contracts.task import RunStarted
    from remit.contracts.team import TeamSpec
    from remit.supervisor.run import LaneEntry
    from remit.supervisor.run_state import RunState, StepState


class Append(NamedTuple):
    """An entry to store: its subject and its message."""

    subject: str
    message: LaneEntry


def work(
    team: TeamSpec, started: RunStarted, *, step: str, role: str, body: msgspec.Raw, rule: str, **more: object
) -> RunStep:
    """Give the first dispatch of a step."""
    first = RunStep(
        run_id=started.run_id,
        step=step,
        epoch=1,
        role=role,
        goal=started.goal,
        goal_hash=started.goal_hash,
        contract=tag_of(team.roles[role].takes),
        body=body,
        deadline_at=ends_at(started),
        limit_s=team.charter.roles[role].limits.deadline_s,
        rule=rule,
    )
    return msgspec.structs.replace(first, **more) if more else first


def ends_at(started: RunStarted) -> datetime:
    """Give the end of a run's wall-clock limit."""
    return started.started_at + timedelta(seconds=started.limits.wall_clock_s)


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
        parent=Parent(step=parent.work.step, position=position),
    )
    return Append(subject.work(run.run_id, role=role, step=step, epoch=1), entry)


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
    )
    return Append(subject.work(run.run_id, role=role, step=step, epoch=1), entry)


def again(run: RunState, step: StepState, rule: str, *, attempt: int = 0) -> Append:
    """Dispatch a step once more, in its next epoch; whoever holds the old one is superseded."""
    old = step.work
    entry = msgspec.structs.replace(
        old,
        epoch=old.epoch + 1,
        rule=rule,
        attempt=attempt or old.attempt,
        generation=old.generation + bool(step.outdated),
        outdated=step.outdated or old.outdated,
        start=None,
    )
    return Append(subject.work(run.run_id, role=old.role, step=old.step, epoch=entry.epoch), entry)
