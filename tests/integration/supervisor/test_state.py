"""Shared state: who may change it, and what becomes of changes that meet."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from remit.bus import subject
from remit.bus.state_cache import StateCache
from remit.contracts.control import AskStatus, CancelRun, ControlDone, ScaleRole, TeamStatus
from remit.contracts.message import decode
from remit.contracts.proposal import StateCommitted, StateRead, StateRejected
from remit.contracts.step import Refused, Superseded
from tests.integration.supervisor.world import crash, value_of
from tests.teams import Order, Sheet, shop

if TYPE_CHECKING:
    from remit.contracts.step import RunStep
    from tests.conftest import Eventually
    from tests.integration.supervisor.agent import Agent
    from tests.integration.supervisor.world import World


async def holder(world: World) -> tuple[Agent, RunStep]:
    clerk = await world.agent("clerk")
    await world.submit("order", Order(customer="ann"))
    return clerk, await clerk.hold()


async def test_a_version_says_who_wrote_it_in_which_step_and_why(world: World, eventually: Eventually) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)

    answer = await clerk.propose(work, "note", {"a": 1})

    assert isinstance(answer, StateCommitted)
    assert (answer.version, answer.rule, answer.agent, answer.step) == (1, "write", clerk.name, "order")
    stored = await world.journal.get(subject.state(work.run_id, "note", 1))
    assert stored is not None
    assert decode(StateCommitted, stored.data) == answer

    async def is_cached() -> bool:
        shown = await StateCache(world.bus).get(work.run_id, "note")
        return shown is not None and shown.version == 1

    await eventually(is_cached)


async def test_a_write_from_the_current_version_replaces_it(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "note", 1, position="0")

    second = await clerk.propose(work, "note", 2, base=1, position="1")
    late = await clerk.propose(work, "note", 3, base=1, position="2")

    assert isinstance(second, StateCommitted)
    assert second.version == 2
    assert isinstance(late, StateRejected)
    assert (late.reason, late.version, value_of(late)) == ("stale_version", 2, 2)


@pytest.mark.parametrize(
    ("key", "first", "second", "merged", "rule"),
    [
        ("seen.all", [{"id": 2}], [{"id": 1}], [{"id": 1}, {"id": 2}], "union"),
        ("top.price", 7, 5, 7, "max"),
    ],
)
async def test_writes_that_meet_are_merged_by_the_rule_of_their_key(  # drawn
    world: World, key: str, first: object, second: object, merged: object, rule: str
) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)

    await clerk.propose(work, key, first, position="0")
    answer = await clerk.propose(work, key, second, position="1")

    assert isinstance(answer, StateCommitted)
    assert (answer.version, answer.rule, value_of(answer)) == (2, rule, merged)


async def test_what_is_written_once_stays_even_against_its_own_version(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "once.id", "first", position="0")

    answer = await clerk.propose(work, "once.id", "second", base=1, position="1")

    assert isinstance(answer, StateRejected)
    assert (answer.reason, value_of(answer)) == ("written_once", "first")


async def test_values_that_cannot_be_merged_are_rejected(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "top.price", 7, position="0")

    answer = await clerk.propose(work, "top.price", "dear", position="1")

    assert isinstance(answer, StateRejected)
    assert (answer.reason, answer.version) == ("wrong_type", 1)


async def test_the_same_proposal_commits_once_however_often_it_is_asked(world: World) -> None:
    first = await world.supervise(shop())
    clerk, work = await holder(world)

    answers = await asyncio.gather(*(clerk.propose(work, "seen.all", [1], position="5") for _ in range(8)))
    await crash(first)
    await world.supervise(shop())
    later = await clerk.propose(work, "seen.all", [1], position="5")

    assert all(answer == later for answer in answers)
    assert len(await world.entries(subject.state_filter(work.run_id, "seen.all"))) == 1


async def test_many_writers_of_one_key_lose_nothing(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)

    await asyncio.gather(*(clerk.propose(work, "seen.all", [number], position=str(number)) for number in range(30)))
    read = await clerk.read(work, key="seen.all")

    assert isinstance(read, StateRead)
    assert sorted(json.loads(bytes(read.items[0].value))) == list(range(30))
    assert read.items[0].version == 30


@pytest.mark.parametrize(
    ("key", "base", "scope", "code"),
    [
        ("note", 4, "", "RM-213"),
        ("note", 0, "r4711", "RM-213"),
        ("", 0, "", "RM-213"),
        ("k" * 5000, 0, "", "RM-213"),
        ("§" * 300, 0, "", "RM-213"),
    ],
    ids=["a version of the future", "another run's", "no key", "a long key", "a key that is long on the wire"],
)
async def test_a_proposal_that_makes_no_sense_is_refused(
    world: World, key: str, base: int, scope: str, code: str
) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)

    answer = await clerk.propose(work, key, 1, base=base, scope=scope)

    assert isinstance(answer, Refused)
    assert answer.error.code == code
    assert await world.entries("remit.state.>") == []


async def test_a_value_too_large_for_an_entry_is_refused(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)

    answer = await clerk.propose(work, "note", "x" * (1024 * 1024 - 150))

    assert isinstance(answer, Refused)
    assert answer.error.code == "RM-212"


async def test_keys_are_read_together_by_their_prefix(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    for position, key in enumerate(("b.2", "a", "b.1 ü")):
        await clerk.propose(work, key, position, position=str(position))

    some = await clerk.read(work, prefix="b.")
    none = await clerk.read(work, key="c")

    assert isinstance(some, StateRead)
    assert [item.key for item in some.items] == ["b.1 ü", "b.2"]
    assert isinstance(none, StateRead)
    assert (none.items[0].version, bytes(none.items[0].value)) == (0, b"null")


async def test_who_holds_nothing_reads_and_writes_nothing(world: World) -> None:
    supervisor = await world.supervise(shop())
    clerk, work = await holder(world)
    supervisor.agent_gone(clerk.name)
    await clerk.take()

    assert isinstance(await clerk.propose(work, "note", 1), Superseded)
    assert isinstance(await clerk.read(work, key="note"), Superseded)


async def test_state_of_the_team_outlives_the_run(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "note", "for all", scope="team")
    await clerk.complete(work, Sheet())
    await world.outcome(work.run_id)
    await world.submit("order", Order(customer="bob"))

    answer = await clerk.propose(await clerk.hold(), "note", "mine", scope="team")

    assert isinstance(answer, StateRejected)
    assert value_of(answer) == "for all"


async def test_wishes_for_hosts_are_versions_and_the_last_one_stands(world: World) -> None:
    await world.supervise(shop())

    answers = await asyncio.gather(
        *(world.control("scale", ScaleRole(role="clerk", hosts=hosts)) for hosts in (1, 2, 3, 4, 5))
    )
    status = await world.control("status", AskStatus())
    refused = await world.control("scale", ScaleRole(role="clerk", hosts=99))
    unknown = await world.control("scale", ScaleRole(role="cook", hosts=1))

    versions = [decode(StateCommitted, entry.data) for entry in await world.entries("remit.state.team.>")]
    assert [version.version for version in versions] == [1, 2, 3, 4, 5]
    assert value_of(versions[-1]) == world.pools.wishes["clerk"]
    assert all(isinstance(answer, ControlDone) for answer in answers)
    assert isinstance(status, TeamStatus)
    assert {role.role: role.desired for role in status.roles}["clerk"] == value_of(versions[-1])
    assert isinstance(refused, Refused)
    assert isinstance(unknown, Refused)
    assert (refused.error.code, unknown.error.code) == ("RM-211", "RM-209")


async def test_a_verb_that_nobody_knows_and_a_wish_that_is_none_are_refused(world: World) -> None:
    await world.supervise(shop())

    verb = await world.control("dance", AskStatus())
    wish = await world.control("cancel", AskStatus())
    gone = await world.control("cancel", CancelRun(run_id="r99"))

    codes = [answer.error.code for answer in (verb, wish, gone) if isinstance(answer, Refused)]
    assert codes == ["RM-211", "RM-201", "RM-209"]
