"""A host as a Ray actor: keys are made in it and stay there, and its death is noticed at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
import ray
from ray.exceptions import ActorDiedError

from remit.agents.actor import HostActor, HostSpec
from remit.bus.permission import agent_permissions
from remit.contracts.errors import NotFoundError
from tests.integration.agents.world import World, soon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ray.actor import ActorHandle

    from remit.agents.host import HostReport

pytestmark = [pytest.mark.ray, pytest.mark.slow]

TEAM = '''
"""A team in a file, as a host loads it."""

import os
from remit.agents.role import Role
from remit.contracts.message import Message


class Job(Message, tag="probe.job.v1"):
    text: str = ""


class Done(Message, tag="probe.done.v1"):
    text: str = ""


class Probe(Role[Job, Done]):
    async def handle(self, work, ctx):
        if work.text == "die":
            os._exit(9)
        return Done(text=await ctx.step("pid", lambda: str(os.getpid()), returns=str))


def load(team_ref):
    return {"probe": Probe}
'''


@pytest.fixture(scope="module")
def team_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("team")
    (folder / "probe_team.py").write_text(TEAM)
    return folder


@pytest.fixture(scope="module")
def ray_cluster(team_folder: Path) -> Iterator[None]:
    ray.init(
        address="local",
        num_cpus=2,
        _node_ip_address="127.0.0.1",
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": str(team_folder)}},
    )
    sys.path.insert(0, str(team_folder))
    yield
    sys.path.remove(str(team_folder))
    ray.shutdown()


@pytest.fixture
def actor(ray_cluster: None) -> Iterator[ActorHandle[HostActor]]:
    actor = HostActor.remote()
    yield actor
    ray.kill(actor)


async def spec_of(world: World, actor: ActorHandle[HostActor]) -> HostSpec:
    """Give the spec of a host with one agent, whose key it made."""
    import probe_team

    keys = await actor.keys.remote(["probe"])
    return HostSpec(
        host="host-0",
        url=world.server.url,
        jwts={
            agent: world.server.authority.user_jwt(
                public, name=agent, permissions=agent_permissions(role, agent, tools=[], asks=[])
            )
            for role, (agent, public) in keys.items()
        },
        team_ref="probe_team",
        load=probe_team.load,
        slots={"probe": 4},
    )


async def test_a_host_actor_works_under_a_key_that_never_left_it(world: World, actor: ActorHandle[HostActor]) -> None:
    await world.supervisor()
    spec = await spec_of(world, actor)
    await actor.ensure.remote(spec)
    await actor.ensure.remote(spec)

    await world.dispatch()
    done = await world.completed()
    report: HostReport = await actor.describe.remote()

    assert str(report.pid).encode() in bytes(done.reply)
    assert report.pid != os.getpid()
    assert [(item.agent, item.slots) for item in report.agents] == [(agent, 4) for agent in spec.jwts]

    await actor.drain.remote(None, 1.0)
    assert (await actor.describe.remote()).agents == ()


async def test_an_agent_whose_key_was_made_elsewhere_is_refused(world: World, actor: ActorHandle[HostActor]) -> None:
    spec = await spec_of(world, actor)
    other = HostActor.remote()

    with pytest.raises(NotFoundError, match="made no key"):
        await other.ensure.remote(spec)

    ray.kill(other)


async def test_whoever_watches_hears_at_once_when_the_process_dies(world: World, actor: ActorHandle[HostActor]) -> None:
    await world.supervisor()
    await actor.ensure.remote(await spec_of(world, actor))
    report: HostReport = await actor.describe.remote()
    watching = asyncio.ensure_future(actor.watch.remote())

    os.kill(report.pid, signal.SIGKILL)

    with pytest.raises(ActorDiedError):
        await soon(watching)
