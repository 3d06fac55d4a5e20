"""The turns of a run are told from its entries: what stands, what is under way, and what was taken back."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from remit import standing
from remit.bus import subject
from remit.bus.journal import Entry
from remit.contracts.errors import Fault
from remit.contracts.fork import AdoptedStep, RunForked
from remit.contracts.lane import DECISIONS
from remit.contracts.message import raw
from remit.contracts.plan import Node, PlanAccepted, PlannedNode, PlanRefused
from remit.contracts.rollback import Checkpointed, Lasting, RollbackBegun, RollbackListed, RolledBack, Undoing
from remit.contracts.step import RunStep, StepParked
from remit.contracts.task import (
    ForkOrigin,
    Limits,
    PartialResult,
    RunBound,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
)
from remit.words import line
from tests.samples.stored import sample_of
from tests.unit.test_history import NOW, Told

RUN = "r1"
LATER = NOW + timedelta(hours=3)


def turn(told: Told, number: int, kind: str, entry: msgspec.Struct) -> Told:
    return told.add(subject.decision(RUN, number, kind), entry)


def held() -> Told:
    return Told().dispatched().leased()


def work(step: str, role: str, *, epoch: int = 1, undoes: str = "") -> RunStep:
    return RunStep(
        run_id=RUN,
        step=step,
        epoch=epoch,
        role=role,
        goal="answer",
        goal_hash="sha256:g",
        contract="t.t.v1",
        deadline_at=NOW,
        rule="plan",
        undoes=undoes,
    )


def dispatched(told: Told, step: str, role: str, *, undoes: str = "") -> Told:
    return told.add(subject.work(RUN, role=role, step=step, epoch=1), work(step, role, undoes=undoes))


def marked(name: str, *over: str, step: str = "") -> Checkpointed:
    return Checkpointed(run_id=RUN, name=name, over=over, step=step)


def begun(
    to: str = "half", *, nodes: tuple[str, ...] = ("ticket",), then: str = "resume", at_seq: int = 3
) -> RollbackBegun:
    return RollbackBegun(run_id=RUN, to=to, at_seq=at_seq, reason="wrong mail", by="ann", then=then, nodes=nodes)  # type: ignore[arg-type]  # a literal


def rolled_back(*, lasting: tuple[Lasting, ...] = ()) -> RolledBack:
    return RolledBack(run_id=RUN, to="half", undone=("ticket",), restored=("k",), lasting=lasting, reset=("ticket",))


PAUSED = RunPaused(run_id=RUN, by="ann", reason="lunch", paused_at=NOW)
LISTED = RollbackListed(
    run_id=RUN,
    undo=(Undoing(step="ticket", by="ticket-u1", role="undoer", body=raw({})),),
    lasting=(Lasting(what="send_mail of step ticket", why="no compensation is declared"),),
)


@pytest.mark.parametrize("kind", DECISIONS)
def test_every_decision_of_the_supervisor_can_be_said(kind: str) -> None:
    samples = sample_of(DECISIONS[kind]).samples
    said = [line(Entry(subject.decision(RUN, 1, kind), 1, bytes(sample), stored_at=NOW)) for sample in samples]

    assert said
    assert [text for text in said if not text or "cannot say it" in text] == []


# --- pauses --------------------------------------------------------------------------------------


def test_a_paused_run_waits_for_a_person_and_holds_nothing() -> None:
    history = turn(held(), 2, "paused", PAUSED).history()

    assert (standing.state(history), history.is_parked) == ("paused", True)
    assert history.waiting_for() == "a person: remit run resume r1"
    assert history.steps["ticket"].status == "paused"


def test_a_resumed_run_goes_on() -> None:
    told = turn(held(), 2, "paused", PAUSED)
    told = turn(told, 3, "resumed", RunResumed(run_id=RUN, by="bob", paused_s=2.0)).dispatched(2).leased(2)

    history = told.history()

    assert (standing.state(history), history.is_parked, history.turns.paused) == ("running", False, None)
    assert told.lines()[2:4] == [
        "paused by ann: lunch",
        "resumed by bob after 2.0 s; its clock stood meanwhile",
    ]


# --- waits ---------------------------------------------------------------------------------------


def test_a_sleeping_run_says_until_when() -> None:
    told = turn(held(), 2, "parked", StepParked(run_id=RUN, step="ticket", epoch=1, until_at=LATER))

    history = told.history()

    assert standing.state(history) == "sleeping until 2030-01-01 15:00:00Z"
    assert told.lines()[-1] == "ticket sleeps until 2030-01-01 15:00:00Z"
    assert not history.is_parked


def test_a_step_that_two_branches_parked_goes_on_at_the_first_of_their_times() -> None:
    told = turn(held(), 2, "parked", StepParked(run_id=RUN, step="ticket", epoch=1, until_at=LATER))
    told = turn(told, 3, "parked", StepParked(run_id=RUN, step="ticket", epoch=1, until_at=NOW))

    assert told.history().steps["ticket"].until_at == NOW


def test_a_run_that_waits_for_a_role_which_nobody_serves_says_which() -> None:
    told = dispatched(held(), "ticket-a0", "packer")
    told = turn(told, 2, "parked", StepParked(run_id=RUN, step="ticket", epoch=1, steps=("ticket-a0",)))

    assert standing.state(told.history()) == "waiting for role packer"
    assert told.lines()[-1] == "ticket waits for 1 ask: ticket-a0"


# --- plans ---------------------------------------------------------------------------------------


def test_a_plan_that_a_planner_proposed_says_who_and_what_it_adds_and_gives_up() -> None:
    added = (Node(name="extra", role="packer", after=("ticket",)),)
    plan = PlanAccepted(
        run_id=RUN,
        version=2,
        rule="proposed by ticket: more to do",
        added=added,
        dropped=("old",),
        proposed_by="ticket",
    )

    told = turn(held().completed(), 2, "planned", plan)

    assert told.lines()[-1] == (
        "plan, version 2, proposed by ticket: more to do; adds extra (role packer after ticket), gives up old"
    )


def test_a_version_that_only_goes_on_says_its_nodes() -> None:
    nodes = (PlannedNode(node="a"), PlannedNode(node="b", width=3, fanned=True), PlannedNode(node="c", skipped="no"))
    told = turn(held(), 2, "planned", PlanAccepted(run_id=RUN, version=1, nodes=nodes, rule="r"))

    assert told.lines()[-1] == "plan, version 1: a, b x 3, c skipped (no)"


def test_a_refused_plan_says_every_reason_and_its_step_did_not_complete() -> None:
    errors = (Fault(code="RM-204", message="no such role"), Fault(code="RM-204", message="a circle"))
    told = turn(held().completed(), 2, "plan_refused", PlanRefused(run_id=RUN, step="ticket", epoch=1, errors=errors))

    assert told.lines()[-1] == "the plan proposed by ticket is refused: (1) RM-204 no such role (2) RM-204 a circle"
    assert told.history().steps["ticket"].status == "failed"


# --- rollbacks -----------------------------------------------------------------------------------


def rolling() -> Told:
    told = turn(held(), 2, "checkpointed", marked("half"))
    told = turn(told.opened(), 4, "checkpointed", marked("late", step="ticket"))
    return turn(told, 5, "rollback_begun", begun())


def test_what_is_rolled_back_holds_nothing_and_asks_nobody_any_more() -> None:
    history = rolling().history()

    assert (standing.state(history), history.waiting_for()) == ("rolling back", "the rollback to half")
    assert history.steps["ticket"].status == "reset"
    assert history.open_reviews == ()
    assert history.reviews["r1-v1"].withdrawn == "half"


def test_a_rollback_says_who_undoes_what_now() -> None:
    told = turn(rolling(), 6, "rollback_listed", LISTED)
    history = dispatched(told, "ticket-u1", "undoer", undoes="ticket").history()

    assert history.waiting_for() == "the rollback to half: role undoer undoes ticket"


def test_after_a_rollback_the_checkpoints_behind_it_are_gone() -> None:
    told = turn(turn(rolling(), 6, "rollback_listed", LISTED), 7, "rolled_back", rolled_back())

    assert list(told.history().turns.checkpoints) == ["half"]
    assert told.history().turns.rollback is None
    assert told.lines()[2:] == [
        "checkpoint half: nothing is over yet",
        "ticket waits for a person: r1-v1 send_mail(…)",
        "checkpoint late, inside ticket: nothing is over yet",
        "rollback to half by ann: wrong mail; ticket taken back",
        (
            "to be undone, newest first: ticket by role undoer; "
            "cannot be undone: send_mail of step ticket (no compensation is declared)"
        ),
        "rolled back to half: undone ticket; state restored: k",
    ]


def test_a_compensation_that_failed_is_said_apart_from_what_merely_lasts() -> None:
    lasting = (Lasting(what="state a", why="others wrote it since"), Lasting(what="step b", why="no", is_failure=True))
    told = turn(rolling(), 6, "rolled_back", rolled_back(lasting=lasting))

    assert told.lines()[-1] == (
        "rolled back to half: undone ticket; state restored: k; lasts: state a (others wrote it since); "
        "could NOT be undone: step b (no)"
    )


@pytest.mark.parametrize(("is_failure", "state"), [(False, "paused"), (True, "running")])
def test_a_rollback_that_is_to_end_in_a_pause_does_so_unless_it_failed(*, is_failure: bool, state: str) -> None:
    told = turn(held(), 2, "checkpointed", marked("half"))
    told = turn(told, 3, "rollback_begun", begun(then="pause"))
    lasting = (Lasting(what="step b", why="no", is_failure=True),) if is_failure else ()

    history = turn(told, 4, "rolled_back", rolled_back(lasting=lasting)).history()

    assert standing.state(history) == state


def test_a_step_that_begins_again_is_the_newest() -> None:
    told = dispatched(held().completed(), "later", "packer")
    told = turn(told, 3, "rollback_begun", begun(nodes=("ticket",)))
    told = turn(told, 4, "rolled_back", rolled_back()).dispatched(2)

    assert list(told.history().steps) == ["later", "ticket"]


# --- forks, builds, ends -------------------------------------------------------------------------


def test_a_fork_has_the_finished_steps_of_its_origin() -> None:
    origin = ForkOrigin(run_id="r0", at="half", at_seq=9, by="ann", changes=("input.x",), wish="w")
    started = RunStarted(
        run_id=RUN,
        workflow="ticket",
        goal="answer",
        goal_hash="g",
        charter="c",
        build="b",
        limits=Limits(),
        started_at=NOW,
        fork=origin,
    )
    adopted = AdoptedStep(work=msgspec.structs.replace(work("read", "reader"), run_id="r0"), completed_by="x")
    entry = RunForked(run_id=RUN, part=1, is_last=True, nodes=(PlannedNode(node="read"),), steps=(adopted,), effects=2)

    told = turn(turn(Told(), 1, "started", started), 2, "forked", entry)

    history = told.history()
    assert (history.steps["read"].status, history.steps["read"].ended_by) == ("completed", "run r0")
    assert history.turns.checkpoints["start"].taken.over == ("read",)
    assert told.lines() == [
        'run of workflow ticket started: "answer"; a fork of r0 at checkpoint half, by ann, with another input.x',
        "takes over read from its origin; 2 effects are not repeated",
    ]


def test_a_run_that_is_bound_to_a_build_says_to_which() -> None:
    entry = RunBound(run_id=RUN, build="sha256:abcdef0123456789", is_older=True, why="it decides otherwise")

    assert turn(held(), 2, "bound", entry).lines()[-1] == (
        "stays with its build, beside the deployment's own, sha256:abcdef012345: it decides otherwise"
    )


def test_a_run_that_was_stopped_says_what_it_has_and_what_was_left() -> None:
    partial = PartialResult(step="read", role="reader", entry="e", reply=raw("x"))
    finished = RunFinished(
        run_id=RUN,
        workflow="ticket",
        outcome="stopped",
        stopped_by="steps",
        partial=(partial,),
        left=("send", "close"),
        finished_at=NOW,
    )

    assert turn(held(), 3, "finished", finished).lines()[-1] == (
        "finished: stopped, steps; partial results of read; not finished: send, close"
    )


def test_a_turn_of_another_run_does_not_count() -> None:
    told = turn(held(), 2, "paused", msgspec.structs.replace(PAUSED, run_id="r2"))

    assert told.history().turns.paused is None
