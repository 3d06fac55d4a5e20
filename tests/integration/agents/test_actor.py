"""A host as a Ray actor: keys are made in it and stay there, and its death is noticed at once."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING, cast

import msgspec
import pytest
import ray
from ray.exceptions import ActorDiedError

from remit.agents.actor import HostActor, HostSpec
from remit.bus.access import Access
from remit.bus.permission import agent_permissions
from remit.contracts.errors import NotFoundError
from remit.contracts.ids import pool_name
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


class Shell:
    """The actor, from outside."""

    def __init__(self, here: object | None = None) -> None:
        self._here = here
        """The actor's object in this very process, for a test without Ray."""
        if here is None:
            self._actor: ActorHandle[object] = HostActor.remote()  # type: ignore[attr-defined]  # added by ray.remote

    async def ask(self, method: str, *arguments: object) -> object:
        if self._here is not None:
            return await getattr(self._here, method)(*arguments)
        return await getattr(self._actor, method).remote(*arguments)

    async def describe(self) -> HostReport:
        return cast("HostReport", await self.ask("describe"))

    async def spec(self, world: World, pool: str = "probe") -> HostSpec:
        """Give the spec of a host with one agent, whose key it made."""
        keys = cast("dict[str, tuple[str, str]]", await self.ask("keys", [pool]))
        return HostSpec(
            host="host-0",
            url=world.server.url,
            jwts={
                agent: world.server.authority.user_jwt(
                    public, name=agent, permissions=agent_permissions(role, agent, tools=[], asks=[])
                )
                for role, (agent, public) in keys.items()
            },
            access=Access(keys=world.server.directory / "keys"),
            team_ref="probe_team",
            load=importlib.import_module("probe_team").load,
            slots={"probe": 4},
        )

    def kill(self) -> None:
        ray.kill(self._actor)


@pytest.fixture
def shell(ray_cluster: None) -> Iterator[Shell]:
    shell = Shell()
    yield shell
    shell.kill()


async def test_a_host_actor_works_under_a_key_that_never_left_it(world: World, shell: Shell) -> None:
    await world.supervisor()
    spec = await shell.spec(world)
    await shell.ask("ensure", spec)
    await shell.ask("ensure", spec)

    await world.dispatch()
    done = await world.completed()
    report = await shell.describe()

    assert str(report.pid).encode() in bytes(done.reply)
    assert report.pid != os.getpid()
    assert [(item.agent, item.slots) for item in report.agents] == [(agent, 4) for agent in spec.jwts]

    await shell.ask("drain", None, 1.0)
    assert (await shell.describe()).agents == ()


async def test_a_host_that_is_found_while_its_agents_start_names_them(world: World, ray_cluster: None) -> None:
    """The supervisor that told it to start them died meanwhile. Without Ray, which keeps no order of calls."""
    await world.supervisor()
    shell = Shell(HostActor.__ray_metadata__.modified_class())  # type: ignore[attr-defined]  # added by ray.remote
    spec = await shell.spec(world)

    starting = asyncio.create_task(shell.ask("ensure", spec))
    await asyncio.sleep(0)
    names = cast("dict[str, str]", await shell.ask("names"))
    await starting

    assert list(names.values()) == list(spec.jwts)
    await shell.ask("drain", None, 0.0)


async def test_a_host_names_the_pools_of_an_older_build_as_they_are_wished_for(world: World, shell: Shell) -> None:
    await world.supervisor()
    pool = pool_name("probe", "sha256:0123456789abcdef")
    await shell.ask("ensure", await shell.spec(world, pool))

    names = cast("dict[str, str]", await shell.ask("names"))
    await shell.ask("drain", ["probe"], 1.0)
    kept = await shell.describe()
    await shell.ask("drain", [pool], 1.0)
    left = await shell.describe()

    assert list(names) == [pool]
    assert [item.agent for item in kept.agents] == list(names.values())
    assert left.agents == ()


async def test_an_agent_whose_key_was_made_elsewhere_is_refused(world: World, shell: Shell) -> None:
    spec = await shell.spec(world)
    other = Shell()

    with pytest.raises(NotFoundError, match="made no key"):
        await other.ask("ensure", spec)

    other.kill()


async def test_whoever_watches_hears_at_once_when_the_process_dies(world: World, shell: Shell) -> None:
    await world.supervisor()
    await shell.ask("ensure", await shell.spec(world))
    pid = (await shell.describe()).pid
    watching = asyncio.ensure_future(shell.ask("watch"))

    os.kill(pid, signal.SIGKILL)

    with pytest.raises(ActorDiedError):
        await soon(watching)


async def test_a_role_that_ends_its_process_takes_nothing_with_it_but_the_process(world: World, shell: Shell) -> None:
    await world.supervisor()
    await shell.ask("ensure", await shell.spec(world))
    watching = asyncio.ensure_future(shell.ask("watch"))

    await world.dispatch(body=msgspec.Raw(b'{"text":"die"}'))
    with pytest.raises(ActorDiedError):
        await soon(watching)
    other = Shell()
    await other.ask("ensure", await other.spec(world))
    await world.dispatch(epoch=2)

    assert (await world.completed()).epoch == 2
    other.kill()
