"""A supervisor that dies, two at once, and a server that goes away: every run ends once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING

from remit.bus import stream, subject
from remit.bus.subject import JOURNAL
from remit.contracts.charter import RoleLimits
from remit.contracts.control import CancelRun
from remit.contracts.envelope import Envelope
from remit.contracts.errors import BusUnavailableError
from remit.contracts.message import decode, encode
from remit.contracts.plan import Node, PlanSpec
from remit.contracts.step import RunStep, StepCompleted
from remit.supervisor import dispatch
from tests.integration.supervisor.agent import soon
from tests.integration.supervisor.world import crash, either
from tests.teams import ROLES, Check, Line, Order, Packed, Receipt, Sheet, charter, shop

if TYPE_CHECKING:
    from remit.contracts.message import Message
    from remit.supervisor.service import Supervisor
    from tests.conftest import Eventually, NatsServer
    from tests.integration.supervisor.world import World

ORDER = Order(customer="ann")
REPLIES: dict[str, Message] = {
    "clerk": Sheet(lines=(Line(name="tea"), Line(name="milk")), urgent=True),
    "packer": Packed(name="tea"),
    "auditor": Check(ok=True),
    "shipper": Receipt(number=1),
}


async def staff(world: World) -> None:
    for role, reply in REPLIES.items():
        await world.staff(role, lambda _, reply=reply: reply)  # type: ignore[misc]  # bound at once


async def outcomes(world: World, runs: list[str]) -> None:
    """Every run ends, complete and once, and no step was dispatched twice in one epoch."""
    found = await asyncio.wait_for(asyncio.gather(*(world.outcome(run) for run in runs)), 40)

    assert Counter(outcome.outcome for outcome in found) == {"complete": len(runs)}
    finished = [entry.subject for entry in await world.entries(subject.FINISHED_FILTER)]
    assert sorted(finished) == sorted(set(finished))
    assert len(finished) == len(runs)


async def test_the_next_supervisor_goes_on_from_the_journal(world: World) -> None:
    first = await world.supervise(shop())
    clerk = await world.agent("clerk")
    runs = [await world.submit("gate", ORDER) for _ in range(20)]
    works = [await clerk.take() for _ in runs]
    for work in works[:10]:
        await clerk.complete(work, REPLIES["clerk"])

    await crash(first)
    for work in works[10:]:
        await clerk.complete(work, REPLIES["clerk"])
    second = await world.supervise(shop())
    await staff(world)

    await outcomes(world, runs)
    assert len(second.runs) == 0


async def test_supervisors_that_die_one_after_the_other_lose_nothing(world: World) -> None:
    await staff(world)
    supervisor = await world.supervise(shop())
    runs: list[str] = []
    for _ in range(4):
        runs += await asyncio.gather(*(world.submit("gate", ORDER) for _ in range(10)))
        await world.appears(f"remit.run.{runs[-1]}._.>")
        await crash(supervisor)
        supervisor = await world.supervise(shop())

    await outcomes(world, runs)


async def test_a_dead_supervisors_timers_and_parents_are_the_next_ones(world: World) -> None:
    """A failed step that waits for its retry, and an asker that waits for its child."""
    first = await world.supervise(shop())
    clerk, packer = await world.agent("clerk"), await world.agent("packer")
    failing, asking = await world.submit("order", ORDER), await world.submit("order", ORDER)
    works = {work.run_id: work for work in [await clerk.hold(), await clerk.hold()]}
    question = asyncio.create_task(clerk.ask(works[asking], "packer", Line(name="tea")))
    child = await packer.take()
    await clerk.fail(works[failing])
    await world.appears(f"remit.run.{failing}.order.*.1.failed")

    await crash(first)
    question.cancel()
    await world.supervise(shop())
    again = await clerk.hold()
    await clerk.complete(again, Sheet())
    answering = asyncio.create_task(clerk.ask(works[asking], "packer", Line(name="tea")))
    await packer.complete(child, Packed(name="tea"))
    answer = await soon(answering)
    await clerk.complete(works[asking], Sheet())

    assert (again.run_id, again.attempt) == (failing, 2)
    assert getattr(answer, "error", "") is None
    await outcomes(world, [failing, asking])


async def test_two_supervisors_at_once_give_no_run_two_outcomes(world: World) -> None:
    """One is active at a time; but a host that is cut off, not dead, may keep an old one running for a while."""
    old, new = await world.supervise(shop()), await world.supervise(shop())
    await staff(world)
    runs = await asyncio.gather(*(world.submit("gate", ORDER) for _ in range(40)))

    await asyncio.wait_for(asyncio.gather(*(world.appears(f"remit.run.{run}._.>") for run in runs)), 10)
    for _ in range(3):
        for supervisor in (old, new):
            for run in supervisor.runs:
                supervisor._spawn(supervisor._advance(run))
        await world.bus.flush()
    await crash(old)
    await crash(new)
    await world.supervise(shop())

    await outcomes(world, list(runs))
    works = [entry.subject for entry in await world.entries("remit.run.*._.work.>")]
    assert len(works) == len(set(works))


async def test_an_old_supervisor_cannot_hand_out_what_the_new_one_moved_on_from(world: World) -> None:
    old, new = await world.supervise(shop()), await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    work = await clerk.take()
    for supervisor in (old, new):
        if supervisor.runs.get(run) is None:
            await _recover(supervisor, run)
    await clerk.claim(work)
    await clerk.leave()
    new.agent_gone(clerk.name)
    old.agent_gone(clerk.name)

    other = await world.agent("clerk")
    again = await other.take()
    await other.claim(again)
    await other.complete(again, Sheet())

    assert (await world.outcome(run)).outcome == "complete"
    assert [step for step in await world.lane(run) if step.startswith("order")] == ["order.1", "order.2"]


async def test_a_supervisor_that_comes_second_with_the_end_of_a_run_finds_it_and_goes_on(world: World) -> None:
    """Both hear the wish, and both decide the same."""
    both = [await world.supervise(shop()), await world.supervise(shop())]
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    await clerk.take()
    for supervisor in both:
        if supervisor.runs.get(run) is None:
            await _recover(supervisor, run)

    await world.control("cancel", CancelRun(run_id=run))
    await world.outcome(run)
    other = await world.submit("order", ORDER)
    await clerk.complete(await clerk.take(), Sheet())

    assert (await world.outcome(other)).outcome == "complete"
    assert len(await world.entries(subject.FINISHED_FILTER)) == 2
    assert world.bugs == []


async def test_a_completion_that_the_dead_supervisor_had_not_heard_counts(world: World) -> None:
    first = await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    work = await clerk.hold()
    await crash(first)
    await clerk.complete(work, Sheet(total=5))

    await world.supervise(shop())

    assert json.loads(bytes((await world.outcome(run)).result))["total"] == 5


async def dispatch_again(supervisor: Supervisor, run: str, step: str) -> None:
    """The supervisor decides, of a step that is done, that it is to be done again."""
    known = supervisor.runs.get(run)
    assert known is not None
    async with known.lock:
        await supervisor.runs.store(known, dispatch.again(known.state, known.state.steps[step], "lost"))


async def test_a_completion_that_a_redispatch_crossed_is_done_again_and_the_run_ends(world: World) -> None:
    """The end of the first epoch stands before the dispatch of the second, made by one who had not heard of it."""
    first = await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("chain", ORDER)
    work = await clerk.hold()
    first._loops[0]._on_delivery = lambda _: None
    await clerk.complete(work, Sheet(total=1))
    await dispatch_again(first, run, work.step)
    again = await clerk.take()

    await crash(first)
    await world.supervise(shop())
    await clerk.claim(again)
    await clerk.complete(again, Sheet(total=2))
    await world.staff("auditor", lambda _: Check(ok=True))

    assert (await world.outcome(run)).outcome == "complete"
    check = await world.appears(f"remit.run.{run}._.work.auditor.check.1")
    assert json.loads(bytes(decode(RunStep, check.data).body))["total"] == 2


async def test_a_lease_that_came_late_is_known_before_somebody_else_s_completion_counts(
    world: World, eventually: Eventually
) -> None:
    """It was sent, the connection broke, the run was read again without it, and then the server stored it."""
    supervisor = await world.supervise(shop())
    clerk, other = await world.agent("clerk"), await world.agent("clerk")
    run = await world.submit("order", ORDER)
    work = await either(clerk, other)
    known, journal = supervisor.runs.get(run), supervisor._journal
    assert known is not None
    append = journal.append
    late: list[tuple[str, bytes, dict[str, object]]] = []

    async def unanswered(name: str, body: bytes, **more: object) -> int:
        if ".lease." in name and not late:
            late.append((name, body, more))
            raise BusUnavailableError("no answer came")
        return await append(name, body, **more)  # type: ignore[arg-type]  # as it was called

    journal.append = unanswered  # type: ignore[method-assign, assignment]  # the same words in and out
    claiming = asyncio.create_task(clerk.claim(work))

    async def unsure() -> bool:
        return bool(known.unanswered)

    await eventually(unsure)
    claiming.cancel()
    name, body, more = late[0]
    await append(name, body, **more)  # type: ignore[arg-type]  # as it was called
    await other.complete(work, Sheet(total=1))
    await clerk.complete(work, Sheet(total=2))

    assert json.loads(bytes((await world.outcome(run)).result))["total"] == 2


async def test_fifty_runs_outlive_a_server_that_is_killed_and_comes_back(
    world: World, nats_server: NatsServer, eventually: Eventually
) -> None:
    supervisor = await world.supervise(shop(charter(step=RoleLimits(attempts=3))))
    clerk = await world.agent("clerk")
    runs = [await world.submit("gate", ORDER) for _ in range(50)]
    works = [await clerk.take() for _ in runs]
    for work in works[:25]:
        await clerk.complete(work, REPLIES["clerk"])

    nats_server.kill()
    await nats_server.start()

    async def is_back() -> bool:
        return supervisor.is_connected and clerk.bus.is_connected and world.bus.is_connected

    await eventually(is_back)
    for work in works[25:]:
        await clerk.complete(work, REPLIES["clerk"])
    await staff(world)
    await outcomes(world, runs)


async def test_a_journal_that_is_full_holds_the_runs_and_loses_none(world: World) -> None:
    await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("chain", ORDER)
    work = await clerk.take()
    entries = (await stream.state(world.bus, JOURNAL)).messages

    await _hold_at_most(world, entries + 1)
    await clerk.complete(work, Sheet())
    late = await world.submit("order", ORDER)
    await world.settled(subject.TASKS, at_least=1, waiting=1, durable="task-order")
    full = (await stream.state(world.bus, JOURNAL)).messages
    await _hold_at_most(world, -1)

    assert full == entries + 1
    await clerk.complete(await clerk.take(), Sheet())
    await world.staff("auditor", lambda _: Check(ok=True))
    await outcomes(world, [run, late])


async def _hold_at_most(world: World, messages: int) -> None:
    config = json.loads(await stream.api(world.bus, "STREAM.INFO", JOURNAL))["config"]
    await stream.api(world.bus, "STREAM.UPDATE", JOURNAL, body=config | {"max_msgs": messages})


async def test_a_run_goes_on_by_the_plan_that_it_began_with(world: World) -> None:
    first = await world.supervise(shop())
    clerk, auditor = await world.agent("clerk"), await world.agent("auditor")
    run = await world.submit("chain", ORDER)
    await clerk.complete(await clerk.take(), Sheet())
    await world.appears(f"remit.run.{run}._.work.auditor.>")
    await crash(first)

    await world.supervise(shop(workflows={"order": PlanSpec(nodes=(Node(name="order", role="clerk"),))}))
    await auditor.complete(await auditor.take(), Check(ok=True))

    assert (await world.outcome(run)).outcome == "complete"


async def test_a_run_of_a_role_that_the_team_does_not_have_any_more_stops_nobody_else(world: World) -> None:
    first = await world.supervise(shop())
    clerk = await world.agent("clerk")
    stranded = await world.submit("chain", ORDER)
    await clerk.complete(await clerk.take(), Sheet())
    await world.appears(f"remit.run.{stranded}._.work.auditor.>")
    await crash(first)
    left = {name: role for name, role in ROLES.items() if name == "clerk"}

    await world.supervise(shop(workflows={"order": PlanSpec(nodes=(Node(name="order", role="clerk"),))}, roles=left))
    run = await world.submit("order", ORDER)
    await clerk.complete(await clerk.take(), Sheet())

    assert (await world.outcome(run)).outcome == "complete"
    assert (await world.outcome(stranded)).stopped_by == "build"


async def test_entries_that_do_not_fit_do_not_count(world: World) -> None:
    """An agent may write anything on its own subjects."""
    first = await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    work = await clerk.take()
    elsewhere = StepCompleted(run_id="r99", step="order", epoch=1, contract="x.y.v1")
    junk = {"1": b"no json", "2": b"\xff", "3": b'{"run_id":' + b"[" * 5000, "4": encode(elsewhere)}
    for index, body in junk.items():
        name = subject.agent_entry(run, "order", agent=clerk.name, index=index, kind="completed")
        await world.journal.append(name, body)

    await crash(first)
    await world.supervise(shop())
    other = await world.agent("clerk")
    await other.complete(work, Sheet())

    assert (await world.outcome(run)).outcome == "complete"


async def _recover(supervisor: Supervisor, run: str) -> None:
    """The supervisor knows the run from the journal."""
    await supervisor.runs.admit(run, workflow="order", body=encode({"goal": "", "input": ORDER}), envelope=Envelope())
