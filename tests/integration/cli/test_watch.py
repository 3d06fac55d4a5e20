"""A run is followed entry by entry, from its beginning, until it ends or rests on a person; an outage is sat out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from remit.history import History
from remit.watch import follow

if TYPE_CHECKING:
    from tests.conftest import NatsServer
    from tests.integration.cli.conftest import Deployment


async def kinds(deployment: Deployment, run: str, *, stops_when_parked: bool = False) -> list[str]:
    followed = follow(deployment.client, History(run), stops_when_parked=stops_when_parked)
    return [entry.subject.removeprefix(f"remit.run.{run}.") async for entry in followed]


async def test_what_is_stored_before_and_while_somebody_follows_is_seen_once(deployment: Deployment) -> None:
    run = await deployment.started("x")
    following = asyncio.create_task(kinds(deployment, run))
    await deployment.opened(run)
    await deployment.decided(run)
    await deployment.finished(run)

    async with asyncio.timeout(10):
        assert await following == [
            "_.work.clerk.ticket.1",
            "_.1.review_opened",
            "_.2.review_decided",
            "_.9.finished",
        ]


async def test_following_ends_when_only_a_person_can_carry_the_run_on(deployment: Deployment) -> None:
    run = await deployment.started("x")
    await deployment.opened(run)

    async with asyncio.timeout(10):
        assert await kinds(deployment, run, stops_when_parked=True) == ["_.work.clerk.ticket.1", "_.1.review_opened"]


async def test_an_outage_of_the_bus_is_sat_out(deployment: Deployment, nats_server: NatsServer) -> None:
    run = await deployment.started("x")
    following = asyncio.create_task(kinds(deployment, run))
    back = asyncio.Event()
    deployment.bus.when_reconnected(back.set)

    nats_server.kill()
    await nats_server.start()
    await back.wait()
    await deployment.finished(run)

    async with asyncio.timeout(20):
        assert await following == ["_.work.clerk.ticket.1", "_.9.finished"]
