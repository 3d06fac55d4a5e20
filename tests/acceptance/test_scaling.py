"""Pools are scaled, and the server goes away, while runs are in flight."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import psutil
import pytest

from remit.bus.submit import TaskClient
from remit.contracts.control import ControlDone, ScaleRole
from remit.contracts.message import decode, encode
from remit.contracts.task import RunFinished
from tests.acceptance.conftest import TEAMS, deployed

if TYPE_CHECKING:
    from pathlib import Path

    from remit.contracts.control import RoleStatus
    from tests.acceptance.conftest import World

OUTAGE_S = float(os.environ.get("OUTAGE_S", "6"))

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(300)]


async def submit(tasks: TaskClient, number: int, workflow: str = "quick") -> str:
    return await tasks.submit(workflow, encode({"goal": "once", "input": {"number": number}}))


async def scaled(world: World, hosts: int, *, role: str = "runner") -> None:
    """The wish is journaled, and the pool is as wished."""
    answer = await world.operator.request(
        "remit.ctl.scale.operator", encode(ScaleRole(role=role, hosts=hosts)), timeout_s=30
    )
    decode(ControlDone, answer.data)
    async with asyncio.timeout(90):
        while True:
            status = await world.status()
            pool = next(item for item in status.roles if item.role == role)
            if pool.ready == hosts == pool.desired:
                return
            await asyncio.sleep(0.1)


async def test_scaling_up_down_and_to_nothing_under_load_loses_and_repeats_nothing(world: World) -> None:
    tasks = TaskClient(world.publisher)
    runs: list[str] = []
    is_over = asyncio.Event()

    async def load() -> None:
        while not is_over.is_set():
            runs.append(await submit(tasks, len(runs)))
            await asyncio.sleep(0.02)

    loading = asyncio.create_task(load())
    for hosts in (1, 4, 0):
        await scaled(world, hosts)
    held = len(runs)
    await asyncio.sleep(1)
    status = await world.status()
    await scaled(world, 2)
    is_over.set()
    await loading
    finished = [decode(RunFinished, await tasks.outcome(run, 120)) for run in runs]
    counted = await world.counted()

    assert next(role for role in status.roles if role.role == "runner").backlog > 0
    assert len(runs) > held
    assert Counter(item.outcome for item in finished) == {"complete": len(runs)}
    keys = [f"put {run}.quick.0" for run in runs]
    assert {key: counted[key] for key in keys} == dict.fromkeys(keys, 1)


async def napper(world: World) -> RoleStatus:
    return next(role for role in (await world.status()).roles if role.role == "napper")


async def test_a_pool_wakes_for_work_replaces_its_old_host_without_a_failure_and_is_let_go(world: World) -> None:
    """A step has one attempt: whatever was lost with a host would fail its run."""
    tasks = TaskClient(world.publisher)
    pids: list[int] = []
    before = await napper(world)

    async with asyncio.timeout(90):
        while len(set(pids)) < 2:  # another host has taken its place
            runs = [await submit(tasks, number, "nap") for number in range(5)]
            finished = [decode(RunFinished, await tasks.outcome(run, 60)) for run in runs]
            assert {item.outcome for item in finished} == {"complete"}
            pids += [msgspec.json.decode(item.result)["number"] for item in finished]
        awake = await napper(world)
        while (asleep := await napper(world)).ready or asleep.desired:
            await asyncio.sleep(0.2)

    assert (before.mode, before.desired, before.why) == ("scaled", 0, "the team's file")
    assert (awake.desired, awake.why.split(":")[0]) == (1, "first work")
    assert asleep.why.startswith("nothing waited or ran for")


async def test_a_server_that_goes_away_and_comes_back_costs_time_and_nothing_else(world: World) -> None:
    tasks = TaskClient(world.publisher)
    runs = [await submit(tasks, number) for number in range(50)]
    server = next(child for child in psutil.Process(world.serving.pid).children() if "nats-server" in child.name())

    server.suspend()
    await asyncio.sleep(OUTAGE_S)
    server.resume()
    after_outage = [await submit(tasks, number) for number in range(50)]
    server.kill()
    await asyncio.to_thread(server.wait, 30)
    finished = [decode(RunFinished, await tasks.outcome(run, 120)) for run in runs + after_outage]
    counted = await world.counted()

    assert Counter(item.outcome for item in finished) == {"complete": 100}
    keys = [f"put {run}.quick.0" for run in runs + after_outage]
    assert {key: counted[key] for key in keys} == dict.fromkeys(keys, 1)


async def test_a_step_whose_tool_failed_is_tried_again_without_repeating_what_went_well(world: World) -> None:
    tasks = TaskClient(world.publisher)

    run = await tasks.submit("stumble", encode({"goal": "once", "input": {"number": 1}}))
    finished = decode(RunFinished, await tasks.outcome(run, 60))
    counted = await world.counted()

    assert finished.outcome == "complete"
    assert counted[f"put {run}.stumble.0"] == 1
    assert counted[f"stumble {run}.stumble.1"] == 2


async def test_what_starts_beside_the_supervisor_serves_and_what_is_not_wished_any_more_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EFFECTS_PORT", "1")
    async with deployed(TEAMS / "chaos", "chaos", home=tmp_path, monkeypatch=monkeypatch) as first:
        at_first = {kind: len(first.processes(kind)) for kind in ("HostActor", "GatewayActor")}
        for role in ("runner", "stumbler", "worker"):
            await scaled(first, 1, role=role)
    async with deployed(TEAMS / "chaos", "chaos", home=tmp_path, monkeypatch=monkeypatch) as then:
        async with asyncio.timeout(30):
            while len(then.processes("HostActor")) > 1:
                await asyncio.sleep(0.1)
        await asyncio.sleep(1.0)  # two looks of the supervisor: what it had to replace would be there by now
        afterwards = {kind: len(then.processes(kind)) for kind in ("HostActor", "GatewayActor")}

    assert at_first == {"HostActor": 2, "GatewayActor": 1}
    assert afterwards == {"HostActor": 1, "GatewayActor": 1}
