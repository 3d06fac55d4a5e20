"""Agents of one process: they start once, beat, drain in good order, and outlive an outage of the bus."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import pytest

from remit.agents.host import Host
from remit.bus.embedded import EmbeddedServer
from remit.bus.identity import Credentials
from remit.contracts.errors import BusUnavailableError, CredentialsRefusedError
from tests.integration.agents.world import Done, Job, World, soon

if TYPE_CHECKING:
    from pathlib import Path

    from remit.agents.context import Context
    from remit.contracts.control import Heartbeat


async def echo(work: Job, _ctx: Context) -> Done:
    return Done(text=work.text)


async def beat(world: World, *, state: str = "ready") -> Heartbeat:
    """Give the next heartbeat in a state."""
    while (found := await soon(world.beats.get())).state != state:
        pass
    return found


async def test_an_agent_is_heard_when_it_starts_every_second_and_when_it_drains(world: World) -> None:
    await world.supervisor()
    spec = world.spec(world.role(echo), slots=7)
    host = await world.host(spec)

    first, second = await beat(world), await beat(world)
    await host.drain(deadline_s=1)
    last = await beat(world, state="draining")

    assert {item.agent for item in (first, second, last)} == {spec.agent}
    assert (first.role, first.host, first.slots, first.busy) == ("probe", "host-0", 7, 0)


async def test_ensure_starts_what_is_missing_and_leaves_the_rest_alone(world: World) -> None:
    await world.supervisor()
    first, second = world.spec(world.role(echo)), world.spec(world.role(echo))
    host = await world.host(first)

    await host.ensure([first])
    await asyncio.gather(host.ensure([first, second]), host.ensure([second, first]))

    assert [agent.agent for agent in host.describe().agents] == [first.agent, second.agent]


async def test_an_agent_whom_the_server_does_not_know_does_not_start(world: World) -> None:
    spec = world.spec(world.role(echo))
    other = world.spec(world.role(echo))
    assert spec.credentials is not None
    assert other.credentials is not None
    stolen = Credentials(jwt=spec.credentials.jwt, seed=other.credentials.seed)
    host = Host("host-0", world.server.url, on_bug=world.bugs.append)

    with pytest.raises(CredentialsRefusedError):
        await host.ensure([dataclasses.replace(spec, credentials=stolen)])

    assert host.describe().agents == ()


async def test_a_host_says_when_nobody_answers_at_its_url(world: World) -> None:
    host = Host("host-0", "nats://127.0.0.1:1", on_bug=world.bugs.append)

    with pytest.raises(BusUnavailableError):
        await host.ensure([world.spec(world.role(echo))])

    assert host.describe().agents == ()


async def test_a_drain_lets_running_steps_end(world: World) -> None:
    await world.supervisor()
    go_on = asyncio.Event()

    async def wait(_work: Job, _ctx: Context) -> Done:
        await go_on.wait()
        return Done(text="ended")

    host = await world.serve(wait)
    await world.dispatch()
    await soon(world.claims.get())

    draining = asyncio.create_task(host.drain(deadline_s=10))
    await beat(world, state="draining")
    await world.dispatch("r2")
    go_on.set()
    await soon(draining)

    assert (await world.completed()).run_id == "r1"
    assert not world.has_outcome
    assert host.describe().agents == ()


async def test_what_is_not_done_by_the_deadline_of_a_drain_goes_to_another_host_at_once(world: World) -> None:
    started = asyncio.Event()

    async def hang(_work: Job, _ctx: Context) -> Done:
        started.set()
        await asyncio.Event().wait()
        return Done()

    host = await world.serve(hang)  # nobody grants a lease: the delivery is still in its hands
    await world.dispatch()
    await soon(started.wait())
    await soon(host.drain(deadline_s=0.1))
    assert not world.has_outcome

    await world.supervisor()
    other = await world.serve(echo)

    assert (await world.completed()).run_id == "r1"
    assert world.claims.get_nowait()[0] == other.describe().agents[0].agent


async def test_only_the_named_roles_are_drained(world: World) -> None:
    await world.supervisor()
    host = await world.serve(echo)

    await host.drain(["critic"], deadline_s=1)
    await world.dispatch()

    await world.completed()
    assert len(host.describe().agents) == 1


async def test_work_goes_on_when_the_bus_was_away(
    tmp_path: Path, world: World, embedded_server: EmbeddedServer
) -> None:
    await world.supervisor()
    go_on = asyncio.Event()

    async def wait(_work: Job, ctx: Context) -> Done:
        said = await ctx.step("before", lambda: "before", returns=str)
        await go_on.wait()
        return Done(text=said + await ctx.step("after", lambda: "after", returns=str))

    await world.serve(wait)
    await world.dispatch()
    await world.until(lambda: world.recorded["r1", "s"])

    embedded_server.stop()
    go_on.set()
    with EmbeddedServer.start(tmp_path / "data") as again:
        assert again.port == embedded_server.port
        assert b"beforeafter" in bytes((await world.completed()).reply)
        await world.dispatch("r2")
        assert (await world.completed()).run_id == "r2"
        await world.close()


async def test_an_agent_that_the_server_ends_leaves_its_host_and_its_slots(world: World) -> None:
    await world.supervisor()
    ended: list[str] = []

    async def hang(_work: Job, ctx: Context) -> Done:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(ctx.run_id)
        return Done()

    spec = world.spec(world.role(hang), valid_s=2)
    host = await world.host(spec)
    await world.dispatch()
    await soon(world.claims.get())

    await world.until(lambda: not host.describe().agents)
    await world.until(lambda: ended)

    assert not world.has_outcome


async def test_a_bug_of_ours_is_told_and_not_swallowed(world: World) -> None:
    await world.supervisor()
    spec = world.spec(world.role(echo))
    host = await world.host(spec)
    del host._agents[spec.agent]._asker.agent  # what our own code takes for granted

    await world.dispatch()
    await world.until(lambda: world.bugs)

    assert [type(bug) for bug in world.bugs] == [AttributeError]
    world.bugs.clear()
