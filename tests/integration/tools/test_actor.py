"""A gateway as a Ray actor: started once, found again, its secrets read from files, gone when our own code fails."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
import ray
from ray.exceptions import ActorDiedError

from remit.bus import permission
from remit.bus.connection import Bus
from remit.bus.embedded import EmbeddedServer
from remit.contracts.errors import EnvironmentFaultError
from remit.contracts.message import decode_any, encode, raw
from remit.contracts.step import Refused
from remit.contracts.tool import CallTool, ToolAnswered
from remit.tools.actor import GatewayActor, GatewaySpec

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
    return SimpleNamespace(charter=SimpleNamespace(tools={})), {"look": look}


def load_broken(team_ref):
    return SimpleNamespace(), {"look": look}
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
        num_cpus=1,
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


@pytest.fixture
def actor(ray_cluster: None) -> Iterator[ActorHandle[GatewayActor]]:
    actor = GatewayActor.remote()
    yield actor
    ray.kill(actor)


def spec_of(server: EmbeddedServer, *, load: str = "load") -> GatewaySpec:
    """Give the spec of a gateway whose identities the server knows."""
    assert importlib.util.find_spec("gateway_team")
    import gateway_team

    files = {}
    for suffix, permissions in (
        ("journal", permission.gateway_permissions("gw-1")),
        ("answer", permission.gateway_answer_permissions("gw-1")),
    ):
        files[suffix] = server.directory / f"gw-1-{suffix}.creds"
        server.authority.issue(f"gw-1-{suffix}", permissions=permissions, account="core").write(files[suffix])
    return GatewaySpec(
        name="gw-1",
        url=server.url,
        journal_creds=files["journal"],
        answer_creds=files["answer"],
        team_ref="gateway_team",
        load=getattr(gateway_team, load),
        data_dir=server.directory / "data",
    )


async def asked(server: EmbeddedServer, body: bytes) -> ToolAnswered | Refused:
    """Give the gateway's answer to an agent that came by the front door."""
    agent = "clerk-a1"
    permissions = permission.agent_permissions("clerk", agent, tools=["look"], asks=[])
    credentials = server.authority.issue(agent, permissions=permissions, account="edge")
    bus = await Bus.connect(server.url, name=agent, credentials=credentials)
    try:
        reply = await bus.request("remit.tool.gw-1.look.clerk-a1", body)
    finally:
        await bus.close()
    answer: ToolAnswered | Refused = decode_any(ToolAnswered | Refused, reply.data)
    return answer


async def test_ensure_starts_one_gateway_however_often_it_is_said(
    server: EmbeddedServer, actor: ActorHandle[GatewayActor]
) -> None:
    spec = spec_of(server)
    assert await actor.names.remote() == {}

    names = await asyncio.gather(*(actor.ensure.remote(spec) for _ in range(3)))
    state: GatewayState = await actor.describe.remote()

    assert names == ["gw-1"] * 3
    assert await actor.names.remote() == {"gateway": "gw-1"}
    assert (state.name, state.open_calls, state.is_connected) == ("gw-1", 0, True)
    assert state.loop.startswith("uvloop")
    refused = await asked(server, b"{}")
    assert isinstance(refused, Refused)
    assert refused.error.code == "RM-201"

    assert await actor.drain.remote(1.0) == 0
    assert not (await actor.describe.remote()).is_connected


async def test_a_gateway_without_its_credentials_does_not_start_and_may_be_started_later(
    server: EmbeddedServer, actor: ActorHandle[GatewayActor]
) -> None:
    spec = spec_of(server)
    assert spec.journal_creds is not None
    kept = spec.journal_creds.rename(spec.journal_creds.with_suffix(".kept"))

    with pytest.raises(EnvironmentFaultError, match="credentials"):
        await actor.ensure.remote(spec)
    kept.rename(spec.journal_creds)

    assert await actor.ensure.remote(spec) == "gw-1"


async def test_a_bug_of_our_own_ends_the_process(server: EmbeddedServer, actor: ActorHandle[GatewayActor]) -> None:
    """A team without a charter is no team; here it stands for a mistake that only shows in the middle of a call."""
    from remit.bus import subject, topology

    topologist = server.authority.issue("topology", permissions=permission.topology_permissions(), account="core")
    bus = await Bus.connect(server.url, name="topology", credentials=topologist)
    await topology.ensure(bus, ["clerk"])
    await bus.close()
    await actor.ensure.remote(spec_of(server))
    watching = actor.watch.remote()
    state: GatewayState = await actor.describe.remote()

    os.kill(state.pid, signal.SIGKILL)

    with pytest.raises(ActorDiedError):
        await watching
    assert subject.tool("gw-1", "look", "clerk-a1") == "remit.tool.gw-1.look.clerk-a1"
    assert encode(CallTool(run_id="r1", step="s", epoch=1, position="0", tool="look", arguments=raw({})))
