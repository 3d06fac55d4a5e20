"""A gateway as a Ray actor: started once, found again, its secrets read from files, gone when our own code fails."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

import pytest
import ray
from ray.exceptions import ActorDiedError

from remit.bus import permission, subject, topology
from remit.bus.access import Access
from remit.bus.connection import Bus
from remit.bus.embedded import EmbeddedServer
from remit.bus.journal import Journal
from remit.contracts.errors import EnvironmentFaultError, NotFoundError
from remit.contracts.lease import Grant, Lease
from remit.contracts.message import decode_any, encode, raw
from remit.contracts.step import Refused
from remit.contracts.tool import CallTool, ToolAnswered
from remit.tools.actor import GatewayActor, GatewayShell, GatewaySpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ray.actor import ActorHandle

    from remit.tools.actor import GatewayState

pytestmark = [pytest.mark.ray, pytest.mark.slow]

TEAM = '''
"""A team in a file, as a gateway loads it."""

from types import SimpleNamespace
from remit.tools.tool import tool


@tool(risk="low", effect="pure")
def look(what: str) -> str:
    return what.upper()


def load(team_ref):
    rule = SimpleNamespace(risk="low", review="none", timeout_s=5.0)
    return SimpleNamespace(charter=SimpleNamespace(tools={"look": rule})), {"look": look}


def load_broken(team_ref):
    return SimpleNamespace(charter=None), {"look": look}
'''


@pytest.fixture(scope="module")
def team_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("team")
    (folder / "gateway_team.py").write_text(TEAM)
    return folder


@pytest.fixture(scope="module")
def ray_cluster(team_folder: Path) -> Iterator[None]:
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
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
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer.start(tmp_path / "server") as server:
        yield server


class Shell:
    """The actor, from outside."""

    def __init__(self) -> None:
        self._actor: ActorHandle[object] = GatewayActor.remote()  # type: ignore[attr-defined]  # added by ray.remote

    async def ask(self, method: str, *arguments: object) -> object:
        return await getattr(self._actor, method).remote(*arguments)

    async def describe(self) -> GatewayState:
        return cast("GatewayState", await self.ask("describe"))

    def kill(self) -> None:
        ray.kill(self._actor)


@pytest.fixture
def shell(ray_cluster: None) -> Iterator[Shell]:
    shell = Shell()
    yield shell
    shell.kill()


async def connect(server: EmbeddedServer, name: str, permissions: permission.Permissions) -> Bus:
    credentials = server.authority.issue(name, permissions=permissions)
    return await Bus.connect(server.url, name=name, credentials=credentials)


async def spec_of(server: EmbeddedServer, shell: Shell | GatewayShell, *, load: str = "load") -> GatewaySpec:
    """Give the spec of a gateway that the server knows; its step is leased."""
    topologist = await connect(server, "topology", permission.topology_permissions())
    await topology.ensure(topologist, ["clerk"])
    await topologist.close()
    await lease(server)
    allowed = {
        "gw-1": permission.gateway_permissions("gw-1"),
        "gw-1-answer": permission.gateway_answer_permissions("gw-1"),
    }
    asked = shell.keys(sorted(allowed)) if isinstance(shell, GatewayShell) else shell.ask("keys", sorted(allowed))
    keys = cast("dict[str, str]", await asked)
    jwts = {name: server.authority.user_jwt(key, name=name, permissions=allowed[name]) for name, key in keys.items()}
    return GatewaySpec(
        name="gw-1",
        url=server.url,
        jwts=jwts,
        access=Access(keys=server.directory / "keys"),
        team_ref="gateway_team",
        load=getattr(importlib.import_module("gateway_team"), load),
        data_dir=server.directory / "data",
    )


async def lease(server: EmbeddedServer) -> None:
    """The supervisor leased step `s` of run `r1` to the agent that asks below."""
    entry = Lease(
        run_id="r1",
        step="s",
        epoch=1,
        role="clerk",
        agent="clerk-a1",
        gateway="gw-1",
        until_at=datetime.now(UTC) + timedelta(minutes=1),
        grant=Grant(tools=("look",)),
    )
    supervisor = await connect(server, "supervisor", permission.supervisor_permissions())
    await Journal(supervisor).append(subject.lease("r1", "s", 1), encode(entry))
    await supervisor.close()


async def asked(server: EmbeddedServer) -> ToolAnswered | Refused:
    """Give the gateway's answer to an agent, who comes by its own door."""
    call = CallTool(run_id="r1", step="s", epoch=1, position="0", tool="look", arguments=raw({"what": "a"}))
    agent = await connect(
        server, "clerk-a1", permission.agent_permissions("clerk", "clerk-a1", tools=["look"], asks=[])
    )
    try:
        reply = await agent.request(subject.tool("gw-1", "look", "clerk-a1"), encode(call))
    finally:
        await agent.close()
    answer: ToolAnswered | Refused = decode_any(ToolAnswered | Refused, reply.data)
    return answer


async def test_ensure_starts_one_gateway_however_often_it_is_said(server: EmbeddedServer, shell: Shell) -> None:
    spec = await spec_of(server, shell)
    assert await shell.ask("names") == {}

    names = await asyncio.gather(*(shell.ask("ensure", spec) for _ in range(3)))
    state = await shell.describe()

    assert names == ["gw-1"] * 3
    assert "gw-1" in cast("dict[str, str]", await shell.ask("names")).values()
    assert (state.name, state.open_calls, state.is_connected) == ("gw-1", 0, True)
    assert state.loop.startswith("uvloop")
    assert await asked(server) == ToolAnswered(value=raw("A"))

    assert await shell.ask("drain", 1.0) == 0
    assert not (await shell.describe()).is_connected


async def test_a_gateway_that_is_found_while_it_starts_says_its_name(server: EmbeddedServer, ray_cluster: None) -> None:
    """The supervisor that told it to start died meanwhile. Without Ray, which keeps no order of calls."""
    shell = GatewayShell()
    spec = await spec_of(server, shell)

    starting = asyncio.create_task(shell.ensure(spec))
    await asyncio.sleep(0)
    names = await shell.names()

    assert names == {"gateway": "gw-1"}
    assert await starting == "gw-1"
    await shell.drain(0.0)


async def test_a_gateway_whose_key_was_not_made_in_it_does_not_start_and_may_be_started_later(
    server: EmbeddedServer, shell: Shell
) -> None:
    spec = await spec_of(server, shell)

    with pytest.raises(NotFoundError, match="made no key"):
        await shell.ask("ensure", replace(spec, name="gw-2"))

    assert await shell.ask("ensure", spec) == "gw-1"


async def test_a_gateway_of_a_weaker_server_needs_the_shared_credentials(server: EmbeddedServer, shell: Shell) -> None:
    spec = await spec_of(server, shell)

    with pytest.raises(EnvironmentFaultError, match="credentials"):
        await shell.ask("ensure", replace(spec, access=Access(creds=server.directory / "absent.creds")))


async def test_a_bug_of_our_own_ends_the_process_without_an_answer(server: EmbeddedServer, shell: Shell) -> None:
    """A team without a charter stands for any mistake that shows only in the middle of a call."""
    await shell.ask("ensure", await spec_of(server, shell, load="load_broken"))
    watching = asyncio.ensure_future(shell.ask("watch"))
    asking = asyncio.ensure_future(asked(server))

    with pytest.raises(ActorDiedError):
        await watching

    asking.cancel()
    await asyncio.wait({asking})
    assert asking.cancelled()
