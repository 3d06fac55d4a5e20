"""A run is cancelled while its tool runs a long program: a process of its own counts what that still does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from remit.bus.journal import Journal
from remit.bus.submit import TaskClient
from remit.contracts.message import decode
from remit.contracts.task import RunFinished
from tests.acceptance.conftest import REMIT, TEAMS, World, deployed
from tests.alive import gone, lives

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import AsyncIterator
    from pathlib import Path

SOON_S = 30.0
WITHIN_S = 1.0


@pytest.fixture
async def mill(effects: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setenv("EFFECTS_PORT", str(effects))
    async with deployed(TEAMS / "mill", "mill", home=tmp_path, monkeypatch=monkeypatch, effects=effects) as world:
        yield world


async def running(world: World, run: str) -> list[int]:
    """Give the numbers of the program and its child, once both did something."""
    async with asyncio.timeout(SOON_S):
        while len(pids := processes(await world.counted(), run)) < 2:  # the program and its child
            await asyncio.sleep(0.02)  # the effect server is asked
    return pids


def processes(counted: Counter[str], run: str) -> list[int]:
    return [int(name.rsplit(".", 1)[1]) for name in counted if name.startswith(f"process {run}.")]


def effects_of(counted: Counter[str], run: str) -> int:
    return sum(count for name, count in counted.items() if name.startswith(f"effect {run}."))


async def test_a_cancelled_run_does_nothing_more_in_the_world(mill: World) -> None:
    client = TaskClient(mill.publisher)
    given = b'{"goal":"grind","input":{"number":1}}'
    run, other = await client.submit("job", given), await client.submit("job", given)
    pids, others = await running(mill, run), await running(mill, other)

    cancelling = await asyncio.create_subprocess_exec(str(REMIT), "run", "cancel", run)
    assert await asyncio.wait_for(cancelling.wait(), SOON_S) == 0
    await gone(pids, WITHIN_S)

    done = effects_of(await mill.counted(), run)
    others_done = effects_of(await mill.counted(), other)
    async with asyncio.timeout(SOON_S):
        while effects_of(await mill.counted(), other) < others_done + 10:
            await asyncio.sleep(0.02)  # the other one goes on
    assert effects_of(await mill.counted(), run) == done
    assert all(map(lives, others))
    assert decode(RunFinished, await client.outcome(run, SOON_S)).outcome == "stopped"
    calls = [entry.subject async for entry in Journal(mill.operator).read(f"remit.run.{run}.*.call.>")]
    assert [name.rsplit(".", 1)[1] for name in calls] == ["called", "in_doubt"]
