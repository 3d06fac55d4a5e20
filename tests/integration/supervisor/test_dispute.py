"""Conflicts that no rule decides: a role does, then a person; only who reads the disputed field waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.bus import subject
from remit.contracts.control import CancelRun, ControlDone, DecideReview
from remit.contracts.message import decode, raw
from remit.contracts.proposal import (
    ProposalRecord,
    StateCommitted,
    StateConflict,
    StateParked,
    StateRead,
    StateRejected,
    StateRuling,
)
from remit.contracts.step import Parked, Refused
from tests.integration.supervisor.world import crash, holder
from tests.teams import Note, Order, Sheet, shop

if TYPE_CHECKING:
    from remit.contracts.review import Decision
    from remit.contracts.step import RunStep
    from remit.supervisor.open_run import OpenRun
    from tests.integration.supervisor.agent import Agent
    from tests.integration.supervisor.world import World


async def disputed(clerk: Agent, work: RunStep, first: Note, second: Note, key: str = "doc.a") -> StateParked:
    """Have two proposals meet."""
    assert isinstance(await clerk.propose(work, key, first, position="0"), StateCommitted)
    answer = await clerk.propose(work, key, second, position="1")
    assert isinstance(answer, StateParked), answer
    return answer


async def decide(world: World, run: str, decision: Decision, value: object = None) -> ControlDone | Refused:
    opened = await world.opened(run)
    wish = DecideReview(
        review_id=opened.review_id, subject=opened.subject, decision=decision, value=raw(value), by="ann"
    )
    answer = await world.control("decide", wish)
    assert isinstance(answer, ControlDone | Refused)
    return answer


async def newest(world: World, work: RunStep, version: int, key: str = "doc.a") -> tuple[StateCommitted, Note]:
    entry = await world.appears(subject.state(work.run_id, key, version))
    found = decode(StateCommitted, entry.data)
    return found, msgspec.json.decode(found.value, type=Note)


@pytest.mark.parametrize(
    ("decision", "value", "price"), [("approved", None, 5), ("rejected", None, 3), ("approved", 4, 4)]
)
async def test_a_person_decides_which_side_stands(world: World, decision: Decision, value: object, price: int) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)

    parked = await disputed(clerk, work, Note(price=3), Note(price=5, text="more"))
    done = await decide(world, work.run_id, decision, value)
    version, note = await newest(world, work, 2)

    assert (parked.paths, parked.waits_for) == (("/price",), "a person")
    assert isinstance(done, ControlDone)
    assert note == Note(price=price, text="more")
    (conflict,) = version.decisions
    assert (conflict.rule, conflict.by, conflict.base, conflict.result) == ("escalate", "ann", 0, price)
    assert sorted(side.value for side in conflict.sides) == [3, 5]


async def test_an_arbitrating_role_decides_and_says_why(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    judge = await world.agent("judge")

    parked = await disputed(clerk, work, Note(verdict="guilty"), Note(verdict="innocent"))
    asked = await judge.hold()
    conflict = msgspec.json.decode(asked.body, type=StateConflict)
    await judge.complete(asked, StateRuling(choice="proposed", reason="no proof"))
    version, note = await newest(world, work, 2)

    assert parked.waits_for == "judge"
    (field,) = conflict.fields
    assert (field.path, field.base, field.current, field.proposed) == ("/verdict", "", "guilty", "innocent")
    assert note.verdict == "innocent"
    (decision,) = version.decisions
    assert (decision.rule, decision.by, decision.reason) == ("arbitrate", judge.name, "no proof")


async def test_a_role_that_never_answers_gives_way_to_a_person(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)

    await disputed(clerk, work, Note(verdict="guilty"), Note(verdict="innocent"))
    await decide(world, work.run_id, "approved")
    version, note = await newest(world, work, 2)

    assert note.verdict == "innocent"
    assert (version.decisions[0].rungs, version.decisions[0].rule) == (("arbitrate",), "escalate")


async def test_a_role_whose_value_does_not_fit_gives_way_to_a_person(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    judge = await world.agent("judge")
    await disputed(clerk, work, Note(verdict="guilty"), Note(verdict="innocent"))

    await judge.complete(await judge.hold(), StateRuling(choice="value", value=42))
    await world.appears(f"remit.run.{work.run_id}._.*.review_opened")
    await decide(world, work.run_id, "approved")
    version, note = await newest(world, work, 2)

    assert note.verdict == "innocent"
    assert version.decisions[0].rungs == ("arbitrate",)


async def test_a_role_that_never_answers_is_the_end_of_a_ladder_without_another_rung(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await disputed(clerk, work, Note(ruling="guilty"), Note(ruling="innocent"))

    entry = await world.appears(subject.proposal_record(work.run_id, work.step, "1", "rejected"))
    again = await clerk.propose(work, "doc.a", Note(ruling="innocent"), position="1")

    rejected = decode(ProposalRecord, entry.data).rejected
    assert rejected is not None
    assert (rejected.reason, rejected.path, rejected.version) == ("undecided", "/ruling", 1)
    assert again == rejected


async def test_fields_of_different_policies_are_asked_apart_and_committed_together(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    judge = await world.agent("judge")

    parked = await disputed(clerk, work, Note(price=3, verdict="guilty"), Note(price=5, verdict="innocent", text="t"))
    asked = await judge.hold()
    await judge.complete(asked, StateRuling(choice="proposed"))
    nothing = await world.journal.get(subject.state(work.run_id, "doc.a", 2))
    await decide(world, work.run_id, "rejected")
    version, note = await newest(world, work, 2)

    assert (parked.paths, parked.waits_for) == (("/price", "/verdict"), "a person, judge")
    assert nothing is None
    assert note == Note(price=3, verdict="innocent", text="t")
    assert {item.path: item.decided_in for item in version.decisions} == {
        "/price": (await world.opened(work.run_id)).review_id,
        "/verdict": asked.step,
    }


async def test_a_field_that_comes_into_conflict_later_is_asked_about_and_no_answer_is_used_twice(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await disputed(clerk, work, Note(price=3), Note(price=5, verdict="innocent"))
    await clerk.propose(work, "doc.a", Note(price=3, verdict="guilty"), base=1, position="2")

    await decide(world, work.run_id, "approved")
    judge = await world.agent("judge")
    asked = await judge.hold()
    await judge.complete(asked, StateRuling(choice="current", reason="as it stands"))
    version, note = await newest(world, work, 3)

    assert note == Note(price=5, verdict="guilty")
    assert {item.path: (item.rule, item.result) for item in version.decisions} == {
        "/price": ("escalate", 5),
        "/verdict": ("arbitrate", "guilty"),
    }


async def test_only_who_reads_the_disputed_field_waits(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    other = await world.agent("clerk")
    await disputed(clerk, work, Note(price=3), Note(price=5))

    beside = await clerk.read(work, key="doc.a", fields=("/text", "/risk"))
    elsewhere = await clerk.read(work, key="note")
    old = await clerk.read(work, key="doc.a", version=1)
    waits = await clerk.read(work, key="doc.a")
    await decide(world, work.run_id, "approved")
    again = await clerk.hold() if clerk.has_work else await _next(clerk, other)

    assert isinstance(beside, StateRead)
    assert isinstance(elsewhere, StateRead)
    assert isinstance(old, StateRead)
    assert isinstance(waits, Parked)
    assert (again.epoch, again.rule) == (2, "dispute r1.order.1 is over")


async def _next(one: Agent, other: Agent) -> RunStep:
    from tests.integration.supervisor.world import either

    return await either(one, other)


async def test_a_disputed_field_is_not_written_and_its_neighbours_are(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await disputed(clerk, work, Note(price=3), Note(price=5))

    third = await clerk.propose(work, "doc.a", Note(price=9), base=1, position="2")
    beside = await clerk.propose(work, "doc.a", Note(price=3, text="t"), base=1, position="3")

    assert isinstance(third, StateRejected)
    assert (third.reason, third.path) == ("disputed", "/price")
    assert isinstance(beside, StateCommitted)


async def test_a_dispute_survives_the_supervisor_and_its_proposer_hears_the_same(world: World) -> None:
    first = await world.supervise(shop())
    clerk, work = await holder(world)
    parked = await disputed(clerk, work, Note(price=3), Note(price=5))
    await crash(first)

    second = await world.supervise(shop())
    again = await clerk.propose(work, "doc.a", Note(price=5), position="1")
    waits = await clerk.read(work, key="doc.a")
    await crash(second)
    await world.supervise(shop())
    await decide(world, work.run_id, "approved")
    _version, note = await newest(world, work, 2)

    assert again == parked
    assert isinstance(waits, Parked)
    assert note.price == 5


def _look_away(run: OpenRun) -> None:
    return


async def test_a_decision_that_was_not_yet_put_into_the_state_is_when_the_supervisor_comes_back(world: World) -> None:
    first = await world.supervise(shop())
    clerk, work = await holder(world)
    await disputed(clerk, work, Note(price=3), Note(price=5))
    first.disputes.look = _look_away  # type: ignore[method-assign]  # it dies before it acts on the decision
    await decide(world, work.run_id, "approved")
    await crash(first)

    await world.supervise(shop())
    _version, note = await newest(world, work, 2)

    assert note.price == 5


async def test_a_run_is_not_over_while_what_it_disputed_is_open(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await disputed(clerk, work, Note(price=3), Note(price=5))

    await clerk.complete(work, Sheet())
    await decide(world, work.run_id, "rejected")
    finished = await world.outcome(work.run_id)

    assert finished.outcome == "complete"
    kinds = await world.lane(work.run_id)
    assert kinds.index("review_decided") < kinds.index("finished")


async def test_a_run_that_is_cancelled_takes_its_disputes_along(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await disputed(clerk, work, Note(price=3), Note(price=5), key="board")
    await world.submit("order", Order(customer="bob"))
    blocked = await clerk.hold()

    waits = await clerk.read(blocked, key="board")
    await world.control("cancel", CancelRun(run_id=work.run_id))
    again = await clerk.hold()
    read = await clerk.read(again, key="board")

    assert isinstance(waits, Parked)
    assert (again.run_id, again.epoch) == (blocked.run_id, 2)
    assert isinstance(read, StateRead)
    assert msgspec.json.decode(read.items[0].value, type=Note).price == 3


async def test_a_value_that_does_not_fit_is_no_decision(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await disputed(clerk, work, Note(price=3), Note(price=5))

    refused = await decide(world, work.run_id, "approved", "dear")
    done = await decide(world, work.run_id, "approved", 4)

    assert isinstance(refused, Refused)
    assert (refused.error.code, refused.error.where) == ("RM-211", "/price")
    assert isinstance(done, ControlDone)


async def test_an_owner_stands_against_others_whoever_comes_first(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    auditor = await world.agent("auditor")
    await clerk.complete(work, Sheet())
    await world.outcome(work.run_id)
    await world.submit("chain", Order(customer="eve"))
    sheet = await clerk.hold()
    await clerk.complete(sheet, Sheet())
    check = await auditor.hold()

    await auditor.propose(check, "board", Note(word="no"), position="0")
    await world.submit("order", Order(customer="bob"))
    late = await clerk.hold()
    loses = await clerk.propose(late, "board", Note(word="yes"), position="0")
    against = await clerk.propose(late, "board", Note(word="yes"), base=2, position="1")

    assert isinstance(loses, StateCommitted)
    assert msgspec.json.decode(loses.value, type=Note).word == "no"
    assert (loses.rule, loses.decisions[0].result) == ("owner", "no")
    assert isinstance(against, StateRejected)
    assert (against.reason, against.path) == ("owned", "/word")
