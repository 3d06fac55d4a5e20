"""Shared state against those who mean harm, and against the moments in which processes die; nobody ends the supervisor.

The world's fixture fails every test in which the supervisor met an error that would have ended it.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.bus import subject
from remit.bus.journal import Journal
from remit.contracts.control import CancelRun, ControlDone, DecideReview, RollbackState
from remit.contracts.errors import BusUnavailableError, Fault
from remit.contracts.message import encode, raw
from remit.contracts.plan import Node, PlanSpec
from remit.contracts.proposal import (
    StateBatch,
    StateCommitted,
    StateParked,
    StateRead,
    StateRejected,
    StateRuling,
    StateVersion,
)
from remit.contracts.step import Parked, Recorded, Refused, RunStep, StepLeased, Superseded
from tests.integration.supervisor.test_freshness import read as read_and_record
from tests.integration.supervisor.test_freshness import reading
from tests.integration.supervisor.world import crash, holder, value_of
from tests.teams import SHEET, WORKFLOWS, Check, Line, Note, Order, Packed, Receipt, Sheet, shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from remit.bus.journal import Draft, Entry
    from remit.contracts.review import ReviewOpened
    from remit.supervisor.change import Contested
    from remit.supervisor.open_run import OpenRun
    from tests.conftest import Eventually
    from tests.integration.supervisor.agent import Agent
    from tests.integration.supervisor.world import World


async def record(
    agent: Agent, work: RunStep, value: object, *, position: str = "0", error: Fault | None = None
) -> None:
    """Append a record of a read, as an agent may that means harm."""
    entry = Recorded(
        run_id=work.run_id,
        step=work.step,
        epoch=work.epoch,
        position=position,
        kind="read",
        name="x",
        request="",
        value=raw(value),
        error=error,
    )
    name = subject.agent_entry(work.run_id, work.step, agent=agent.name, index="0", kind="recorded")
    await Journal(agent.bus).append(name, encode(entry))


async def decide(world: World, opened: ReviewOpened) -> object:
    wish = DecideReview(review_id=opened.review_id, subject=opened.subject, decision="approved", by="ann")
    return await world.control("decide", wish)


# --- what agents and publishers write may be anything -------------------------------------------------


@pytest.mark.parametrize(
    ("key", "version"), [("shared.x", -5), ("shared.x", 99), ("", 0), ("k" * 100_000, 0), ("nobody.said", 0)]
)
async def test_a_record_of_a_read_that_never_was_is_nothing_to_the_freshness_check(
    world: World, key: str, version: int
) -> None:
    await world.supervise(shop())
    auditor, check, _clerk, _other = await reading(world, "fresh")
    await record(auditor, check, StateRead(items=(StateVersion(key=key, version=version, scope="team"),)))

    await auditor.complete(check, Check(ok=True))

    assert (await world.outcome(check.run_id)).outcome == "complete"


@pytest.mark.parametrize("value", [{"items": 3}, [1], None])
async def test_a_record_that_holds_no_read_is_none(world: World, value: object) -> None:
    await world.supervise(shop())
    auditor, check, _clerk, _other = await reading(world, "fresh")
    await record(auditor, check, value, position="abc")

    await auditor.complete(check, Check(ok=True))

    assert (await world.outcome(check.run_id)).outcome == "complete"


async def test_a_record_with_an_error_that_belongs_to_no_call_is_claimed_over(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await record(clerk, work, None, error=Fault(code="RM-1", message="x"))
    await clerk.fail(work)

    answer = await clerk.claim(await clerk.take())

    assert isinstance(answer, StepLeased)


@pytest.mark.parametrize(
    "body",
    [
        b'{"customer":"x","zz":1e999}',
        b'{"customer":"x","zz":{"type":"state.ref.v1","key":"a","version":-3,"hash":""}}',
        b'{"customer":"x","zz":' + b"[" * 900 + b"]" * 900 + b"}",
    ],
    ids=["a number too large", "a reference to nothing", "nested lists"],
)
async def test_a_publisher_does_not_end_the_supervisor_by_a_message_to_an_edge_that_wants_freshness(
    world: World, body: bytes
) -> None:
    first = PlanSpec(nodes=(Node(name="sheet", role="clerk", fresh="require_fresh"),))
    await world.supervise(shop(workflows={**WORKFLOWS, "first": first}))
    clerk = await world.agent("clerk")
    run = await world.client.submit("first", b'{"goal":"g","input":' + body + b"}")

    work = await clerk.hold()
    await clerk.complete(work, Sheet())

    assert (await world.outcome(run)).outcome == "complete"


@pytest.mark.parametrize(
    "asked",
    [
        {"prefix": "b.", "version": 1},
        {"prefix": "b.", "newer_than": 0},
        {"keys": ("note", "a"), "version": 1},
        {"keys": ("note",) * 3},
        {"keys": tuple(f"b.{number}" for number in range(3000))},
        {"key": "note", "fields": tuple(f"/{number}" for number in range(3000))},
    ],
    ids=["a version of many", "a wait for many", "a version of two", "one key twice", "many keys", "many fields"],
)
async def test_a_read_that_makes_no_sense_or_asks_too_much_is_refused(world: World, asked: dict[str, object]) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)

    answer = await clerk.read(work, **asked)  # type: ignore[arg-type]  # the fields of a request

    assert isinstance(answer, Refused)
    assert answer.error.code == "RM-213"


async def test_a_person_s_value_that_is_no_json_is_refused(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "doc.a", Note(price=3), position="0")
    await clerk.propose(work, "doc.a", Note(price=5), position="1")
    opened = await world.opened(work.run_id)
    wish = DecideReview(review_id=opened.review_id, subject=opened.subject, decision="approved")

    answer = await world.control("decide", msgspec.structs.replace(wish, value=msgspec.Raw(b"1e999")))

    assert isinstance(answer, Refused)
    assert answer.error.code == "RM-201"


async def test_of_very_many_conflicts_some_are_told(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "seen.all", [{"id": number, "v": 1} for number in range(3000)], position="0")

    answer = await clerk.propose(work, "seen.all", [{"id": number, "v": 2} for number in range(3000)], position="1")

    assert isinstance(answer, StateRejected)
    assert len(answer.conflicts) == 100


async def test_of_a_conflict_with_very_many_sides_some_are_told(world: World) -> None:
    supervisor = await world.supervise(shop())
    clerk, work = await holder(world)
    for number in range(120):
        await clerk.propose(work, "doc.a", Note(seen=1), position=str(number))

    (conflict,) = supervisor.arbiter.versions.conflicts(work.run_id, "doc.a")

    assert (conflict.result, len(conflict.sides)) == (120, 50)
    assert conflict.sides_omitted > 0


async def test_what_only_an_open_run_needs_is_dropped_with_it(world: World, eventually: Eventually) -> None:
    supervisor = await world.supervise(shop())
    clerk, work = await holder(world)
    for number in range(20):
        await clerk.propose(work, f"b.{number}", 1, base=7, position=str(number))
        await clerk.read(work, key=f"b.{number}", newer_than=0, wait_s=0.0)

    await clerk.complete(work, Sheet())
    await world.outcome(work.run_id)

    async def is_closed() -> bool:
        return len(supervisor.runs) == 0

    await eventually(is_closed)
    assert (len(supervisor.arbiter._locks), len(supervisor.arbiter.stored._waiters)) == (0, 0)
    assert work.run_id not in supervisor.arbiter.versions._lost


async def test_something_else_at_the_same_position_is_refused(world: World) -> None:
    first = await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "note", "first", position="0")
    await crash(first)
    await world.supervise(shop())

    other = await clerk.propose(work, "note", "second", position="0")
    elsewhere = await clerk.propose(work, "b.other", 5, position="0")

    assert isinstance(other, Refused)
    assert isinstance(elsewhere, Refused)
    assert (other.error.code, elsewhere.error.code) == ("RM-208", "RM-208")


# --- disputes ------------------------------------------------------------------------------------------


async def test_a_dispute_of_a_run_that_ended_meanwhile_holds_nobody_up(world: World) -> None:
    supervisor = await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "board", Note(price=3), position="0")
    begin = supervisor.disputes.begin

    async def late(run: OpenRun, contested: Contested, *, still: Callable[[], bool]) -> StateParked | None:
        await world.control("cancel", CancelRun(run_id=work.run_id))
        return await begin(run, contested, still=still)

    supervisor.disputes.begin = late  # type: ignore[method-assign]  # the run ends between two lines
    answer = await clerk.propose(work, "board", Note(price=5), position="1")
    await world.submit("order", Order(customer="bob"))
    other = await clerk.hold()

    assert isinstance(answer, Superseded)
    assert not supervisor.disputes.open
    assert isinstance(await clerk.read(other, key="board"), StateRead)
    assert isinstance(await clerk.propose(other, "board", Note(price=9), base=1), StateCommitted)


async def test_nobody_hears_of_a_dispute_before_it_is_in_the_journal(world: World) -> None:
    supervisor = await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "doc.a", Note(price=3), position="0")
    run = supervisor.runs.get(work.run_id)
    assert run is not None

    async with run.lock:  # the lane is busy
        asked = [asyncio.create_task(clerk.propose(work, "doc.a", Note(price=5), position="1")) for _ in range(2)]
        done, _waiting = await asyncio.wait(asked, timeout=0.3)
        assert not done
    answers = await asyncio.gather(*asked)

    assert all(isinstance(answer, StateParked) for answer in answers)
    assert (await world.lane(work.run_id)).count("review_opened") == 1


async def test_two_judges_of_one_document_do_not_wait_for_each_other(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    judge = await world.agent("judge")
    await clerk.propose(work, "doc.a", Note(verdict="guilty", ruling="a"), position="0")
    await clerk.propose(work, "doc.a", Note(verdict="innocent"), position="1")
    await clerk.propose(work, "doc.a", Note(ruling="b"), position="2")

    cases = [await judge.hold(), await judge.hold()]
    seen = [await judge.read(case, key="doc.a") for case in cases]
    for case in cases:
        await judge.complete(case, StateRuling(choice="proposed"))
    last = await world.appears(subject.state(work.run_id, "doc.a", 3))

    assert all(isinstance(answer, StateRead) for answer in seen)
    note = msgspec.json.decode(msgspec.json.decode(last.data, type=StateCommitted).value, type=Note)
    assert (note.verdict, note.ruling) == ("innocent", "b")


async def test_a_step_that_waits_for_a_dispute_and_a_person_waits_for_both(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "doc.a", Note(price=3), position="0")
    await clerk.propose(work, "doc.a", Note(price=5), position="1")
    conflict = await world.opened(work.run_id)

    waits = await clerk.read(work, key="doc.a")
    asks = await clerk.review(work, {"q": 1}, position="2-1-0")
    question = await world.opened(work.run_id)
    await decide(world, conflict)
    await world.appears(subject.state(work.run_id, "doc.a", 2))
    assert not clerk.has_work
    await decide(world, question)
    again = await clerk.hold()

    assert isinstance(waits, Parked)
    assert isinstance(asks, Parked)
    assert again.epoch == 2


async def test_a_conflict_too_large_to_be_put_to_anybody_is_refused_and_holds_nobody_up(world: World) -> None:
    supervisor = await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "essay", "a" * 400_000, position="0")

    answer = await clerk.propose(work, "essay", "b" * 400_000, position="1")
    read = await clerk.read(work, key="essay")

    assert isinstance(answer, Refused)
    assert answer.error.code == "RM-212"
    assert not supervisor.disputes.open
    assert isinstance(read, StateRead)


# --- moments -------------------------------------------------------------------------------------------


async def test_a_batch_whose_answer_was_lost_is_known_whole_or_not_at_all(world: World) -> None:
    supervisor = await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose_all(work, {"a": (1, 0), "note": ("x", 0)}, position="0")
    journal, reads = supervisor._journal, 0
    append_batch, read = journal.append_batch, journal.read

    async def unanswered(drafts: Sequence[Draft]) -> tuple[int, ...]:
        await append_batch(drafts)
        raise BusUnavailableError("no answer came")

    async def broken(filter_: str, *, start_seq: int = 1, batch: int = 512) -> AsyncIterator[Entry]:
        nonlocal reads
        reads += 1
        if reads == 2:
            raise BusUnavailableError("away")
        async for entry in read(filter_, start_seq=start_seq, batch=batch):
            yield entry

    journal.append_batch, journal.read = unanswered, broken  # type: ignore[method-assign]
    asking = asyncio.create_task(clerk.propose_all(work, {"a": (2, 1), "note": ("y", 1)}, position="1"))
    await asyncio.wait((asking,), timeout=0.5)
    journal.append_batch, journal.read = append_batch, read  # type: ignore[method-assign]
    before = await clerk.read(work, keys=("a", "note"))
    again = await clerk.propose_all(work, {"a": (2, 1), "note": ("y", 1)}, position="1")
    asking.cancel()

    assert isinstance(before, StateRead)
    assert len({item.version for item in before.items}) == 1
    assert isinstance(again, StateBatch)
    assert [(item.key, item.version) for item in again.versions] == [("a", 2), ("note", 2)]
    assert len(await world.entries(subject.state_filter(work.run_id))) == 4


async def test_a_rollback_whose_answer_was_lost_happens_once(world: World) -> None:
    supervisor = await world.supervise(shop())
    clerk, work = await holder(world)
    for number in (1, 2):
        await clerk.propose(work, "note", number, base=number - 1, position=str(number))
    journal, losses = supervisor._journal, [1]
    append = journal.append

    async def unanswered(name: str, body: bytes, **more: object) -> int:
        seq = await append(name, body, **more)  # type: ignore[arg-type]  # as it was called
        if losses and ".state." in name:
            losses.pop()
            raise BusUnavailableError("no answer came")
        return seq

    journal.append = unanswered  # type: ignore[method-assign, assignment]  # the same words in and out
    wish = RollbackState(scope=work.run_id, key="note", version=1, expected_version=2)
    answer = await world.control("rollback", wish)

    assert isinstance(answer, ControlDone)
    assert len(await world.entries(subject.state_filter(work.run_id))) == 3


async def test_a_proposal_whose_turn_comes_after_its_run_ended_changes_nothing(world: World) -> None:
    supervisor = await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "shared.a", "x", position="0")

    async with supervisor.arbiter.locked(("team", "shared.a")):
        late = asyncio.create_task(clerk.propose(work, "shared.a", "late", base=1, position="1"))
        await asyncio.wait((late,), timeout=0.2)
        await world.control("cancel", CancelRun(run_id=work.run_id))

    assert isinstance(await late, Superseded)
    assert len(await world.entries("remit.state.>")) == 1
    assert work.run_id not in supervisor.arbiter.versions._committed


async def test_who_takes_a_document_out_takes_its_owner_s_word_out_too(world: World) -> None:
    await world.supervise(shop())
    clerk, auditor = await world.agent("clerk"), await world.agent("auditor")
    await world.submit("chain", Order(customer="eve"))
    await clerk.complete(await clerk.hold(), Sheet())
    check = await auditor.hold()
    await auditor.propose(check, "board", Note(word="no"), position="0")
    await world.control("rollback", RollbackState(scope="team", key="board", version=0))
    await world.submit("order", Order(customer="bob"))

    answer = await clerk.propose(await clerk.hold(), "board", Note(word="yes"), base=2)

    assert isinstance(answer, StateCommitted)


async def test_a_rejection_says_that_a_key_is_not_there(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "a", 5, position="0")
    await world.control("rollback", RollbackState(scope=work.run_id, key="a", version=0))

    answer = await clerk.propose(work, "a", 6, base=1, position="1")

    assert isinstance(answer, StateRejected)
    assert (answer.exists, answer.version) == (False, 2)


async def test_who_comes_last_by_the_clock_stands_though_another_agreed_before(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    moments = [datetime(2026, 1, 1, second=second, tzinfo=UTC) for second in range(3)]
    wishes = list(zip(("a", "w", "a"), moments, strict=True))

    found: dict[str, object] = {}
    for index, order in enumerate([(0, 1, 2), (0, 2, 1), (2, 1, 0)]):
        key = f"last.{index}"
        for number in order:
            word, at = wishes[number]
            position = f"{index}-{number}"
            found[key] = value_of(await clerk.propose_all(work, {key: (word, 0)}, position=position, at=at))

    assert [*found.values()] == ["a", "a", "a"]


async def test_a_step_that_saw_the_news_itself_is_not_outdated(world: World) -> None:
    await world.supervise(shop())
    auditor, check, clerk, other = await reading(world, "fresh")
    await read_and_record(auditor, check, "shared.a")
    await clerk.propose(other, "shared.a", "news")
    await read_and_record(auditor, check, "shared.a", position="1")

    await auditor.complete(check, Check(ok=True))

    assert (await world.outcome(check.run_id)).outcome == "complete"


async def test_a_key_that_a_listing_did_not_give_makes_it_outdated(world: World) -> None:
    await world.supervise(shop())
    auditor, check, clerk, other = await reading(world, "fresh")
    await record(auditor, check, await auditor.read(check, prefix="shared."))
    await clerk.propose(other, "shared.a", "news")

    await auditor.complete(check, Check(ok=True))
    again = await auditor.take()

    assert [(item.key, item.version, item.now) for item in again.outdated] == [("shared.a", 0, 1)]


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_result_that_was_accepted_stays_so(world: World, *, restarts: bool) -> None:
    check = Node(name="check", role="auditor", after=("sheet",), fresh="require_fresh")
    pack = Node(name="pack", role="packer", after=("sheet",), each="lines")
    ship = Node(name="ship", role="shipper", after=("sheet", "pack", "check"))
    team = shop(workflows={**WORKFLOWS, "two": PlanSpec(nodes=(SHEET, check, pack, ship))})
    first = await world.supervise(team)
    clerk, auditor, packer, shipper = [await world.agent(role) for role in ("clerk", "auditor", "packer", "shipper")]
    await world.submit("two", Order(customer="ann"))
    await clerk.complete(await clerk.hold(), Sheet(lines=(Line(name="a"),)))
    held, packing = await auditor.hold(), await packer.hold()
    await world.submit("order", Order(customer="bob"))
    other = await clerk.hold()
    await read_and_record(auditor, held, "shared.a")
    await auditor.propose(held, "shared.b", "mine", position="1")
    await auditor.complete(held, Check(ok=True))
    await world.appears(f"remit.run.{held.run_id}._.*.checked")

    await clerk.propose(other, "shared.a", "news")
    if restarts:
        await crash(first)
        await world.supervise(team)
    await packer.complete(packing, Packed(name="a"))
    await shipper.complete(await shipper.hold(), Receipt(number=1))

    assert (await world.outcome(held.run_id)).outcome == "complete"
