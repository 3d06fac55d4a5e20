"""From a task to its one outcome."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from remit.bus import stream, subject
from remit.bus.journal import Results
from remit.contracts.envelope import Envelope
from remit.contracts.ids import run_id
from remit.contracts.message import decode, encode
from remit.contracts.task import RunFinished
from tests.teams import Check, Line, Order, Sheet, shop

if TYPE_CHECKING:
    from tests.conftest import Eventually
    from tests.integration.supervisor.world import World

ORDER = Order(customer="ann", lines=(Line(name="tea"),))


async def published(world: World, workflow: str, body: bytes) -> RunFinished:
    """Publish any bytes as a task and give the outcome."""
    ack = await stream.store(world.bus, subject.task(workflow), body)
    return await world.outcome(run_id(ack.seq))


async def test_a_task_of_one_role_ends_with_its_reply(world: World) -> None:
    await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)

    work = await clerk.take()
    await clerk.complete(work, Sheet(total=7))

    outcome = await world.outcome(run)
    assert (outcome.outcome, outcome.steps, outcome.left) == ("complete", 1, ())
    assert json.loads(bytes(outcome.result))["total"] == 7
    assert await world.lane(run) == ["order.1", "finished"]
    assert (work.goal, work.rule, json.loads(bytes(work.body))["customer"]) == ("pack it", "plan", "ann")


async def test_a_plan_hands_the_reply_of_one_role_to_the_next(world: World) -> None:
    await world.supervise(shop())
    clerk, auditor = await world.agent("clerk"), await world.agent("auditor")
    run = await world.submit("chain", ORDER)

    await clerk.complete(await clerk.take(), Sheet(total=9))
    check = await auditor.take()
    await auditor.complete(check, Check(ok=True))

    outcome = await world.outcome(run)
    assert outcome.outcome == "complete"
    assert json.loads(bytes(check.body))["total"] == 9
    assert await world.lane(run) == ["started", "planned", "sheet.1", "planned", "check.1", "finished"]
    assert check.rule == "edge sheet -> check"


@pytest.mark.parametrize(
    ("body", "code", "where"),
    [
        (b"no json", "RM-201", "$"),
        (b'{"goal":"x","input":{"customer":"\xff"}}', "RM-201", "byte 33"),
        (b'{"goal":"x","input":{"customer":"a","extra":"\xff"}}', "RM-201", "byte 45"),
        (b'{"input":{}}', "RM-201", "$"),
        (
            b'{"goal":"x","input":{"customer":"a","lines":[{"name":"t","count":"two"}]}}',
            "RM-201",
            "$.input.lines[0].count",
        ),
        (b'{"goal":"x","wall_clock_s":-1,"input":{"customer":"a"}}', "RM-201", "$.wall_clock_s"),
        (b'{"goal":"x","input":' + b"[" * 20_000 + b"]" * 20_000 + b"}", "RM-201", "$"),
    ],
    ids=["no json", "no utf-8", "no utf-8 aside", "no goal", "deep", "negative time", "too deep"],
)
async def test_a_malformed_task_gets_an_outcome_that_says_where(
    world: World, body: bytes, code: str, where: str
) -> None:
    await world.supervise(shop())

    outcome = await published(world, "order", body)

    assert outcome.outcome == "refused"
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.where) == (code, where)


async def test_a_task_for_a_workflow_that_nobody_has_gets_an_outcome(world: World) -> None:
    await world.supervise(shop())

    outcome = await published(world, "resell", encode({"goal": "x", "input": {}}))

    assert outcome.outcome == "refused"
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.got) == ("RM-202", "resell")
    assert "chain" in outcome.error.expected


async def test_a_task_that_fills_the_largest_message_gets_an_outcome(world: World) -> None:
    """It fits into the queue, and with what is said about it into no entry."""
    await world.supervise(shop())
    body = encode({"goal": "x", "input": {"customer": ""}})
    body = body.replace(b'""', b'"' + b"a" * (1024 * 1024 - len(body) - 200) + b'"')

    outcome = await published(world, "order", body)

    assert outcome.outcome == "refused"
    assert outcome.error is not None
    assert outcome.error.code == "RM-212"


async def test_a_task_that_is_published_twice_runs_once(world: World) -> None:
    await world.supervise(shop())
    clerk = await world.agent("clerk")
    body = encode({"goal": "x", "input": ORDER})

    first = await world.client.submit("order", body, message_id="7")
    again = await world.client.submit("order", body, message_id="7")
    await clerk.complete(await clerk.take(), Sheet())

    assert first == again
    assert (await world.outcome(first)).outcome == "complete"
    assert len(await world.entries(subject.FINISHED_FILTER)) == 1


async def test_a_task_that_is_delivered_twice_is_one_run(world: World) -> None:
    supervisor = await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    work = await clerk.take()

    body = encode({"goal": "pack it", "input": ORDER})
    await asyncio.gather(
        *(supervisor.runs.admit(run, workflow="order", body=body, envelope=Envelope()) for _ in range(3))
    )
    await clerk.complete(work, Sheet())
    finished = await world.outcome(run)
    await supervisor.runs.admit(run, workflow="order", body=body, envelope=Envelope())

    assert finished.outcome == "complete"
    assert await world.lane(run) == ["order.1", "finished"]
    assert len(supervisor.runs) == 0


async def test_a_run_whose_first_append_went_unanswered_goes_on_from_what_it_finds(world: World) -> None:
    """The step was dispatched and completed before the task came again."""
    first = await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    work = await clerk.take()
    assert await first.runs.find(run) is not None  # an agent may hear of the first step before its supervisor does
    first.runs._open.pop(run)
    await clerk.complete(work, Sheet())
    await world.appears(f"remit.run.{run}.order.*.1.completed")

    body = encode({"goal": "pack it", "input": ORDER})
    await first.runs.admit(run, workflow="order", body=body, envelope=Envelope())

    assert (await world.outcome(run)).outcome == "complete"


async def test_an_outcome_is_kept_for_who_asks_later(world: World, eventually: Eventually) -> None:
    await world.supervise(shop())
    run = await world.submit("nothing", ORDER)
    await world.outcome(run)
    results = Results(world.bus)

    async def is_kept() -> bool:
        return (kept := await results.get(run)) is not None and decode(RunFinished, kept).run_id == run

    await eventually(is_kept)
