"""What a run needs next, from its fold and the time alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.contracts.charter import RoleLimits, RunLimits
from remit.contracts.envelope import Envelope
from remit.contracts.errors import Fault
from remit.contracts.message import encode
from remit.contracts.plan import TASK, Condition, Node, PlanAccepted, PlannedNode, PlanSpec
from remit.contracts.step import RunStep, StepFailed
from remit.contracts.task import RunFinished, RunStarted
from remit.supervisor import admission, decide, retry
from remit.supervisor.run import evolve, on_settled
from tests.teams import Sheet, charter, shop
from tests.unit.supervisor.run import NOW, completed, started

if TYPE_CHECKING:
    from remit.supervisor.run_state import RunState

TEAM = shop()


def failed(run: RunState, step: str, *, code: str = "RM-511", retryable: bool = True) -> None:
    entry = StepFailed(run_id="r1", step=step, epoch=1, error=Fault(code=code, message="no"), retryable=retryable)
    assert on_settled(run, f"{run.steps[step].work.role}-1", "x", entry=entry, at=NOW)


def advanced(run: RunState, seconds: float = 0.0) -> list[str]:
    """Append what the run needs until it waits; give the subjects' ends."""
    found = []
    while (append := decide.advance(TEAM, run, {}, now=NOW + timedelta(seconds=seconds))) is not None:
        evolve(run, run.lane_seq + 1, append.message, at=NOW)
        found.append(append.subject.removeprefix("remit.run.r1._."))
    return found


def test_a_run_of_one_step_starts_with_its_dispatch_and_holds_its_input_once() -> None:
    body = encode({"goal": "x", "input": {"customer": "ann"}})
    append = admission.start(TEAM, run_id="r1", workflow="order", body=body, envelope=Envelope(sender="bob"), now=NOW)

    work = append.message
    assert isinstance(work, RunStep)
    assert work.start is not None
    assert append.subject == "remit.run.r1._.work.clerk.order.1"
    assert bytes(work.body) == b'{"customer":"ann"}'
    assert bytes(work.start.input) == b"null"
    assert (work.start.sender, work.start.build, work.deadline_at) == ("bob", TEAM.build, NOW + timedelta(seconds=60))


def test_a_run_of_a_plan_starts_with_what_was_asked() -> None:
    body = encode({"goal": "x", "input": {"customer": "ann"}, "wall_clock_s": 5.0})
    append = admission.start(TEAM, run_id="r1", workflow="gate", body=body, envelope=Envelope(), now=NOW)

    assert isinstance(append.message, RunStarted)
    assert append.message.limits.wall_clock_s == 5.0
    assert append.subject == "remit.run.r1._.1.started"


def test_what_cannot_start_has_its_outcome_at_once() -> None:
    append = admission.start(TEAM, run_id="r1", workflow="none", body=b"", envelope=Envelope(), now=NOW)

    assert isinstance(append.message, RunFinished)
    assert append.subject == "remit.run.r1._.1.finished"


@pytest.mark.parametrize(("attempt", "pause_s"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (99, 30.0)])
def test_the_pause_before_a_retry_doubles_up_to_half_a_minute(attempt: int, pause_s: float) -> None:
    run = started("chain")
    advanced(run)
    failed(run, "sheet")
    step = run.steps["sheet"]
    step.work = msgspec.structs.replace(step.work, attempt=attempt)

    assert (retry.retry_at(step) - NOW).total_seconds() == pause_s


def test_a_retry_waits_for_its_time_and_is_then_due() -> None:
    run = started("chain")
    advanced(run)
    failed(run, "sheet")

    assert advanced(run, 0.4) == []
    assert not decide.is_due(TEAM, run, NOW + timedelta(seconds=0.4))
    assert decide.is_due(TEAM, run, NOW + timedelta(seconds=0.5))
    assert advanced(run, 0.5) == ["work.clerk.sheet.2"]


def test_a_retry_waits_for_a_place_in_the_window_and_comes_before_what_is_new() -> None:
    run = completed(started("fan"), sheet=Sheet())
    run.nodes["sheet"].undispatched.clear()
    _fan(run, 5)
    first = advanced(run)
    failed(run, "pack-1")

    filled = advanced(run)
    waits = advanced(run, 1.0)
    failed(run, "pack-0", retryable=True)
    then = advanced(run, 1.0)

    assert first == ["work.packer.pack-0.1", "work.packer.pack-1.1", "work.packer.pack-2.1"]
    assert (filled, waits, then) == (["work.packer.pack-3.1"], [], ["work.packer.pack-1.2"])


def _fan(run: RunState, width: int) -> None:
    planned = PlannedNode(node="pack", width=width, fanned=True)
    evolve(run, 9, PlanAccepted(run_id="r1", version=2, nodes=(planned,), rule="plan"), at=NOW)
    run.nodes["pack"].items = [msgspec.Raw(b'{"name":"tea"}')] * width


def test_the_end_of_time_comes_before_everything_else() -> None:
    run = started("chain")

    assert advanced(run, 60.0) == ["2.finished"]
    assert run.finished is not None
    assert (run.finished.outcome, run.finished.stopped_by) == ("stopped", "wall_clock")
    assert run.finished.left == ("sheet", "check")


def test_a_step_that_turned_in_a_circle_ends_the_run_as_stopped() -> None:
    run = started("chain")
    advanced(run)
    (step,) = run.steps
    failed(run, step, code="RM-405", retryable=False)

    assert advanced(run)[-1].endswith("finished")
    assert run.finished is not None
    assert (run.finished.outcome, run.finished.stopped_by) == ("stopped", f"repetition of step {step}")


def test_nothing_follows_the_end() -> None:
    run = started("chain")
    advanced(run, 60.0)

    assert advanced(run) == []
    assert decide.overdue(run, NOW) == []


def test_a_run_may_be_bounded_to_fewer_steps_than_it_needs() -> None:
    rules = charter(limits=RunLimits(wall_clock_s=60.0, steps=1), step=RoleLimits(attempts=5))
    run = started("chain")
    run.started = msgspec.structs.replace(run.started, limits=msgspec.structs.replace(run.started.limits, steps=1))
    advanced(run)
    failed(run, "sheet")

    append = decide.advance(replace(TEAM, charter=rules), run, {}, now=NOW + timedelta(seconds=1))

    assert append is not None
    assert isinstance(append.message, RunFinished)
    assert append.message.stopped_by == "steps"


def test_a_run_of_one_step_with_a_condition_decides_it_first() -> None:
    condition = Condition(node=TASK, path="customer", operator="eq", value="bob")
    plan = PlanSpec(nodes=(Node(name="only", role="clerk", when=(condition,)),))
    team = shop(workflows={"picky": plan})
    body = encode({"goal": "x", "input": {"customer": "ann"}})

    append = admission.start(team, run_id="r1", workflow="picky", body=body, envelope=Envelope(), now=NOW)

    assert append.subject == "remit.run.r1._.1.started"
