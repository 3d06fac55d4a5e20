"""Wishes to sleep that make no sense: they are refused, and the supervisor goes on."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from remit.bus import subject
from remit.contracts.control import CancelRun
from remit.contracts.message import decode_any, encode
from remit.contracts.step import Parked, Refused, SleepStep, Superseded
from tests.integration.supervisor.world import holder, now
from tests.teams import shop

if TYPE_CHECKING:
    from remit.contracts.step import RunStep
    from tests.integration.supervisor.agent import Agent
    from tests.integration.supervisor.world import World


def wish(step: RunStep, until_at: datetime) -> bytes:
    return encode(SleepStep(run_id=step.run_id, step=step.step, epoch=step.epoch, position="0", until_at=until_at))


async def ask(agent: Agent, body: bytes) -> object:
    answer = await agent.bus.request(subject.sleep(agent.name), body)
    return decode_any(Parked | Refused | Superseded, answer.data)


@pytest.mark.parametrize("year", [1970, 2999])
async def test_a_time_without_its_zone_is_refused(world: World, year: int) -> None:
    await world.supervise(shop())
    clerk, step = await holder(world)

    answer = await ask(clerk, wish(step, datetime(year, 1, 1)))  # noqa: DTZ001  # that is what is tried

    assert isinstance(answer, Refused)
    assert (answer.error.code, answer.error.where) == ("RM-201", "$.until_at")


async def test_a_step_of_a_run_that_has_just_ended_is_not_parked(world: World) -> None:
    supervisor = await world.supervise(shop())
    clerk, step = await holder(world)
    run = supervisor.runs.get(step.run_id)
    assert run is not None

    async with run.lock:  # both wait for it, in this order
        ending = asyncio.create_task(world.control("cancel", CancelRun(run_id=step.run_id)))
        await _waiters(run.lock, 1)
        sleeping = asyncio.create_task(ask(clerk, wish(step, now() + timedelta(seconds=20))))
        await _waiters(run.lock, 2)
    await ending

    assert isinstance(await sleeping, Superseded)
    assert (await world.lane(step.run_id))[-1] == "finished"


async def _waiters(lock: asyncio.Lock, count: int) -> None:
    async with asyncio.timeout(5):
        while len(lock._waiters or ()) < count:  # nothing public tells
            await asyncio.sleep(0.01)  # a request is on its way
