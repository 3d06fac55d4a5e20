"""Processes are killed while runs are in flight; a process of its own counts what happened in the world."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psutil
import pytest

from remit import places
from remit.bus.connection import Bus
from remit.bus.identity import Credentials
from remit.bus.journal import Journal
from remit.bus.submit import TaskClient
from remit.contracts.control import AskStatus, ControlDone, DecideReview, TeamStatus
from remit.contracts.message import decode, decode_any, encode
from remit.contracts.review import ReviewOpened
from remit.contracts.step import Refused
from remit.contracts.task import RunFinished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HERE = Path(__file__).parent / "teams"
RUNS = int(os.environ.get("CHAOS_RUNS", "60"))
KILLS = int(os.environ.get("CHAOS_KILLS", "3"))
KINDS = ("HostActor", "GatewayActor", "SupervisorActor")
FROZEN_S = 8.0
START_S = 120.0


class World:
    """A deployment and an effect server, both in processes of their own."""

    def __init__(self, serving: asyncio.subprocess.Process, place: places.Place, effects: int) -> None:
        self.serving = serving
        self.place = place
        self.effects = effects

    async def bus(self, name: str, credentials: str) -> Bus:
        return await Bus.connect(self.place.url, name=name, credentials=Credentials.read(Path(credentials)))

    def processes(self, kind: str) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.serving.pid).children(recursive=True):
            with suppress(psutil.Error):
                if " ".join(child.cmdline()).startswith(f"ray::{kind}"):
                    found.append(child)
        return found

    async def counted(self) -> Counter[str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.effects)
        writer.write(b"all - -\n")
        lines = (await reader.read()).decode().splitlines()
        writer.close()
        return Counter({name: int(count) for count, _, name in (line.partition(" ") for line in lines)})

    async def ready(self, operator: Bus) -> None:
        async with asyncio.timeout(START_S):
            while not is_ready(await self.status(operator)):
                await asyncio.sleep(0.1)

    async def status(self, operator: Bus) -> TeamStatus:
        return decode(TeamStatus, (await operator.request("remit.ctl.status.operator", encode(AskStatus()))).data)


def is_ready(status: TeamStatus) -> bool:
    return bool(status.gateways) and all(role.ready >= role.desired for role in status.roles)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setenv(places.HOME, str(tmp_path))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    pipe = asyncio.subprocess.PIPE
    effects = await asyncio.create_subprocess_exec(sys.executable, str(HERE / "chaos" / "effects.py"), stdout=pipe)
    assert effects.stdout is not None
    port = int(await effects.stdout.readline())
    serving = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "serve.py"),
        str(HERE / "chaos"),
        stdin=pipe,
        stdout=pipe,
        env={**os.environ, "EFFECTS_PORT": str(port)},
    )
    assert serving.stdout is not None
    assert serving.stdin is not None
    try:
        line = await asyncio.wait_for(serving.stdout.readline(), START_S)
        assert line == b"ready\n"
        yield World(serving, places.read("chaos"), port)
    finally:
        serving.stdin.close()
        await asyncio.wait_for(serving.wait(), 60)
        effects.terminate()
        await effects.wait()


async def kill_in_turn(world: World, kills: int, seed: int) -> Counter[str]:
    """Kill one process of each kind, again and again, whenever one of that kind is there."""
    dice, killed = random.Random(seed), Counter[str]()
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
        with suppress(Exception):  # the supervisor may be dead just now: asked again in two seconds
            await settle_doubts(operator, await world.counted())
    return [decode(RunFinished, task.result()) for task in waiting]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_runs_survive_killed_and_frozen_processes_and_no_effect_happens_twice(world: World) -> None:
    operator = await world.bus("operator", world.place.operator)
    publisher = await world.bus("publisher", world.place.publisher)
    tasks = TaskClient(publisher)
    await world.ready(operator)

    async def submit(number: int) -> str:
        return await tasks.submit("job", encode({"goal": "once", "input": {"number": number}}))

    runs = [await submit(number) for number in range(RUNS)]
    freezing = asyncio.create_task(freeze_one_host(world))
    killing = asyncio.create_task(kill_in_turn(world, KILLS, seed=RUNS))
    late = []
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
    await publisher.close()
    await operator.close()
