"""Criteria against recorded evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remit.contracts.charter import CompletionCheck
from remit.contracts.review import ReviewOpened
from remit.supervisor.completion import evaluate
from remit.supervisor.run_state import ReviewState
from tests.teams import Check, Sheet, charter
from tests.unit.supervisor.run import NOW, completed, started

if TYPE_CHECKING:
    from remit.contracts.task import Criterion
    from remit.supervisor.run_state import RunState


def judged(run: RunState, check: CompletionCheck, versions: dict[str, int] | None = None) -> Criterion:
    (criterion,) = evaluate(run, charter(completion=(check,)), versions or {})
    return criterion


@pytest.fixture
def run() -> RunState:
    return completed(started("chain"), sheet=Sheet(total=3))


def test_steps_that_are_left_fail_the_criterion_and_are_named(run: RunState) -> None:
    every = CompletionCheck(name="all", check="steps_completed")
    one = CompletionCheck(name="one", check="steps_completed", node="sheet")
    run.nodes["check"].width = 1

    assert not judged(run, every).passed
    assert judged(run, every).reason == "not completed: check"
    assert judged(run, one).passed
    assert judged(run, one).evidence == ("remit.run.r1.sheet.clerk-1.1.completed",)


def test_a_skipped_node_leaves_nothing(run: RunState) -> None:
    run.nodes["check"].skipped = "no"

    assert judged(run, CompletionCheck(name="all", check="steps_completed")).passed


@pytest.mark.parametrize(("field", "passed"), [("total", True), ("urgent", False), ("none.such", False)])
def test_a_field_of_a_reply_is_compared(run: RunState, field: str, passed: bool) -> None:  # noqa: FBT001  # drawn
    check = CompletionCheck(name="x", check="reply_field", node="sheet", field=field, operator="eq", value=3)

    assert judged(run, check).passed is passed


def test_a_step_without_a_reply_fails_its_criterion(run: RunState) -> None:
    check = CompletionCheck(name="x", check="reply_field", node="check", field="ok", operator="ne", value=True)

    assert not judged(run, check).passed
    assert judged(completed(run, check=Check(ok=False)), check).passed


def test_state_must_have_been_written(run: RunState) -> None:
    check = CompletionCheck(name="x", check="state_present", key="report")

    assert not judged(run, check).passed
    assert judged(run, check, {"report": 2}).evidence == ("remit.state.r1.report.2",)


def test_nobody_may_still_be_waited_for(run: RunState) -> None:
    check = CompletionCheck(name="x", check="no_open_review")
    opened = ReviewOpened(
        review_id="r1-v3",
        run_id="r1",
        step="sheet",
        position="0",
        kind="question",
        title="?",
        subject="sha256:0",
        role="clerk",
        goal_hash="sha256:0",
        opened_at=NOW,
    )
    before = judged(run, check)
    run.reviews["r1-v3"] = ReviewState(opened)

    assert before.passed
    assert judged(run, check).reason == "waiting: r1-v3"
