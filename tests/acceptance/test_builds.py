"""Another build is deployed while 50 runs are in flight: each ends, on the build whose decisions it needs."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

import msgspec

from remit.bus.journal import Journal
from remit.bus.submit import TaskClient
from remit.contracts.message import decode, encode
from remit.contracts.task import RunBound, RunFinished
from tests.acceptance.conftest import REMIT, deployed

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.acceptance.conftest import World

RUNS = 50
TEAM = '''
import os
from pathlib import Path

from remit import Context, Message, Role, Team, tool

BUILD = "A"

class Ticket(Message, tag="desk.ticket.v1"):
    name: str

class Answer(Message, tag="desk.answer.v1"):
    build: str

@tool(risk="low", effect="idempotent")
def note(what: str, *, intent: str) -> None:
    """Note something, once for every line that is there."""
    with Path(os.environ["NOTES"]).open("a") as file:
        file.write(f"{what} {intent}\\n")

class Steady(Role[Ticket, Answer]):
    async def handle(self, work: Ticket, ctx: Context) -> Answer:
        await ctx.call(note, what="before")
        await ctx.review("may it go on?", work.name)
        await ctx.call(note, what="after")
        return Answer(build=BUILD)

class Changed(Role[Ticket, Answer]):
    async def handle(self, work: Ticket, ctx: Context) -> Answer:
        await ctx.call(note, what="before")
        await ctx.sleep(1.5)
        await ctx.call(note, what="after")
        return Answer(build=BUILD)

team = Team("desk", roles=[Steady, Changed], tools=[note], workflows={"steady": Steady, "changed": Changed})
'''
CHARTER = """
charter: 1
team: desk
owner: ann@example.org
purpose: Try what another build does.
roles:
  steady: {tools: [note]}
  changed: {tools: [note]}
tools:
  note: {risk: low, review: none}
data_sources: {}
limits: {wall_clock_s: 600, steps: 50}
completion:
  - {name: done, check: steps_completed}
review_path: {reviewers: [ann]}
rollback: {procedure: none is needed, tested: true}
"""
LATER = TEAM.replace('BUILD = "A"', 'BUILD = "B"').replace(
    'await ctx.call(note, what="before")\n        await ctx.sleep',
    'await ctx.call(note, what="other")\n        await ctx.sleep',
)
BROKEN = LATER.replace("    name: str\n", "    name: str\n    number: int\n")


async def test_fifty_runs_in_flight_end_on_the_build_that_they_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, notes = tmp_path / "desk", tmp_path / "notes"
    monkeypatch.setenv("NOTES", str(notes))
    _write(folder, TEAM)
    async with deployed(folder, "desk", home=tmp_path, monkeypatch=monkeypatch) as world:
        runs = await _submit(world, RUNS)
        await _parked(world, RUNS)

    _write(folder, BROKEN)
    refused = await asyncio.to_thread(_up, folder)
    _write(folder, LATER)
    async with deployed(folder, "desk", home=tmp_path, monkeypatch=monkeypatch) as world:
        await asyncio.to_thread(_approve_all)
        ended = {run: await _outcome(world, run) for run in runs}
        new = await _outcome(world, (await _submit(world, 1))[0], approve=True)
        bound = [decode(RunBound, entry) for entry in await _bound(world)]

    assert refused.returncode == 1
    assert b"RM-607 this build cannot go on with 50 open runs: r1 at step " in refused.stderr
    assert b"number" in refused.stderr
    assert {finished.outcome for finished in ended.values()} == {"complete"}
    said = [(run, msgspec.json.decode(finished.result)["build"]) for run, finished in ended.items()]
    assert [build for _run, build in said] == ["B", "A"] * (RUNS // 2)
    assert msgspec.json.decode(new.result)["build"] == "B"
    assert sorted(item.is_older for item in bound) == [False] * (RUNS // 2) + [True] * (RUNS // 2)
    lines = notes.read_text().splitlines()
    assert len(lines) == len(set(lines)) == 2 * RUNS + 2


def _write(folder: Path, team: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "team.py").write_text(team)
    (folder / "charter.yaml").write_text(CHARTER)


def _up(folder: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([str(REMIT), "up", str(folder), "--port", "0"], check=False, capture_output=True, timeout=60)


def _approve_all() -> None:
    listed = subprocess.run([str(REMIT), "review", "list", "--output", "json"], check=True, capture_output=True)
    for item in msgspec.json.decode(listed.stdout):
        subprocess.run([str(REMIT), "review", "approve", item["review"]], check=True, capture_output=True)


async def _submit(world: World, count: int) -> list[str]:
    client = TaskClient(world.publisher)
    workflows = ("steady", "changed")
    return [
        await client.submit(workflows[number % 2], encode({"goal": "try it", "input": {"name": f"n{number}"}}))
        for number in range(count)
    ]


async def _parked(world: World, count: int) -> None:
    """Every run waits: for a person, or for its time."""
    async with asyncio.timeout(60):
        while (await world.status()).open_runs < count or any(role.busy for role in (await world.status()).roles):
            await asyncio.sleep(0.05)


async def _outcome(world: World, run: str, *, approve: bool = False) -> RunFinished:
    client = TaskClient(world.publisher)
    if approve:
        async with asyncio.timeout(60):
            while not (await world.status()).parked_runs:
                await asyncio.sleep(0.05)
        await asyncio.to_thread(_approve_all)
    return decode(RunFinished, await client.outcome(run, 60))


async def _bound(world: World) -> list[bytes]:
    return [entry.data async for entry in Journal(world.operator).read("remit.run.*._.*.bound")]
