"""Who holds a step, and what becomes of it when it fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.bus import stream, subject
from remit.bus.consumer import PullLoop
from remit.bus.dead_letter import DeadLetters
from remit.bus.subject import DEAD, JOURNAL
from remit.contracts.charter import RoleLimits
from remit.contracts.errors import AnswerTimeoutError, Fault
from remit.contracts.message import decode, encode
from remit.contracts.step import ClaimRefused, ClaimStep, RunStep, StepLeased, StepTimedOut
from tests.integration.supervisor.agent import BROKEN
from tests.integration.supervisor.world import either, now
from tests.teams import Line, Order, Packed, Sheet, charter, shop

if TYPE_CHECKING:
    from remit.bus.delivery import Delivery
    from tests.integration.supervisor.world import World

ORDER = Order(customer="ann", lines=(Line(name="tea"),))
HASTY = charter(step=RoleLimits(attempts=2, deadline_s=0.2))


# --- failure ----------------------------------------------------------------------------------------


async def test_a_step_that_fails_is_tried_again_after_a_pause(world: World) -> None:
    await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)

    await clerk.fail(await clerk.hold())
    failed_at = now()
    again = await clerk.hold()
    await clerk.complete(again, Sheet())

    assert (again.epoch, again.attempt, again.rule) == (2, 2, "retry after RM-511")
    assert (now() - failed_at).total_seconds() > 0.4
    assert (await world.outcome(run)).outcome == "complete"


async def test_a_step_that_fails_too_often_fails_its_run_with_its_own_error(world: World) -> None:
    await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)

    await clerk.fail(await clerk.take())
    await clerk.fail(await clerk.take())

    outcome = await world.outcome(run)
    assert (outcome.outcome, outcome.stopped_by, outcome.left) == ("failed", "step order", ("order",))
    assert outcome.error == BROKEN
    assert not clerk.has_work


async def test_what_would_fail_again_is_not_tried_again(world: World) -> None:
    await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)

    await clerk.fail(await clerk.take(), retryable=False)

    assert (await world.outcome(run)).outcome == "failed"
    assert await world.lane(run) == ["order.1", "finished"]


async def test_a_rejection_and_a_stop_name_the_outcome(world: World) -> None:
    await world.supervise(shop())
    clerk = await world.agent("clerk")
    for code, expected in (("RM-214", "rejected"), ("RM-402", "stopped")):
        run = await world.submit("order", ORDER)
        await clerk.fail(await clerk.take(), Fault(code=code, message="no"), retryable=False)

        assert (await world.outcome(run)).outcome == expected


async def test_a_reply_that_is_none_of_its_roles_fails_the_step(world: World) -> None:
    """What a hijacked agent writes must end its own run, and nobody else's."""
    await world.supervise(shop())
    clerk = await world.agent("clerk")
    for reply in (None, {"lines": "all"}, [1], {"type": "shop.order.v1"}):
        run = await world.submit("fan", ORDER)
        await clerk.complete(await clerk.take(), reply)

        outcome = await world.outcome(run)
        assert (outcome.outcome, outcome.stopped_by) == ("failed", "step sheet")
        assert outcome.error is not None
        assert outcome.error.code == "RM-201"


# --- holding ----------------------------------------------------------------------------------------


async def test_the_holder_hears_its_grant_until_when_and_through_whom(world: World) -> None:
    await world.supervise(shop())
    clerk = await world.agent("clerk")
    await world.submit("order", ORDER)

    answer = await clerk.claim(await clerk.take())

    assert isinstance(answer, StepLeased)
    lease = answer.lease
    assert (lease.agent, lease.gateway, lease.epoch, lease.gateways_gone) == (clerk.name, "gw-1", 1, ())
    assert 50 < (lease.until_at - now()).total_seconds() <= 60
    assert lease.grant.asks == ("packer",)
    assert {scope.name: scope.value for scope in lease.grant.data} == {"customer": "ann", "house": "number 7"}
    entry = await world.journal.get(subject.lease(lease.run_id, lease.step, 1))
    assert entry is not None
    assert entry.seq == answer.lease_seq


