"""A call in doubt waits for a person, and goes on as that person says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.contracts.lease import Resolution
from remit.contracts.message import NULL
from remit.contracts.step import Parked, Refused
from remit.contracts.tool import ToolAnswered

if TYPE_CHECKING:
    from tests.integration.tools.conftest import Answer, Floor


async def in_doubt(floor: Floor) -> None:
    """The line broke while a fax was sent."""
    await floor.gateway()
    await floor.lease(epoch=1)
    assert await floor.call("fax.broken", what="a") == Parked(review_id="")


async def resolved(floor: Floor, *resolutions: Resolution, epoch: int = 2, position: str = "0") -> Answer:
    await floor.lease(epoch=epoch, agent=f"clerk-b{epoch}", resolutions=resolutions)
    return await floor.call("fax.broken", position, epoch=epoch, agent=f"clerk-b{epoch}", what="a")


async def test_a_tool_that_breaks_off_leaves_its_effect_in_doubt(floor: Floor) -> None:
    await in_doubt(floor)

    doubt = await floor.doubt()
    assert "ConnectionError: line a" in doubt.reason
    assert (doubt.position, doubt.request) == ("0", (await floor.called()).request)
    assert await floor.entries() == ["0.called", "0.in_doubt"]


async def test_a_doubt_stays_parked_until_it_is_resolved(floor: Floor) -> None:
    await in_doubt(floor)

    assert await resolved(floor) == Parked(review_id="")
    assert floor.effects.all == ["a"]


async def test_again_calls_once_more_as_an_attempt_of_its_own(floor: Floor) -> None:
    await in_doubt(floor)

    answer = await resolved(floor, Resolution(position="0", decision="again"))

    assert answer == Parked(review_id="")  # this tool breaks every time
    assert floor.effects.all == ["a", "a"]
    assert await floor.entries() == ["0.called", "0.in_doubt", "0r1.called", "0r1.in_doubt"]
    assert (await floor.doubt("0r1")).position == "0r1"


async def test_again_once_more_needs_a_decision_of_its_own(floor: Floor) -> None:
    await in_doubt(floor)
    again = Resolution(position="0", decision="again")
    await resolved(floor, again)

    same = await resolved(floor, again, epoch=3)
    done = await resolved(
        floor, again, Resolution(position="0r1", decision="done", value=msgspec.Raw(b'"SENT"')), epoch=4
    )

    assert same == Parked(review_id="")
    assert done == ToolAnswered(value=msgspec.Raw(b'"SENT"'))
    assert floor.effects.all == ["a", "a"]


async def test_done_gives_the_result_that_the_person_found(floor: Floor) -> None:
    await in_doubt(floor)
    done = Resolution(position="0", decision="done", value=msgspec.Raw(b'"SENT"'))

    answer = await resolved(floor, done)

    assert answer == ToolAnswered(value=msgspec.Raw(b'"SENT"'))
    assert floor.effects.all == ["a"]
    assert bytes((await floor.returned()).value) == b'"SENT"'
    assert await resolved(floor, epoch=3) == answer  # recorded: needs no resolution any more


@pytest.mark.parametrize("given", [b"7", b"null"])
async def test_a_result_from_a_person_must_fit_the_tool(floor: Floor, given: bytes) -> None:
    await in_doubt(floor)

    answer = await resolved(floor, Resolution(position="0", decision="done", value=msgspec.Raw(given)))

    assert isinstance(answer, Refused)
    assert answer.error.code == "RM-201"
    assert answer.error.where == "resolution of position 0: $"
    assert await floor.entries() == ["0.called", "0.in_doubt"]


async def test_skip_goes_on_with_an_error(floor: Floor) -> None:
    await in_doubt(floor)

    answer = await resolved(floor, Resolution(position="0", decision="skip"))

    assert isinstance(answer, ToolAnswered)
    assert answer.error is not None
    assert answer.error.code == "RM-502"
    assert bytes(answer.value) == bytes(NULL)
    assert floor.effects.all == ["a"]


async def test_a_resolution_of_another_position_does_not_count(floor: Floor) -> None:
    await in_doubt(floor)

    assert await resolved(floor, Resolution(position="1", decision="again")) == Parked(review_id="")
    assert floor.effects.all == ["a"]
