"""A gateway is killed between any two of its lines: no effect happens twice, and what cannot be known asks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from remit.contracts.step import Parked, Refused, Superseded
from remit.contracts.tool import ToolAnswered, ToolCalled

if TYPE_CHECKING:
    from tests.integration.tools.conftest import Answer, Floor

CLASSES = ("look", "charge", "mail", "fax")
CAREFUL = ("charge", "mail", "fax")
"""Those that change something."""


def value(answer: Answer) -> bytes:
    assert isinstance(answer, ToolAnswered), answer
    assert answer.error is None, answer.error
    return bytes(answer.value)


def hits(floor: Floor) -> int:
    return len(floor.effects.all)


async def killed_at(floor: Floor, moment: str, tool: str) -> None:
    """A gateway died while its call of the tool was at that moment; the next lease names another one."""
    gone = await floor.gateway_process("gw-1")
    await floor.lease(epoch=1, gateway="gw-1")
    await floor.effects.hold(moment)
    asking = asyncio.create_task(floor.call(tool, what="a"))
    await floor.effects.seen(moment)
    await gone.kill()
    asking.cancel()
    await floor.effects.release()


async def asked_again(floor: Floor, tool: str, *, gone: tuple[str, ...] = ("gw-1",)) -> Answer:
    await floor.gateway("gw-2")
    await floor.lease(epoch=2, agent="clerk-b2", gateway="gw-2", gone=gone)
    return await floor.call(tool, epoch=2, agent="clerk-b2", gateway="gw-2", what="a")


@pytest.mark.parametrize("tool", CLASSES)
async def test_killed_before_the_intent_nothing_had_begun(floor: Floor, tool: str) -> None:
    gone = await floor.gateway_process("gw-1")
    await floor.lease(epoch=1, gateway="gw-1")
    await gone.kill()

    assert value(await asked_again(floor, tool)) == b'"A"'
    assert hits(floor) == 1


@pytest.mark.parametrize("tool", ["look", "charge", "mail"])
async def test_killed_between_intent_and_effect_the_call_is_carried_out(floor: Floor, tool: str) -> None:
    await killed_at(floor, "arrive", tool)
    assert await floor.entries() == ["0.called"]

    assert value(await asked_again(floor, tool)) == b'"A"'
    assert hits(floor) == 1


@pytest.mark.parametrize("tool", ["charge", "mail"])
async def test_killed_between_effect_and_outcome_the_effect_is_not_repeated(floor: Floor, tool: str) -> None:
    await killed_at(floor, "depart", tool)
    assert hits(floor) == 1

    assert value(await asked_again(floor, tool)) == b'"A"'
    assert hits(floor) == 1
    assert await floor.entries() == ["0.called", "0t1.called", "0.returned"]


@pytest.mark.parametrize(("moment", "happened"), [("arrive", 0), ("depart", 1)])
async def test_killed_with_an_intent_that_nobody_can_ask_about_it_is_in_doubt(
    floor: Floor, moment: str, happened: int
) -> None:
    await killed_at(floor, moment, "fax")

    answer = await asked_again(floor, "fax")

    assert answer == Parked(review_id="")
    assert hits(floor) == happened
    assert await floor.entries() == ["0.called", "0.in_doubt"]
    assert "gw-1" in (await floor.doubt()).reason


@pytest.mark.parametrize("tool", CLASSES)
async def test_killed_between_outcome_and_answer_the_outcome_is_answered(floor: Floor, tool: str) -> None:
    gone = await floor.gateway_process("gw-1")
    await floor.lease(epoch=1, gateway="gw-1")
    asking = asyncio.create_task(floor.call(tool, what="a"))
    await floor.stored("returned")
    await gone.kill()
    asking.cancel()

    assert value(await asked_again(floor, tool)) == b'"A"'
    assert hits(floor) == 1
    assert await floor.entries() == ["0.called", "0.returned"]


@pytest.mark.parametrize("tool", CAREFUL)
async def test_an_intent_of_a_gateway_that_may_live_is_left_alone(floor: Floor, tool: str) -> None:
    await killed_at(floor, "arrive", tool)

    answer = await asked_again(floor, tool, gone=())

    assert isinstance(answer, Refused)
    assert answer.error.code == "RM-103"
    assert hits(floor) == 0
    assert await floor.entries() == ["0.called"]


async def test_an_intent_is_left_alone_until_long_after_its_deadline(floor: Floor) -> None:
    await killed_at(floor, "arrive", "mail")
    assert isinstance(await asked_again(floor, "mail", gone=()), Refused)

    floor.clock.move(35)  # past the deadline, but the other gateway may be asking its lookup
    before = await floor.call("mail", epoch=2, agent="clerk-b2", gateway="gw-2", what="a")
    floor.clock.move(6)
    after = await floor.call("mail", epoch=2, agent="clerk-b2", gateway="gw-2", what="a")

    assert isinstance(before, Refused)
    assert value(after) == b'"A"'
    assert hits(floor) == 1


async def test_a_call_that_was_taken_over_is_not_taken_over_beside_it(floor: Floor) -> None:
    """Gateway 1 is gone, 2 took its call over and is at it, when the step moves on to gateway 3."""
    await killed_at(floor, "arrive", "mail")
    await floor.gateway("gw-2")
    await floor.gateway("gw-3")
    await floor.lease(epoch=2, agent="clerk-b2", gateway="gw-2", gone=("gw-1",))
    await floor.effects.hold("hit")
    taken_over = asyncio.create_task(floor.call("mail", epoch=2, agent="clerk-b2", gateway="gw-2", what="a"))
    await floor.effects.seen("hit")
    await floor.lease(epoch=3, agent="clerk-c3", gateway="gw-3", gone=("gw-1",))

    beside = await floor.call("mail", epoch=3, agent="clerk-c3", gateway="gw-3", what="a")
    await floor.effects.release()
    await taken_over
    after = await floor.call("mail", epoch=3, agent="clerk-c3", gateway="gw-3", what="a")

    assert isinstance(beside, Refused)
    assert beside.error.code == "RM-103"
    assert value(after) == b'"A"'
    assert hits(floor) == 1


async def test_a_gateway_that_took_over_and_died_is_taken_over_in_turn(floor: Floor) -> None:
    await killed_at(floor, "arrive", "mail")
    second = await floor.gateway_process("gw-2")
    await floor.lease(epoch=2, agent="clerk-b2", gateway="gw-2", gone=("gw-1",))
    await floor.effects.hold("depart")
    asking = asyncio.create_task(floor.call("mail", epoch=2, agent="clerk-b2", gateway="gw-2", what="a"))
    await floor.effects.seen("depart")
    await second.kill()
    asking.cancel()
    await floor.effects.release()
    await floor.gateway("gw-3")
    await floor.lease(epoch=3, agent="clerk-c3", gateway="gw-3", gone=("gw-1", "gw-2"))

    answer = await floor.call("mail", epoch=3, agent="clerk-c3", gateway="gw-3", what="a")

    assert value(answer) == b'"A"'
    assert hits(floor) == 1
    assert await floor.entries() == ["0.called", "0t1.called", "0t2.called", "0.returned"]


async def test_a_gateway_that_was_given_up_too_early_and_finishes_is_believed(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its outcome lands after the other gateway looked for one and before that one begins."""
    await floor.gateway("gw-1")
    second = await floor.gateway("gw-2")
    ledger = second._effects._ledger
    performer = ledger.performer

    async def performer_that_finishes_now(intent: ToolCalled) -> tuple[ToolCalled, int]:
        await floor.effects.release()
        await floor.stored("returned")
        return await performer(intent)

    monkeypatch.setattr(ledger, "performer", performer_that_finishes_now)
    await floor.lease(epoch=1, gateway="gw-1")
    await floor.effects.hold("depart")
    asking = asyncio.create_task(floor.call("look", what="a"))
    await floor.effects.seen("depart")
    await floor.lease(epoch=2, agent="clerk-b2", gateway="gw-2", gone=("gw-1",))

    answer = await floor.call("look", epoch=2, agent="clerk-b2", gateway="gw-2", what="a")

    assert value(answer) == value(await asking) == b'"A"'
    assert hits(floor) == 1


