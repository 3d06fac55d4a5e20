"""Another build starts: what it finds out of open runs, and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remit import loader
from remit.builds import keep, kept, settle
from remit.bus import topology
from remit.bus.submit import TaskClient
from remit.contracts.message import encode
from tests.integration.supervisor.world import World, crash

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from remit.bus.connection import Bus
    from remit.loader import Loaded

TEAM = """
from remit import Context, Message, Plan, Role, Team, step

class Ticket(Message, tag="desk.ticket.v1"):
    name: str

class Answer(Message, tag="desk.answer.v1"):
    text: str

class Steady(Role[Ticket, Answer]):
    async def handle(self, work: Ticket, ctx: Context) -> Answer:
        return Answer(text="hello")

plan = Plan(step("first", Steady), step("second", Steady, after="first", message=Ticket(name="again")))
team = Team("desk", roles=[Steady], workflows={"ticket": plan})
"""
CHARTER = """
charter: 1
team: desk
owner: ann@example.org
purpose: Try what another build does.
roles: {steady: {tools: []}}
tools: {}
data_sources: {}
limits: {wall_clock_s: 600, steps: 50}
completion: [{name: done, check: steps_completed}]
review_path: {reviewers: [ann]}
rollback: {procedure: none is needed, tested: true}
"""


def build(path: Path, name: str, *, says: str = "hello") -> Loaded:
    """Give a build of the team."""
    folder = path / name
    folder.mkdir()
    (folder / "team.py").write_text(TEAM.replace("hello", says) + f"# {name}")
    (folder / "charter.yaml").write_text(CHARTER)
    return loader.load(str(folder / "team.py"))


@pytest.fixture
async def world(nats_url: str, bus: Bus) -> AsyncIterator[World]:
    await topology.ensure(bus, ["steady"])
    world = World(nats_url, bus)
    try:
        yield world
    finally:
        await world.close()
    assert world.bugs == []


async def begun(world: World, first: Loaded, data: Path) -> str:
    """Give a run that a build began and whose first step it did, and that nobody serves any more."""
    await settle(world.journal, first, data)
    keep(first, data)
    supervisor = await world.supervise(first.spec())
    run = await TaskClient(world.bus).submit("ticket", encode({"goal": "try", "input": {"name": "ann"}}))
    agent = await world.agent("steady")
    await agent.complete(await agent.hold(), {"type": "desk.answer.v1", "text": "hello"})
    await world.appears(f"remit.run.{run}._.work.steady.second.1")
    await crash(supervisor)
    return run


async def test_a_start_that_came_to_nothing_is_made_again_in_full(world: World, tmp_path: Path) -> None:
    run = await begun(world, build(tmp_path, "a"), tmp_path)
    second = build(tmp_path, "b")

    found = await settle(world.journal, second, tmp_path)
    again = await settle(world.journal, second, tmp_path)  # nothing was started in between
    await world.supervise(second.spec(), again.inheritance)
    after = await settle(world.journal, second, tmp_path)

    assert [bound.run_id for bound in found.inheritance.bindings] == [run]
    assert again == found
    assert after.inheritance.bindings == ()


async def test_a_deployment_that_came_to_nothing_while_another_build_served_is_looked_at_again(
    world: World, tmp_path: Path
) -> None:
    first, second = build(tmp_path, "a"), build(tmp_path, "b")
    await settle(world.journal, second, tmp_path, is_alone=False)  # nothing is open; and then it fails

    run = await begun(world, first, tmp_path / "elsewhere")  # the first one serves on
    found = await settle(world.journal, second, tmp_path, is_alone=False)

    assert [bound.run_id for bound in found.inheritance.bindings] == [run]


async def test_a_run_that_moved_stays_with_the_build_that_it_moved_to(world: World, tmp_path: Path) -> None:
    await begun(world, build(tmp_path, "a"), tmp_path)
    second, third = build(tmp_path, "b"), build(tmp_path, "c", says="good bye")
    moved = await settle(world.journal, second, tmp_path)
    keep(second, tmp_path)
    await crash(await world.supervise(second.spec(), moved.inheritance))

    found = await settle(world.journal, third, tmp_path)

    (bound,) = found.inheritance.bindings
    assert (bound.build, bound.is_older) == (second.spec().build, True)


async def test_a_kept_build_that_cannot_be_loaded_any_more_stops_nobody(world: World, tmp_path: Path) -> None:
    first = build(tmp_path, "a")
    run = await begun(world, first, tmp_path)
    (tmp_path / "builds" / "gone").mkdir()
    (tmp_path / "builds" / "gone" / "BUILD").write_text("sha256:gone")
    (tmp_path / "builds" / "gone" / "team.py").write_text("import what_was_uninstalled")

    found = await settle(world.journal, build(tmp_path, "b"), tmp_path)

    assert set(kept(tmp_path)) == {first.spec().build, "sha256:gone"}
    assert [bound.run_id for bound in found.inheritance.bindings] == [run]
