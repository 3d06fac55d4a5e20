"""What a wish will do is said from the journal: what is repeated, shared, undone, and what lasts."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit import foresight
from remit.bus import subject
from remit.contracts.errors import ConflictError, NotFoundError, UsageError
from remit.contracts.message import raw
from remit.contracts.plan import Compensation, Condition, Node, PlanAccepted, PlanSpec
from remit.contracts.proposal import StateCommitted
from remit.contracts.rollback import Lasting
from remit.contracts.step import StepCompleted
from remit.facts import Facts
from remit.forecast import Restored
from remit.history import fold
from remit.supervisor.effects_done import Calls
from tests.unit.test_history import NOW, Told
from tests.unit.test_turns import RUN, begun, dispatched, marked, turn

if TYPE_CHECKING:
    from remit.facts import Versions

UNDO = Compensation(role="undoer", check=Condition(node="undo", path="ok", operator="eq", value=True))
TICKET = Node(name="ticket", role="clerk", undo=UNDO)
LATER = Node(name="later", role="packer", after=("ticket",))


def completed(told: Told, step: str, role: str) -> Told:
    done = StepCompleted(run_id=RUN, step=step, epoch=1, contract="t.t.v1")
    return told.add(subject.agent_entry(RUN, step, agent=f"{role}-1", index="1", kind="completed"), done)


def facts(told: Told, *nodes: Node, versions: dict[str, Versions] | None = None) -> Facts:
    calls = Calls()
    for entry in told.entries:
        calls.apply(entry)
    return Facts(history=fold(RUN, told.entries), calls=calls, plan=PlanSpec(nodes=nodes), versions=versions or {})


def sent() -> Told:
    """The step of `ticket` is under way, and has sent a mail."""
    return Told().dispatched().leased().called().returned()


def test_a_step_that_did_something_and_did_not_finish_is_undone_too() -> None:
    forecast = foresight.rollback(facts(sent(), TICKET, LATER), "start", "resume")

    assert [(item.step, item.role) for item in forecast.undoes] == [("ticket", "undoer")]
    assert [(item.tool, item.fate) for item in forecast.effects] == [("send_mail", "undone")]
    assert [item.step for item in forecast.repeats] == ["ticket"]


def test_a_step_that_did_nothing_has_nothing_to_undo() -> None:
    forecast = foresight.rollback(facts(Told().dispatched().leased(), TICKET), "start", "resume")

    assert (forecast.undoes, forecast.effects) == ((), ())


def test_what_a_step_did_before_the_checkpoint_that_it_marked_stays() -> None:
    told = turn(sent(), 2, "checkpointed", marked("half", step="ticket"))

    forecast = foresight.rollback(facts(told, TICKET), "half", "resume")

    assert forecast.undoes == ()
    assert [(item.tool, item.fate) for item in forecast.effects] == [("send_mail", "kept")]


def test_what_nothing_undoes_lasts() -> None:
    bare = msgspec.structs.replace(TICKET, undo=None)

    forecast = foresight.rollback(facts(sent(), bare), "start", "end")

    assert [(item.fate, item.why) for item in forecast.effects] == [("lasts", "no compensation is declared")]
    assert forecast.repeats == ()


def test_state_that_others_wrote_since_stays() -> None:
    version = StateCommitted(
        scope="team",
        key="k",
        version=2,
        value=raw(1),
        hash="h",
        run_id=RUN,
        step="ticket",
        position="1",
        agent="clerk-1",
        rule="write",
        base_version=1,
        committed_at=NOW,
    )
    other = msgspec.structs.replace(version, version=3, run_id="r9")
    versions: dict[str, Versions] = {"team": {"k": [(9, version), (10, other)], "m": [(9, version)]}, RUN: {}}

    forecast = foresight.rollback(facts(sent(), TICKET, versions=versions), "start", "resume")

    assert forecast.restores == (Restored(scope="team", key="m", now=2, to=1),)
    assert forecast.lasting == (Lasting(what="state k", why="others wrote it since"),)


def test_a_run_that_is_being_rolled_back_is_not_rolled_back_again() -> None:
    told = turn(sent(), 2, "rollback_begun", begun("start"))

    with pytest.raises(ConflictError, match="is being rolled back already"):
        foresight.rollback(facts(told, TICKET), "start", "resume")


def test_a_fork_of_all_that_is_finished_goes_on_behind_what_a_step_recorded() -> None:
    forecast = foresight.fork(facts(sent(), TICKET, LATER), "")

    assert forecast.shared == ()
    assert [(item.step, item.why) for item in forecast.repeats] == [
        ("ticket", "it goes on behind what it recorded"),
        ("later", "it has not run yet"),
    ]
    assert [item.why for item in forecast.effects] == ["recorded; it is not made again by the fork"]


def test_what_a_planner_added_is_planned_anew_in_a_fork_that_asks_it_again() -> None:
    added = msgspec.structs.replace(LATER, name="extra")
    plan = PlanAccepted(run_id=RUN, version=2, rule="r", added=(added,), proposed_by="ticket")
    told = turn(turn(sent().completed(), 2, "planned", plan), 3, "checkpointed", marked("half", "ticket"))
    known = facts(told, TICKET, added)

    behind, before = foresight.fork(known, "half"), foresight.fork(known, "start")

    assert ([item.step for item in behind.repeats], [item.step for item in before.repeats]) == (["extra"], ["ticket"])


def test_a_fork_does_not_begin_inside_a_step() -> None:
    known = facts(turn(sent(), 2, "checkpointed", marked("half", step="ticket")), TICKET)

    with pytest.raises(UsageError, match="a fork begins between steps") as raised:
        foresight.check_fork(known, "half")
    assert raised.value.expected == "start"


def test_a_step_that_is_not_there_is_not_tried_again() -> None:
    with pytest.raises(NotFoundError, match="no step 'nowhere'"):
        foresight.retry(facts(sent(), TICKET), "nowhere")


def test_a_checkpoint_that_is_not_there_is_named_with_those_that_are() -> None:
    told = turn(completed(dispatched(sent(), "later", "packer"), "later", "packer"), 2, "checkpointed", marked("half"))

    with pytest.raises(NotFoundError) as raised:
        foresight.rollback(facts(told, TICKET, LATER), "nowhere", "resume")
    assert attrgetter("expected", "got")(raised.value) == ("start, half", "nowhere")
