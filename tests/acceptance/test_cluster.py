"""A team on a Ray cluster and three nats-servers that are not ours: nodes and servers die while runs are in flight."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from remit import places
from remit.client import Client
from remit.contracts.errors import RemitError
from remit.contracts.message import decode, encode
from remit.contracts.task import RunFinished
from tests.acceptance.conftest import REMIT, TEAMS, is_ready
from tests.acceptance.test_chaos import settle_doubts
from tests.integration.nats_cluster import NatsCluster, nats_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remit.bus.submit import TaskClient
    from remit.contracts.control import TeamStatus

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(420)]

ROLES = ("worker", "runner", "stumbler")
EVERY_ROLE = ",".join(f"role_{role}:8" for role in ROLES)
NODES = {"trusted": "remit_trusted:1", "spare": f"remit_trusted:1,{EVERY_ROLE}", "roles": EVERY_ROLE}
"""Whichever one is lost, what ran there can run on another one."""


class Nodes:
    """The nodes of a Ray cluster."""

    def __init__(self, process: asyncio.subprocess.Process, said: dict[str, object]) -> None:
        self._process = process
        self.address = str(said["address"])
        self.raylets: dict[str, int] = {}
        self._note(said)

    def _note(self, said: dict[str, object]) -> None:
        raylets = said["raylets"]
        assert isinstance(raylets, dict)
        self.raylets = raylets

    async def remove(self, name: str) -> None:
        """The node is gone with all its processes, without warning."""
        victims = psutil.Process(self.raylets[name]).children(recursive=True)
        for victim in victims:  # a node that is lost takes its workers along at once
            victim.kill()
        await self._do(f"remove {name}")

    async def add(self, name: str) -> None:
        """The node is back."""
        await self._do(f"add {name}")

    async def _do(self, line: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._note(json.loads(await asyncio.wait_for(self._process.stdout.readline(), 60)))

    def workers(self, name: str) -> list[str]:
        """Give what actors run on a node."""
        children = psutil.Process(self.raylets[name]).children(recursive=True)
        lines = [" ".join(child.cmdline()) for child in children]
        return sorted(line.removeprefix("ray::").split(".")[0].strip() for line in lines if "Actor" in line)

    def node_of(self, actor: str) -> str:
        """Give the node on which an actor runs."""
        return next(name for name in self.raylets if actor in self.workers(name))


@asynccontextmanager
async def ray_nodes(**wanted: str) -> AsyncIterator[Nodes]:
    """A Ray cluster with these nodes beside its head; none is left afterwards."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).with_name("ray_nodes.py"))),
        *(f"{name}={resources}" for name, resources in wanted.items()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Nodes(process, json.loads(await asyncio.wait_for(process.stdout.readline(), 120)))
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 60)


