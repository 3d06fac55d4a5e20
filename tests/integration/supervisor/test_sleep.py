"""Wishes to sleep that make no sense: they are refused, and the supervisor goes on."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from remit.bus import subject
from remit.contracts.message import decode_any, encode
from remit.contracts.step import Parked, Refused, SleepStep, Superseded
from tests.integration.supervisor.world import holder
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
