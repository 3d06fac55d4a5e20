"""A gateway counts for itself how often a step makes the same call, whatever its agent says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.contracts.step import Refused
from remit.contracts.tool import ToolAnswered

if TYPE_CHECKING:
    from tests.integration.tools.conftest import Floor


async def test_the_same_call_at_ever_new_positions_is_refused_and_not_made(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease()

    answers = [await floor.call("look", str(position), what="a") for position in range(7)]

    assert [isinstance(answer, ToolAnswered) for answer in answers] == [True] * 5 + [False] * 2
    assert isinstance(answers[-1], Refused)
    assert answers[-1].error.code == "RM-405"
    assert floor.effects.all == ["a"] * 5
    assert isinstance(await floor.call("look", "7", what="b"), ToolAnswered)


async def test_the_same_call_at_the_same_position_is_the_same_call_however_often_it_is_asked(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease()

    answers = [await floor.call("look", what="a") for _ in range(10)]

    assert all(isinstance(answer, ToolAnswered) for answer in answers)
    assert floor.effects.all == ["a"]


async def test_a_grant_may_allow_more(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease(repeats=8)

    answers = [await floor.call("look", str(position), what="a") for position in range(9)]

    assert [isinstance(answer, ToolAnswered) for answer in answers] == [True] * 8 + [False]