class Site:
    """A deployed team, and those around it."""

    def __init__(self, nodes: Nodes, nats: NatsCluster, effects: int) -> None:
        self.nodes = nodes
        self.nats = nats
        self.effects = effects
        self.runs: list[str] = []

    async def remit(self, *words: str) -> dict[str, object]:
        """Run one command in a process of its own."""
        command = await asyncio.create_subprocess_exec(
            *(str(REMIT), *words, "--output", "json"), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, errors = await asyncio.wait_for(command.communicate(), 120)
        assert command.returncode == 0, errors.decode()
        said: dict[str, object] = json.loads(out)
        return said

    async def deploy(self, folder: Path = TEAMS / "chaos") -> dict[str, object]:
        """Deploy the team; the deploying process has ended."""
        return await self.remit("deploy", str(folder), "--nats", self.nats.url, "--ray-address", self.nodes.address)

    async def load(self, tasks: TaskClient, is_over: asyncio.Event) -> None:
        """Publish tasks; one whose answer was lost is published again under its id, and is one task."""
        while not is_over.is_set():
            number = len(self.runs)
            body = encode({"goal": "once", "input": {"number": number}})
            try:
                self.runs.append(await tasks.submit("job", body, message_id=f"job-{number}"))
            except RemitError:
                await asyncio.sleep(0.2)
            await asyncio.sleep(0.1)

    async def counted(self) -> Counter[str]:
        """Give how often each effect happened, as the effect server saw it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.effects)
        writer.write(b"all - -\n")
        lines = (await reader.read()).decode().splitlines()
        writer.close()
        return Counter({name: int(count) for count, _, name in (line.partition(" ") for line in lines)})


async def until_ready(client: Client) -> TeamStatus:
    """Return when every wished host is there and there are gateways."""
    async with asyncio.timeout(120):
        while True:
            try:
                status = await client.status()
                if is_ready(status):
                    return status
            except RemitError:
                pass  # asked again
            await asyncio.sleep(0.1)


async def until_works(tasks: TaskClient) -> float:
    """Give the seconds until a task of every role has its outcome; one may wait for a person who decides its doubt."""
    began = time.monotonic()
    for workflow in ("quick", "job", "stumble"):
        waiting: set[asyncio.Task[bytes]] = set()
        is_over = False
        while not is_over:
            waiting.add(asyncio.create_task(tasks.outcome(await submitted(tasks, workflow), 90)))
            done, waiting = await asyncio.wait(waiting, timeout=2, return_when=asyncio.FIRST_COMPLETED)
            is_over = bool(done)
        for task in waiting:
            task.cancel()
    return time.monotonic() - began


async def submitted(tasks: TaskClient, workflow: str) -> str:
    """Give the run of a task, asked for until the server takes it."""
    while True:
        try:
            return await tasks.submit(workflow, encode({"goal": "probe", "input": {"number": -1}}))
        except RemitError:
            await asyncio.sleep(0.1)


async def outcomes(site: Site, client: Client, tasks: TaskClient) -> list[RunFinished]:
    """Await every outcome, deciding doubts meanwhile as the world was seen."""
    waiting = [asyncio.create_task(tasks.outcome(run, 200)) for run in site.runs]
    while not all(task.done() for task in waiting):
        await asyncio.wait(waiting, timeout=1)
        try:
            await settle_doubts(client.bus, await site.counted())
        except RemitError:
            continue
    return [decode(RunFinished, task.result()) for task in waiting]


async def test_a_deployed_team_outlives_nodes_and_servers_and_no_effect_happens_twice(
    effects: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(places.HOME, str(tmp_path))
    monkeypatch.setenv("EFFECTS_PORT", str(effects))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    keys = tmp_path / "deployments" / "chaos"
    keys.mkdir(parents=True)
    async with nats_cluster(keys) as nats, ray_nodes(**NODES) as nodes:
        site = Site(nodes, nats, effects)
        first = await site.deploy()
        again = await site.deploy()
        assert (first["was_there"], again["was_there"]) == (False, True)
        place = places.current()
        async with await Client.connect(place) as client:
            await until_ready(client)
            await _outlive(site, client, newer=_newer(tmp_path))
        await site.remit("down", "--drain", "20s")
        assert [nodes.workers(name) for name in nodes.raylets] == [[]] * len(nodes.raylets)


def _newer(folder: Path) -> Path:
    """Give the team as another build: it decides the same, in other words."""
    shutil.copytree(TEAMS / "chaos", folder / "newer", ignore=shutil.ignore_patterns("__pycache__"))
    code = folder / "newer" / "team.py"
    code.write_text(code.read_text() + "# a newer build\n")
    return folder / "newer"


async def _outlive(site: Site, client: Client, *, newer: Path) -> None:
    tasks = await client.tasks()
    is_over = asyncio.Event()
    loading = asyncio.create_task(site.load(tasks, is_over))
    took: dict[str, float] = {}
    await site.remit("role", "scale", "worker", "3")
    await asyncio.sleep(1)
    build = (await client.status()).build
    deployed = await site.deploy(newer)
    took["an upgrade"] = await until_works(tasks)
    assert (await until_ready(client)).build == deployed["build"] != build
    await site.nodes.remove("roles")
    took["a Ray node with roles"] = await until_works(tasks)
    await site.nodes.add("roles")  # the next node to be lost may be the other one with roles
    await until_ready(client)
    site.nats.servers[0].kill()
    took["a nats-server"] = await until_works(tasks)
    await site.nats.servers[0].start()
    await site.nodes.remove(site.nodes.node_of("SupervisorActor"))
    took["the supervisor's node"] = await until_works(tasks)
    is_over.set()
    await loading
    finished = await outcomes(site, client, tasks)
    print({what: round(seconds, 1) for what, seconds in took.items()}, len(site.runs), "runs")  # noqa: T201  # with -s
    counted = await site.counted()
    assert Counter(item.outcome for item in finished) == {"complete": len(site.runs)}
    for kind, position in (("put", 1), ("book", 2), ("ring", 3)):
        keys = {f"{kind} {run}.job.{position}" for run in site.runs}
        assert {key: counted[key] for key in keys} == dict.fromkeys(keys, 1)
