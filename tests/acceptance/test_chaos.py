"""Processes are killed while runs are in flight; a process of its own counts what happened in the world."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
import psutil
import pytest

from remit.bus.journal import Journal
from remit.bus.submit import TaskClient
from remit.contracts.control import ControlDone, DecideReview
from remit.contracts.errors import RemitError
from remit.contracts.message import decode, decode_any, encode
from remit.contracts.review import ReviewOpened
from remit.contracts.step import Refused
from remit.contracts.task import RunFinished

if TYPE_CHECKING:
    from remit.bus.connection import Bus
    from tests.acceptance.conftest import World

RUNS = int(os.environ.get("CHAOS_RUNS", "60"))
KILLS = int(os.environ.get("CHAOS_KILLS", "3"))
KINDS = ("HostActor", "GatewayActor", "SupervisorActor")
FROZEN_S = 8.0


async def kill_in_turn(world: World, kills: int, seed: int) -> Counter[str]:
    """Kill one process of each kind, again and again, whenever one of that kind is there."""
    dice, killed = random.Random(seed), Counter[str]()  # noqa: S311  # the same deaths every time
    while any(killed[kind] < kills for kind in KINDS):
        kind = dice.choice([kind for kind in KINDS if killed[kind] < kills])
        victims = world.processes(kind)
        if victims:
            with suppress(psutil.NoSuchProcess):
                dice.choice(victims).kill()
                killed[kind] += 1
        await asyncio.sleep(dice.uniform(0.2, 0.8))
    return killed


async def freeze_one_host(world: World) -> None:
    """Stop a host past its lease, then let it go on."""
    victim = world.processes("HostActor")[0]
    victim.suspend()
    await asyncio.sleep(FROZEN_S)
    with suppress(psutil.NoSuchProcess):
        victim.resume()


async def settle_doubts(operator: Bus, counted: Counter[str]) -> set[str]:
    """Decide every open doubt as the world was seen: what rang is done, what did not ring is done again."""
    doubts = set()
    async for entry in Journal(operator).read("remit.run.*._.*.review_opened"):
        opened = decode(ReviewOpened, entry.data)
        rang = counted[f"ring {opened.run_id}.{opened.step}.{opened.position}"]
        assert rang <= 1
        doubts.add(opened.run_id)
        decision = DecideReview(
            review_id=opened.review_id,
            subject=opened.subject,
            decision="approved",
            resolution="done" if rang else "again",
            value=msgspec.Raw(b'"rang"'),
            by="the test",
        )
        answer = (await operator.request("remit.ctl.decide.operator", encode(decision))).data
        decided: ControlDone | Refused = decode_any(ControlDone | Refused, answer)
        assert isinstance(decided, ControlDone) or decided.error.code in {"RM-210", "RM-209"}
    return doubts


async def outcomes(tasks: TaskClient, operator: Bus, world: World, runs: list[str]) -> list[RunFinished]:
    """Await every outcome, deciding doubts meanwhile."""
    waiting = [asyncio.create_task(tasks.outcome(run, 300)) for run in runs]
    while not all(task.done() for task in waiting):
        await asyncio.wait(waiting, timeout=2)
        with suppress(RemitError):  # the supervisor may be dead just now: asked again in two seconds
            await settle_doubts(operator, await world.counted())
    return [decode(RunFinished, task.result()) for task in waiting]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_runs_survive_killed_and_frozen_processes_and_no_effect_happens_twice(world: World) -> None:
    operator, tasks = world.operator, TaskClient(world.publisher)

    async def submit(number: int) -> str:
        return await tasks.submit("job", encode({"goal": "once", "input": {"number": number}}))

    runs = [await submit(number) for number in range(RUNS)]
    freezing = asyncio.create_task(freeze_one_host(world))
    killing = asyncio.create_task(kill_in_turn(world, KILLS, seed=RUNS))
    late: list[str] = []
    while not killing.done():  # so that there is something in flight at every kill
        late.append(await submit(RUNS + len(late)))
        await asyncio.sleep(0.2)
    finished = await outcomes(tasks, operator, world, runs + late)
    await freezing
    counted = await world.counted()

    assert Counter(item.outcome for item in finished) == {"complete": len(runs) + len(late)}
    for kind, position in (("put", 1), ("book", 2), ("ring", 3)):
        keys = {f"{kind} {run}.job.{position}" for run in runs + late}
        assert {key: counted[key] for key in keys} == dict.fromkeys(keys, 1)
    in_doubt = {entry.subject.split(".")[2] async for entry in Journal(operator).read("remit.run.*.*.call.*.in_doubt")}
    opened = {entry.subject.split(".")[2] async for entry in Journal(operator).read("remit.run.*._.*.review_opened")}
    assert in_doubt == opened
    assert killing.result() == dict.fromkeys(KINDS, KILLS)
