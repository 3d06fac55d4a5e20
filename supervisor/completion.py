"""Completion is derived: the charter's criteria evaluated against recorded evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from remit.bus import subject
from remit.contracts.task import Criterion
from remit.supervisor.plan import compare, field_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remit.contracts.charter import Charter, CompletionCheck
    from remit.supervisor.run_state import RunState


def evaluate(run: RunState, charter: Charter, versions: Mapping[str, int]) -> tuple[Criterion, ...]:
    """Give every criterion of the charter with pass or fail and its evidence.

    `versions` holds the current version of every state key of the run.
    """
    return tuple(_evaluate(run, check, versions) for check in charter.completion)


def _evaluate(run: RunState, check: CompletionCheck, versions: Mapping[str, int]) -> Criterion:
    match check.check:
        case "steps_completed":
            return _steps_completed(run, check)
        case "reply_field":
            return _reply_field(run, check)
        case "state_present":
            return _state_present(run, check, versions)
        case "no_open_review":
            return _no_open_review(run, check)
        case _:
            assert_never(check.check)


def _steps_completed(run: RunState, check: CompletionCheck) -> Criterion:
    wanted = [node for node in run.nodes.values() if check.node in {"", node.spec.name}]
    names = [name for node in wanted for name in node.steps()]
    open_steps = [name for name in names if name not in run.steps or run.steps[name].status != "completed"]
    evidence = tuple(run.steps[name].completed_by for name in names if name not in open_steps)
    reason = f"not completed: {', '.join(open_steps[:5])}" if open_steps else f"{len(names)} steps completed"
    return Criterion(name=check.name, passed=not open_steps, reason=reason, evidence=evidence[:_SHOWN])


def _reply_field(run: RunState, check: CompletionCheck) -> Criterion:
    step = run.steps.get(check.node)
    if step is None or step.status != "completed":
        return Criterion(name=check.name, passed=False, reason=f"{check.node} gave no reply")
    value = field_at(step.reply, check.field)
    passed = compare(value, check.operator, check.value)
    said = f"{check.node}.{check.field} is {value!r}"
    wanted = "" if passed else f", wanted {check.operator} {check.value!r}"
    return Criterion(name=check.name, passed=passed, reason=said + wanted, evidence=(step.completed_by,))


def _state_present(run: RunState, check: CompletionCheck, versions: Mapping[str, int]) -> Criterion:
    version = versions.get(check.key, 0)
    if not version:
        return Criterion(name=check.name, passed=False, reason=f"state {check.key} was never written")
    evidence = (subject.state(run.run_id, check.key, version),)
    return Criterion(
        name=check.name, passed=True, reason=f"state {check.key} is at version {version}", evidence=evidence
    )


def _no_open_review(run: RunState, check: CompletionCheck) -> Criterion:
    waiting = [name for name, review in run.reviews.items() if review.decided is None]
    reason = f"waiting: {', '.join(waiting)}" if waiting else f"{len(run.reviews)} reviews decided"
    return Criterion(name=check.name, passed=not waiting, reason=reason, evidence=tuple(run.reviews)[:_SHOWN])


_SHOWN = 20
"""Evidence subjects listed for one criterion; the journal holds them all."""
