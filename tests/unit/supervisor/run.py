"""A run as far as a test wants it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from remit.bus import subject
from remit.contracts.message import raw
from remit.contracts.plan import PlanAccepted, PlannedNode
from remit.contracts.step import Parent, RunStep, StepCompleted
from remit.contracts.task import Limits, RunStarted
from remit.supervisor.run import evolve, new_run, on_settled
from tests.teams import shop

if TYPE_CHECKING:
    from remit.supervisor.run_state import RunState

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def started(workflow: str) -> RunState:
    """Give a run of the shop of which nothing but its start is known."""
    start = RunStarted(
        run_id="r1",
        workflow=workflow,
        goal="pack it",
        goal_hash="sha256:0",
        input=raw({"customer": "ann"}),
        charter="sha256:1",
        build="sha256:2",
        limits=Limits(wall_clock_s=60, steps=100),
        started_at=NOW,
    )
    run = new_run(start, shop())
    evolve(run, 1, start, at=NOW)
    return run


def dispatched(run: RunState, step: str, role: str, *, epoch: int = 1, parent: Parent | None = None) -> RunStep:
    """A step is dispatched."""
    work = RunStep(
        run_id="r1",
        step=step,
        epoch=epoch,
        role=role,
        goal="pack it",
        goal_hash="sha256:0",
        contract="shop.any.v1",
        deadline_at=NOW + timedelta(seconds=60),
        rule="plan",
        parent=parent,
    )
    evolve(run, run.lane_seq + 1, work, at=NOW)
    return work


def completed(run: RunState, **replies: object) -> RunState:
    """Nodes have run and given these replies; a list is what the shards gave."""
    for name, reply in replies.items():
        shards = reply if isinstance(reply, list) else None
        width = len(shards) if shards is not None else 1
        planned = PlannedNode(node=name, width=width, fanned=shards is not None)
        evolve(run, 2, PlanAccepted(run_id="r1", version=1, nodes=(planned,), rule="plan"), at=NOW)
        for step, value in zip(run.nodes[name].steps(), shards or [reply], strict=True):
            role = run.nodes[name].spec.role
            dispatched(run, step, role)
            done = StepCompleted(run_id="r1", step=step, epoch=1, reply=raw(value), contract="shop.any.v1")
            agent = f"{role}-1"
            where = subject.agent_entry("r1", step, agent=agent, index="1", kind="completed")
            assert on_settled(run, agent, where, entry=done, at=NOW)
    return run
