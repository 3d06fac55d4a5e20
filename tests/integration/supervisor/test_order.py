"""Two proposals from one base give one state and one explanation: in both orders, twice, and with a crash between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.bus import subject
from remit.contracts.message import decode
from remit.contracts.proposal import StateCommitted, StateParked, StateRejected
from tests.integration.supervisor.world import crash
from tests.teams import Note, Order, Sheet, shop

if TYPE_CHECKING:
    from remit.contracts.proposal import StateDecided, StateDecision
    from remit.contracts.step import Refused, RunStep, Superseded
    from remit.supervisor.service import Supervisor
    from tests.integration.supervisor.agent import Agent
    from tests.integration.supervisor.world import World

Held = tuple["Agent", "RunStep", Note]
Told = tuple[str, str, object, list[tuple[str, object]], object]

PAIRS = {
    "nothing in common": (Note(text="t"), Note(risk=1)),
    "max": (Note(risk=3), Note(risk=5)),
    "union": (Note(tags=("b", "a")), Note(tags=("c", "a"))),
    "counter": (Note(seen=1), Note(seen=1)),
    "owner": (Note(word="clerk says"), Note(word="auditor says")),
    "several": (Note(risk=3, tags=("x",), seen=2, text="t"), Note(risk=2, tags=("y",), seen=1, word="mine")),
}
NAMED = {
    "reject": (Note(text="one"), Note(text="other")),
    "arbitrate": (Note(verdict="one"), Note(verdict="other")),
    "escalate": (Note(price=1), Note(price=2)),
}


async def writers(world: World, first: Note, second: Note) -> tuple[Held, Held]:
    """Give a clerk and an auditor that hold a step, each with what it wishes."""
    clerk, auditor = await world.agent("clerk"), await world.agent("auditor")
    await world.submit("chain", Order(customer="ann"))
    await clerk.complete(await clerk.hold(), Sheet())
    check = await auditor.hold()
    await world.submit("order", Order(customer="bob"))
    return (clerk, await clerk.hold(), first), (auditor, check, second)


async def say(held: Held, key: str, number: int) -> StateDecided | Refused | Superseded:
    agent, work, wish = held
    return await agent.propose(work, key, wish, position=str(number))


def told(decision: StateDecision) -> Told:
    sides = [(side.role, side.value) for side in decision.sides]
    return decision.path, decision.rule, decision.base, sides, decision.result


async def stands(world: World, key: str) -> tuple[Note, dict[str, Told]]:
    """Give a document and the explanation of its last version."""
    last = await world.journal.get(subject.state_filter("team", key))
    assert last is not None
    version = decode(StateCommitted, last.data)
    return msgspec.json.decode(version.value, type=Note), {item.path: told(item) for item in version.decisions}


@pytest.mark.parametrize(("one", "other"), PAIRS.values(), ids=PAIRS)
async def test_both_orders_give_one_state_and_one_explanation(world: World, one: Note, other: Note) -> None:
    supervisor: Supervisor = await world.supervise(shop())
    clerk, auditor = await writers(world, one, other)

    for number, (key, order) in enumerate({"forth": (clerk, auditor), "back": (auditor, clerk)}.items()):
        for held in order:
            await say(held, f"boards.{key}", number)
            await say(held, f"boards.{key}", number)  # asked twice, done once
    await say(clerk, "boards.crash", 2)
    await crash(supervisor)
    await world.supervise(shop())
    await say(clerk, "boards.crash", 2)
    await say(auditor, "boards.crash", 2)
    forth, back, crashed = [await stands(world, f"boards.{key}") for key in ("forth", "back", "crash")]

    assert forth == back == crashed
    assert len(await world.entries(subject.state_filter("team"))) == 6


@pytest.mark.parametrize("order", [(8, 12, 8), (8, 8, 12), (12, 8, 8), (12, 12, 8), (12, 8, 12), (8, 12, 12)])
async def test_who_agrees_with_a_side_is_one_whoever_comes_first(world: World, order: tuple[int, ...]) -> None:
    await world.supervise(shop())
    clerk, _auditor = await writers(world, Note(), Note())
    agent, work, _wish = clerk

    for position, risk in enumerate(order):
        await agent.propose(work, "boards.three", Note(risk=risk), position=str(position))
    note, said = await stands(world, "boards.three")

    path, rule, base, sides, result = said["/risk"]
    assert note.risk == result == 12
    assert (path, rule, base) == ("/risk", "max", 0)
    assert sorted(str(value) for _role, value in sides) == sorted(map(str, order))


@pytest.mark.parametrize(("one", "other"), NAMED.values(), ids=NAMED)
async def test_both_orders_name_one_conflict(world: World, one: Note, other: Note) -> None:
    await world.supervise(shop())
    clerk, auditor = await writers(world, one, other)

    await say(clerk, "boards.forth", 0)
    forth = await say(auditor, "boards.forth", 0)
    await say(auditor, "boards.back", 1)
    back = await say(clerk, "boards.back", 1)

    assert type(forth) is type(back)
    if isinstance(forth, StateRejected) and isinstance(back, StateRejected):
        assert [told(item) for item in forth.conflicts] == [told(item) for item in back.conflicts]
    else:
        assert isinstance(forth, StateParked)
        assert isinstance(back, StateParked)
        assert (forth.paths, forth.waits_for) == (back.paths, back.waits_for)
