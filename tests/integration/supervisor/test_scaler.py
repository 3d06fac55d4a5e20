"""Pools are scaled by what the server says of their work; operators pin them and give them back; all is journaled."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from remit.contracts.control import AUTO_HOSTS, AskStatus, ControlDone, ReleaseRole, ScaleRole, TeamStatus
from remit.contracts.message import decode
from remit.contracts.pool import Pool
from remit.contracts.proposal import StateCommitted
from remit.contracts.step import Refused
from remit.supervisor import scaler, wishes
from remit.supervisor.wishes import change_of
from tests.integration.supervisor.agent import SOON_S
from tests.integration.supervisor.world import crash, value_of
from tests.teams import ROLES, Order, shop

if TYPE_CHECKING:
    from remit.contracts.control import RoleStatus
    from remit.contracts.pool import PoolChanged
    from remit.contracts.team import TeamSpec
    from tests.integration.supervisor.world import World

ORDER = Order(customer="ann")


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaler, "LOOK_S", 0.05)


def team(pool: Pool) -> TeamSpec:
    clerk = replace(ROLES["clerk"], pool=pool.first, pool_max=pool.max, sizing=pool)
    return shop(roles=ROLES | {"clerk": clerk})


async def clerks(world: World) -> RoleStatus:
    said = await world.control("status", AskStatus())
    assert isinstance(said, TeamStatus)
    return next(role for role in said.roles if role.role == "clerk")


async def history(world: World) -> list[PoolChanged]:
    found = await world.entries("remit.state.team.>")
    changes = [change_of(value_of(decode(StateCommitted, entry.data))) for entry in found]
    return [change for change in changes if change is not None]


async def wished(world: World, hosts: int) -> None:
    async with asyncio.timeout(SOON_S):
        while world.pools.wishes.get("clerk") != hosts:
            await asyncio.sleep(0.01)


async def test_first_work_wakes_a_pool_and_the_journal_says_why(world: World) -> None:
    await world.supervise(team(Pool(min=0, max=4, idle_s=600)))
    before = await clerks(world)

    for _ in range(3):
        await world.submit("order", ORDER)
    await wished(world, 1)
    after, changes = await clerks(world), await history(world)

    assert (before.mode, before.desired, before.why) == ("scaled", 2, "the team's file")
    assert (after.mode, after.least, after.most) == ("scaled", 0, 4)
    assert after.why.startswith("first work: ")
    assert [(change.hosts, change.was, change.by, change.is_pinned) for change in changes] == [
        (1, 0, "supervisor", False)
    ]
    assert changes[0].waiting >= 1


async def test_work_that_waits_too_long_grows_a_pool_by_what_the_server_says_of_it(world: World) -> None:
    await world.supervise(team(Pool(min=1, max=8, wait_s=0.1)))

    for _ in range(50):
        await world.submit("order", ORDER)
    await wished(world, 2)
    (change,) = await history(world)

    assert change.waiting == 50
    assert change.oldest_wait_s > 2
    assert "more than wait_s=0.1" in change.reason


async def test_a_wish_pins_a_pool_until_it_is_given_back(world: World) -> None:
    await world.supervise(team(Pool(min=0, max=4)))

    pinned = await world.control("scale", ScaleRole(role="clerk", hosts=0))
    await world.submit("order", ORDER)
    await asyncio.sleep(0.5)  # several looks
    held = await clerks(world)
    given_back = await world.control("scale", ScaleRole(role="clerk", hosts=AUTO_HOSTS))
    await wished(world, 1)

    assert pinned == ControlDone(detail="clerk wants 0 hosts")
    assert (held.mode, held.why) == ("pinned", "wished by ann")
    assert given_back == ControlDone(detail="clerk is scaled between 0 and 4 hosts")
    assert [(change.by, change.hosts, change.is_pinned) for change in await history(world)] == [
        ("ann", 0, True),
        ("ann", 0, False),
        ("supervisor", 1, False),
    ]


async def test_the_next_supervisor_takes_up_what_was_decided_and_what_was_wished(world: World) -> None:
    spec = team(Pool(min=0, max=4, idle_s=600))
    first = await world.supervise(spec)
    await world.submit("order", ORDER)
    await wished(world, 1)
    await world.control("scale", ScaleRole(role="packer", hosts=5))
    await crash(first)

    second = await world.supervise(spec)
    changes = wishes.changes(second.arbiter.values("team"))
    said = await clerks(world)

    assert wishes.hosts(spec.roles, changes) == {"clerk": 1, "packer": 5, "auditor": 2, "shipper": 2, "judge": 2}
    assert said.why.startswith("first work: ")


async def test_a_pool_of_a_fixed_number_goes_back_to_the_team_s_file(world: World) -> None:
    await world.supervise(shop())

    await world.control("scale", ScaleRole(role="clerk", hosts=7))
    answer = await world.control("scale", ScaleRole(role="clerk", hosts=AUTO_HOSTS))
    said = await clerks(world)

    assert answer == ControlDone(detail="clerk has the 2 hosts of the team's file")
    assert (world.pools.wishes["clerk"], said.mode) == (2, "fixed")


async def test_nothing_is_released_where_nothing_is_quarantined(world: World) -> None:
    await world.supervise(shop())

    refused = await world.control("release", ReleaseRole(role="clerk"))
    world.pools.quarantined = 2
    done = await world.control("release", ReleaseRole(role="clerk"))

    assert isinstance(refused, Refused)
    assert refused.error.code == "RM-210"
    assert done == ControlDone(detail="2 hosts of clerk start again")
    assert [change.reason for change in await history(world)] == ["ann released 2 hosts from quarantine"]


def test_an_old_wish_is_a_number_and_what_is_none_was_never_wished() -> None:
    values = {"pool.clerk": 3, "pool.packer": "many", "pool.cook": None, "other": 4}

    changes = wishes.changes(values)

    assert {role: (change.hosts, change.is_pinned) for role, change in changes.items()} == {"clerk": (3, True)}
