"""A handler that is run again finds what it did at the place where it did it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

import msgspec
import pytest

from remit.agents.context import Context
from remit.agents.replay import Replay, scope, take_position
from remit.contracts.errors import Fault, ReplayMismatchError, ToolFailedError
from remit.contracts.message import digest_of, raw
from remit.contracts.step import Recorded, RecordKind, RunStep

if TYPE_CHECKING:
    from collections.abc import Sequence


class Port:
    """The doors of a step that was held before: everything is recorded, and asking anything else fails the test."""

    def __init__(self, recorded: Sequence[Recorded] = ()) -> None:
        self.recorded: list[Recorded] = []
        self._replay = Replay(recorded)

    async def hold(self) -> Replay:
        await asyncio.sleep(0)  # lets the other branches run
        return self._replay

    async def record(self, recorded: Recorded) -> None:
        await asyncio.sleep(0)
        self.recorded.append(recorded)

    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(name)


class Search:
    """A tool by name and result."""

    name = "web.search"
    returns = str


def context(port: Port) -> Context:
    work = RunStep(
        run_id="r1",
        step="s",
        epoch=2,
        role="clerk",
        goal="help",
        goal_hash="sha256:0",
        contract="support.ticket.v1",
        deadline_at=datetime.now(UTC) + timedelta(seconds=9),
        rule="plan",
    )
    return Context(work, port)


def recorded(
    position: str,
    value: object,
    *,
    kind: RecordKind = "step",
    name: str = "think",
    request: str = "",
    error: Fault | None = None,
) -> Recorded:
    return Recorded(
        run_id="r1",
        step="s",
        epoch=1,
        position=position,
        kind=kind,
        name=name,
        request=request,
        value=raw(value),
        error=error,
    )


def never() -> NoReturn:
    raise AssertionError("it was done before")


# --- positions --------------------------------------------------------------------------------------


def test_operations_are_counted_in_the_order_in_which_they_begin() -> None:
    with scope():
        assert [take_position() for _ in range(3)] == ["0", "1", "2"]
    with scope("2-1-"):
        assert [take_position() for _ in range(2)] == ["2-1-0", "2-1-1"]


async def test_the_branches_of_a_gather_count_for_themselves_however_they_interleave() -> None:
    port = Port()
    ctx = context(port)

    async def branch(name: str, pauses: int) -> str:
        for _ in range(pauses):
            await asyncio.sleep(0)
        first = await ctx.step(f"{name} one", lambda: "1")
        return first + await ctx.step(f"{name} two", lambda: "2")

    with scope():
        before = await ctx.step("before", lambda: 0)
        both = await ctx.gather(branch("slow", 9), branch("fast", 0))
        after = await ctx.step("after", lambda: 9)

    assert (before, both, after) == (0, ("12", "12"), 9)
    assert {item.name: item.position for item in port.recorded} == {
        "before": "0",
        "slow one": "1-0-0",
        "slow two": "1-0-1",
        "fast one": "1-1-0",
        "fast two": "1-1-1",
        "after": "2",
    }


async def test_a_gather_in_a_gather_has_places_of_its_own() -> None:
    port = Port()
    ctx = context(port)

    async def leaf() -> int:
        return await ctx.step("leaf", lambda: 1)

    async def inner() -> tuple[int, ...]:
        return await ctx.gather(leaf(), leaf())

    with scope():
        assert await ctx.gather(inner(), inner()) == ((1, 1), (1, 1))

    assert sorted(item.position for item in port.recorded) == ["0-0-0-0-0", "0-0-0-1-0", "0-1-0-0-0", "0-1-0-1-0"]


# --- replay -----------------------------------------------------------------------------------------


async def test_what_was_recorded_is_answered_and_not_done_again() -> None:
    port = Port([recorded("0", 7), recorded("1-1-0", "b")])
    ctx = context(port)

    async def branch(name: str) -> str:
        return await ctx.step("think", never if name == "b" else lambda: name, returns=str)

    with scope():
        first = await ctx.step("think", never, returns=int)
        both = await ctx.gather(branch("a"), branch("b"))

    assert (first, both) == (7, ("a", "b"))
    assert [item.position for item in port.recorded] == ["1-0-0"], "the branch that had not come so far"


async def test_a_recorded_call_is_not_made_again_and_its_error_is_raised_again() -> None:
    request = digest_of({"tool": "web.search", "arguments": {"q": "x"}})
    broken = Fault(code="RM-500", message="no answer", where="tools.py:7")
    ctx = context(
        Port(
            [
                recorded("0", "found", kind="call", name="web.search", request=request),
                recorded("1", None, kind="call", name="web.search", request=request, error=broken),
            ]
        )
    )

    with scope():
        assert await ctx.call(Search, q="x") == "found"
        with pytest.raises(ToolFailedError, match="no answer") as caught:
            await ctx.call(Search, q="x")

    assert caught.value.where == "tools.py:7"


@pytest.mark.parametrize(
    ("before", "got"),
    [
        (recorded("0", 1, name="other"), "step think"),
        (recorded("0", 1, kind="call", name="think"), "step think"),
        (recorded("0", 1, request="sha256:4"), "step think"),
    ],
)
async def test_a_handler_that_asks_for_something_else_hears_both_sides(before: Recorded, got: str) -> None:
    port = Port([before])
    ctx = context(port)

    with scope(), pytest.raises(ReplayMismatchError) as caught:
        await ctx.step("think", never, returns=int)

    error = caught.value
    assert error.where == "s position 0"
    assert error.expected.startswith(f"{before.kind} {before.name}")
    assert error.got.startswith(got)
    assert "ctx.step" in error.fix
    assert port.recorded == []


async def test_other_arguments_at_the_same_place_are_a_mismatch() -> None:
    request = digest_of({"tool": "web.search", "arguments": {"q": "x"}})
    ctx = context(Port([recorded("0", "found", kind="call", name="web.search", request=request)]))

    with scope(), pytest.raises(ReplayMismatchError) as caught:
        await ctx.call(Search, q="y")

    assert caught.value.expected != caught.value.got


async def test_a_value_has_the_same_type_the_first_time_and_on_every_replay() -> None:
    port = Port()
    with scope():
        first = await context(port).step("think", lambda: (1, 2), returns=tuple)
    again = context(Port(port.recorded))

    with scope():
        second = await again.step("think", never, returns=tuple)

    assert first == second == (1, 2)
    assert json.loads(bytes(port.recorded[0].value)) == [1, 2]


def test_a_place_that_was_not_reached_has_no_record() -> None:
    replay = Replay([recorded("0", 1)])

    assert replay.find(position="1", kind="step", name="think", request="") is None
    found = replay.find(position="0", kind="step", name="think", request="")
    assert found is not None
    assert msgspec.json.decode(found.value) == 1
