"""The bus goes away in the middle of a call: nothing runs without its intent, no answer without its outcome."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from remit.bus import subject
from remit.bus.connection import Incoming
from remit.contracts.errors import BusUnavailableError
from remit.contracts.message import encode, raw
from remit.contracts.step import Refused
from remit.contracts.tool import CallTool, ToolAnswered

if TYPE_CHECKING:
    import pytest

    from tests.conftest import NatsServer
    from tests.integration.tools.conftest import Answer, Floor


async def asked_until_answered(floor: Floor, tool: str, position: str, *, what: str) -> Answer:
    """Ask as an agent does: again under the same position."""
    async with asyncio.timeout(60):
        while True:
            try:
                answer = await floor.call(tool, position, what=what)
            except BusUnavailableError:
                await asyncio.sleep(0.05)
                continue
            if not isinstance(answer, Refused):
                return answer


async def test_a_tool_that_ran_while_the_bus_was_away_is_recorded_and_then_answered(
    floor: Floor, nats_server: NatsServer
) -> None:
    await floor.gateway()
    await floor.lease()
    await floor.effects.hold("hit")
    asking = asyncio.create_task(floor.call("fax", what="a"))
    await floor.effects.seen("hit")

    nats_server.kill()
    await floor.effects.release()
    await asyncio.wait({asking})
    await nats_server.start()
    answer = await asked_until_answered(floor, "fax", "0", what="a")

    assert isinstance(asking.exception(), BusUnavailableError)
    assert answer == ToolAnswered(value=raw("A"))
    assert floor.effects.all == ["a"]
    assert await floor.entries() == ["0.called", "0.returned"]


def sent_to_the_gateway(position: str) -> Incoming:
    """Give a call that got through while the journal is away: the two are different connections."""
    call = CallTool(run_id="r1", step="s", epoch=1, position=position, tool="fax", arguments=raw({"what": "a"}))
    return Incoming(subject.tool("gw-1", "fax", "clerk-a1"), encode(call), "_I.test.x")


async def test_nothing_runs_while_its_intent_cannot_be_stored(floor: Floor, nats_server: NatsServer) -> None:
    gateway = await floor.gateway()
    await floor.lease()
    assert await floor.call("look", "0", what="warm") == ToolAnswered(value=raw("WARM"))

    nats_server.kill()
    asking = asyncio.create_task(gateway._answer(sent_to_the_gateway("1")))
    done, _ = await asyncio.wait({asking}, timeout=1.0)
    ran_meanwhile = floor.effects.all[1:]
    await nats_server.start()

    assert not done
    assert ran_meanwhile == []
    assert await asking == ToolAnswered(value=raw("A"))
    assert await asked_until_answered(floor, "fax", "1", what="a") == ToolAnswered(value=raw("A"))
    assert floor.effects.all == ["warm", "a"]


async def test_a_call_given_up_while_the_bus_was_away_is_not_in_doubt_afterwards(
    floor: Floor, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The append that nobody heard of lands when the bus is back; the gateway knows that it never began."""
    monkeypatch.setattr("remit.tools.ledger._UNSURE_S", 0.3)
    gateway = await floor.gateway()
    gateway._effects._ledger._journal._timeout_s = 0.2
    await floor.lease()
    assert await floor.call("look", "0", what="warm") == ToolAnswered(value=raw("WARM"))

    nats_server.kill()
    given_up = await gateway._answer(sent_to_the_gateway("1"))
    await nats_server.start()
    await floor.stored("called", "1")
    answer = await asked_until_answered(floor, "fax", "1", what="a")

    assert isinstance(given_up, Refused)
    assert given_up.error.code == "RM-101"
    assert answer == ToolAnswered(value=raw("A"))
    assert floor.effects.all == ["warm", "a"]
    assert "1.in_doubt" not in await floor.entries()
