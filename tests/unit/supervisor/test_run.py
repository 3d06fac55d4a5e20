"""What counts in a run, entry by entry."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from remit.contracts.errors import Fault
from remit.contracts.lease import Grant, Lease
from remit.contracts.message import raw
from remit.contracts.plan import PlanAccepted, PlannedNode
from remit.contracts.review import ReviewDecided, ReviewOpened
from remit.contracts.step import StepCompleted, StepFailed, StepTimedOut
from remit.supervisor.run import evolve, on_leased, on_settled
from tests.unit.supervisor.run import NOW, completed, dispatched, started

if TYPE_CHECKING:
    from remit.supervisor.run_state import RunState

FAULT = Fault(code="RM-511", message="it broke")


def leased(run: RunState, agent: str, *, epoch: int = 1) -> bool:
    lease = Lease(
        run_id="r1",
        step="order",
        epoch=epoch,
        role="clerk",
        agent=agent,
        gateway="gw-1",
        until_at=NOW + timedelta(seconds=60),
        grant=Grant(),
    )
    return on_leased(run, 9, lease)


def settled(run: RunState, agent: str, *, epoch: int = 1) -> bool:
    done = StepCompleted(run_id="r1", step="order", epoch=epoch, reply=raw({}), contract="shop.sheet.v1")
    return on_settled(run, agent, f"entry of {agent}", entry=done, at=NOW)


def failed(run: RunState, agent: str, *, epoch: int = 1) -> bool:
    entry = StepFailed(run_id="r1", step="order", epoch=epoch, error=FAULT)
    return on_settled(run, agent, f"entry of {agent}", entry=entry, at=NOW)


@pytest.fixture
def run() -> RunState:
    run = started("order")
    planned = PlanAccepted(run_id="r1", version=1, nodes=(PlannedNode(node="order"),), rule="plan")
    evolve(run, 2, planned, at=NOW)
    dispatched(run, "order", "clerk")
    return run


def test_before_any_lease_the_first_agent_of_the_role_counts(run: RunState) -> None:
    assert not settled(run, "packer-1")
    assert settled(run, "clerk-1")
    assert not settled(run, "clerk-2")
    assert run.steps["order"].settled_by == "clerk-1"


def test_under_a_lease_only_its_holder_counts(run: RunState) -> None:
    assert leased(run, "clerk-2")

    assert not settled(run, "clerk-1")
    assert settled(run, "clerk-2")


def test_only_the_present_epoch_counts(run: RunState) -> None:
    dispatched(run, "order", "clerk", epoch=2)

    assert not settled(run, "clerk-1")
    assert not leased(run, "clerk-1")
    assert settled(run, "clerk-1", epoch=2)
    assert (run.in_flight, run.nodes["order"].open) == (0, 0)


def test_a_finished_step_is_not_leased(run: RunState) -> None:
    settled(run, "clerk-1")

    assert not leased(run, "clerk-1")
    assert run.steps["order"].status == "completed", "it claimed, and was done before the answer came"


def test_a_lease_for_another_agent_takes_back_an_end_that_was_not_heard(run: RunState) -> None:
    settled(run, "clerk-1")

    assert leased(run, "clerk-2")

    assert (run.steps["order"].status, run.in_flight, run.nodes["order"].open) == ("leased", 1, 1)
    assert not settled(run, "clerk-1")
    assert settled(run, "clerk-2")


@pytest.mark.parametrize("end", [settled, failed])
def test_the_next_dispatch_takes_back_an_end_that_was_not_heard(run: RunState, end: object) -> None:
    leased(run, "clerk-1")
    (settled if end is settled else failed)(run, "clerk-1")

    dispatched(run, "order", "clerk", epoch=2)

    assert (run.steps["order"].status, run.in_flight, run.nodes["order"].open) == ("dispatched", 1, 1)
    assert not run.failed
    assert settled(run, "clerk-2", epoch=2)
    assert (run.in_flight, run.nodes["order"].open) == (0, 0)


def test_a_time_out_takes_back_an_end_that_was_not_heard(run: RunState) -> None:
    leased(run, "clerk-1")
    settled(run, "clerk-1")

    evolve(run, 20, StepTimedOut(run_id="r1", step="order", epoch=1, error=FAULT), at=NOW)

    step = run.steps["order"]
    assert (step.status, step.retryable, step.completed_by, step.settled_by) == ("failed", True, "", "")
    assert (run.in_flight, run.nodes["order"].open, list(run.failed)) == (0, 1, ["order"])


def test_a_time_out_of_an_old_epoch_does_not_count(run: RunState) -> None:
    dispatched(run, "order", "clerk", epoch=2)

    evolve(run, 20, StepTimedOut(run_id="r1", step="order", epoch=1, error=FAULT), at=NOW)

    assert (run.steps["order"].status, run.in_flight) == ("dispatched", 1)


def review(name: str, *, epoch: int, position: str = "0") -> ReviewOpened:
    return ReviewOpened(
        review_id=name,
        run_id="r1",
        step="order",
        position=position,
        kind="question",
        title="may it?",
        subject="sha256:0",
        role="clerk",
        goal_hash="sha256:0",
        epoch=epoch,
        opened_at=NOW,
    )


def decided(name: str) -> ReviewDecided:
    return ReviewDecided(review_id=name, run_id="r1", decision="approved", subject="sha256:0", by="ann", decided_at=NOW)


def test_a_review_parks_the_dispatch_that_it_names(run: RunState) -> None:
    leased(run, "clerk-1")
    evolve(run, 20, review("r1-v2", epoch=1), at=NOW)

    assert (run.steps["order"].status, run.in_flight) == ("parked", 0)
    assert not settled(run, "clerk-1")


def test_a_review_of_a_step_that_ended_parks_nothing(run: RunState) -> None:
    settled(run, "clerk-1")

    evolve(run, 20, review("r1-v2", epoch=0), at=NOW)

    assert (run.steps["order"].status, run.in_flight) == ("completed", 0)
    assert list(run.reviews) == ["r1-v2"]


def test_a_step_is_due_again_when_all_of_its_reviews_are_decided(run: RunState) -> None:
    leased(run, "clerk-1")
    evolve(run, 20, review("r1-v2", epoch=1), at=NOW)
    evolve(run, 21, review("r1-v3", epoch=1, position="1"), at=NOW)

    evolve(run, 22, decided("r1-v2"), at=NOW)
    before = list(run.reopened)
    evolve(run, 23, decided("r1-v3"), at=NOW)

    assert (before, list(run.reopened)) == ([], ["order"])


def test_only_decisions_have_numbers(run: RunState) -> None:
    assert run.number == 2, "started and planned; the dispatch has its epoch"
    assert run.dispatched == 1


def test_a_fan_out_is_over_when_its_last_shard_is() -> None:
    run = completed(started("fan"), sheet={"lines": [{"name": "a"}, {"name": "b"}]})
    completed(run, pack=[{"name": "a"}, {"name": "b"}])

    assert run.nodes["pack"].is_over
    assert run.nodes["pack"].steps() == ["pack-0", "pack-1"]
    assert not run.nodes["ship"].is_over