async def test_a_step_is_held_by_one_agent(world: World) -> None:
    await world.supervise(shop())
    clerk, other = await world.agent("clerk"), await world.agent("clerk")
    await world.submit("order", ORDER)
    work = await either(clerk, other)

    first = await clerk.claim(work)
    again = await clerk.claim(work)
    second = await other.claim(work)

    assert isinstance(first, StepLeased)
    assert first == again
    assert second == ClaimRefused(reason="held")


async def test_a_claim_says_why_it_is_refused(world: World) -> None:
    supervisor = await world.supervise(shop())
    clerk, packer = await world.agent("clerk"), await world.agent("packer")
    run = await world.submit("order", ORDER)
    work = await clerk.hold()
    supervisor.agent_gone(clerk.name)
    second = await clerk.take()

    old = await clerk.claim(work)
    strange = await packer.claim(second)
    early = await clerk.claim(msgspec.structs.replace(second, epoch=9))
    await clerk.complete(second, Sheet())
    await world.outcome(run)
    late = await clerk.claim(second)

    reasons = [answer.reason for answer in (old, strange, early, late) if isinstance(answer, ClaimRefused)]
    assert reasons == ["superseded", "unknown", "unknown", "finished"]


async def test_a_claim_waits_while_no_gateway_serves(world: World) -> None:
    await world.supervise(shop())
    clerk = await world.agent("clerk")
    await world.submit("order", ORDER)
    work = await clerk.take()
    world.pools.names = ()
    claim = ClaimStep(run_id=work.run_id, step=work.step, epoch=1)

    with pytest.raises(AnswerTimeoutError):
        await world.bus.request(subject.claim("clerk", clerk.name), encode(claim), timeout_s=0.3)
    world.pools.names = ("gw-2",)
    answer = await clerk.claim(work)

    assert isinstance(answer, StepLeased)
    assert answer.lease.gateway == "gw-2"


async def test_what_a_dead_agent_held_goes_to_another_with_what_it_had_recorded(world: World) -> None:
    supervisor = await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    work = await clerk.hold()
    await clerk.record(work, "0", "seven")

    supervisor.agent_gone(clerk.name)
    again = await clerk.take()
    other = await world.agent("clerk")
    answer = await other.claim(again)
    await clerk.complete(work, Sheet(total=1))
    await other.complete(again, Sheet(total=2))

    assert (again.epoch, again.attempt, again.rule) == (2, 1, f"host of {clerk.name} gone")
    assert isinstance(answer, StepLeased)
    assert [(item.position, json.loads(bytes(item.value))) for item in answer.recorded] == [("0", "seven")]
    outcome = await world.outcome(run)
    assert json.loads(bytes(outcome.result))["total"] == 2, "the zombie's word does not count"


async def test_when_a_gateway_is_gone_the_next_lease_names_another_and_says_who_is_gone(world: World) -> None:
    supervisor = await world.supervise(shop())
    clerk = await world.agent("clerk")
    await world.submit("order", ORDER)
    await clerk.hold()
    world.pools.names = ("gw-2",)

    supervisor.gateway_gone("gw-1")
    answer = await clerk.claim(await clerk.take())

    assert isinstance(answer, StepLeased)
    assert (answer.lease.gateway, answer.lease.gateways_gone) == ("gw-2", ("gw-1",))
    assert supervisor.holders() == {clerk.name, "gw-2"}


async def test_a_silent_holder_runs_out_of_time_and_the_step_is_tried_again(world: World) -> None:
    await world.supervise(shop(HASTY))
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)

    work = await clerk.hold()
    again = await clerk.take()
    await clerk.complete(work, Sheet(total=1))
    await clerk.complete(again, Sheet(total=2))

    timed_out = await world.appears(f"remit.run.{run}._.*.timed_out")
    assert decode(StepTimedOut, timed_out.data).error.code == "RM-401"
    assert (again.epoch, again.attempt) == (2, 2)
    assert json.loads(bytes((await world.outcome(run)).result))["total"] == 2