async def test_a_zombie_cannot_have_an_open_call_taken_over(floor: Floor) -> None:
    await killed_at(floor, "arrive", "mail")
    await floor.gateway("gw-2")
    await floor.lease(epoch=2, agent="clerk-b2", gateway="gw-2", gone=("gw-1",))
    await floor.lease(epoch=3, agent="clerk-c3", gateway="gw-2", gone=("gw-1",))

    zombie = await floor.call("mail", epoch=2, agent="clerk-b2", gateway="gw-2", what="a")
    holder = await floor.call("mail", epoch=3, agent="clerk-c3", gateway="gw-2", what="a")

    assert isinstance(zombie, Superseded)
    assert value(holder) == b'"A"'
    assert hits(floor) == 1


async def test_a_gateway_that_was_abandoned_in_this_process_is_resolved_too(floor: Floor) -> None:
    """Stopped with a call in flight: the intent stays as the journal has it."""
    first = await floor.gateway("gw-1")
    await floor.lease(epoch=1, gateway="gw-1")
    await floor.effects.hold("depart")
    asking = asyncio.create_task(floor.call("charge", what="a"))
    await floor.effects.seen("depart")
    await first.stop()
    asking.cancel()
    await floor.effects.release()

    assert value(await asked_again(floor, "charge")) == b'"A"'
    assert floor.effects.all == ["a@r1.s.0"]