async def test_an_agent_of_another_role_completes_nothing(world: World) -> None:
    await world.supervise(shop())
    clerk, packer = await world.agent("clerk"), await world.agent("packer")
    run = await world.submit("order", ORDER)
    work = await clerk.take()

    await packer.complete(work, Packed(name="tea"))
    await clerk.complete(work, Sheet(total=3))

    assert json.loads(bytes((await world.outcome(run)).result))["total"] == 3


# --- nobody takes it --------------------------------------------------------------------------------


async def test_a_step_that_nobody_takes_over_fails_and_a_letter_points_to_it(world: World) -> None:
    await world.supervise(shop())
    await _deliver_at_most(world, "clerk", 2)
    given_back = await PullLoop.start(world.bus, JOURNAL, "clerk", _give_back)
    run = await world.submit("order", ORDER)

    outcome = await world.outcome(run)

    await given_back.stop()
    stored = [item async for item in DeadLetters(world.bus).list()]
    letters = [item.letter for item in stored]
    dispatched = [entry.seq for entry in await world.entries(subject.lane(run)) if "work" in entry.subject]
    assert (outcome.outcome, outcome.error and outcome.error.code) == ("failed", "RM-106")
    assert await world.lane(run) == ["order.1", "timed_out", "order.2", "timed_out", "finished"]
    assert [letter.pointer.seq for letter in letters] == dispatched
    assert {letter.cause.code for letter in letters} == {"RM-106"}


async def test_a_letter_of_a_step_brings_its_task_back(world: World) -> None:
    await world.supervise(shop())
    await _deliver_at_most(world, "clerk", 1)
    given_back = await PullLoop.start(world.bus, JOURNAL, "clerk", _give_back)
    run = await world.submit("order", ORDER)
    await world.outcome(run)
    await given_back.stop()
    letter = await anext(DeadLetters(world.bus).list())

    again = await DeadLetters(world.bus).redrive(letter.seq)

    clerk = await world.agent("clerk")
    work = await clerk.take()
    assert (work.run_id, work.goal, json.loads(bytes(work.body))["customer"]) == (again, "pack it", "ann")


async def test_a_delivery_that_was_given_up_after_the_step_was_held_changes_nothing(world: World) -> None:
    await world.supervise(shop())
    await _deliver_at_most(world, "clerk", 2)
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    delivery = await clerk.delivery()
    work = decode(RunStep, delivery.data)
    await clerk.claim(work)

    delivery.nak()
    (await clerk.delivery()).nak()
    await world.settled(DEAD, at_least=1)
    await clerk.complete(work, Sheet())

    assert (await world.outcome(run)).outcome == "complete"
    assert [item async for item in DeadLetters(world.bus).list()] == []


async def test_a_notice_about_something_else_is_set_aside(world: World) -> None:
    await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    work = await clerk.take()

    for body in (
        b"no json",
        b'{"stream":"JOURNAL","consumer":"clerk","stream_seq":4711}',
        b'{"stream":"TASKS","consumer":"supervisor","stream_seq":1}',
    ):
        await stream.store(world.bus, subject.undeliverable(JOURNAL, "clerk"), body)
    await world.settled(DEAD, at_least=3)
    await clerk.complete(work, Sheet())

    assert (await world.outcome(run)).outcome == "complete"
    causes = [item.letter.cause.code async for item in DeadLetters(world.bus).list()]
    assert causes == ["RM-201"]


def _give_back(delivery: Delivery) -> None:
    delivery.nak()


async def _deliver_at_most(world: World, role: str, times: int) -> None:
    answer = json.loads(await stream.api(world.bus, "CONSUMER.INFO", JOURNAL, role))
    body = {"stream_name": JOURNAL, "action": "update", "config": answer["config"] | {"max_deliver": times}}
    await stream.api(world.bus, "CONSUMER.CREATE", JOURNAL, role, body=body)
