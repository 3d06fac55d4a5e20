"""The commands of cluster.yaml, run as Ray's launcher runs them; each node is an address of loopback here."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import psutil
import pytest

from tests import manifests
from tests.acceptance.test_wheel import build, tree
from tests.page import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["tree"]  # a fixture

START_S: Final = 60.0
END_S: Final = 20.0
HEAD, WORKERS = "127.0.0.2", {"trusted": "127.0.0.3", "judges": "127.0.0.4"}
LOOK: Final = """
import json, sys, ray
ray.init(address=sys.argv[1], _node_ip_address=sys.argv[2], log_to_driver=False)
@ray.remote(num_cpus=0, resources={"role_critic": 1})
def where():
    import os, remit
    return remit.__file__, os.environ.get("PYTHONDONTWRITEBYTECODE", "unset"), ray.util.get_node_ip_address()
print(json.dumps([ray.cluster_resources(), ray.get(where.remote(), timeout=60)]))
"""


class NodeType(msgspec.Struct):
    resources: dict[str, int]


class Launch(msgspec.Struct):
    """What the launcher runs on a node, in this order."""

    available_node_types: dict[str, NodeType]
    setup_commands: list[str]
    head_start_ray_commands: list[str]
    worker_start_ray_commands: list[str]


@pytest.fixture
def launch() -> Launch:
    return msgspec.convert(manifests.document("cluster.yaml"), Launch)


class Nodes:
    """A home directory that all nodes share, and the processes that were started on them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self._started: list[subprocess.Popen[bytes]] = []
        token = home / ".ray/auth_token"
        token.parent.mkdir(parents=True)
        token.write_text(secrets.token_hex(32))
        self._env = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "VIRTUAL_"))} | {
            "HOME": str(home),
            "PYTHONDONTWRITEBYTECODE": "1",  # as an image might have it
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
            # pip finds the project in the folder, and nothing anywhere else.
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def run(self, command: str) -> None:
        """A command of the set-up has ended well."""
        result = subprocess.run(
            ["bash", "-c", command],
            cwd=self.home,
            env=self._env,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == 0, f"{command}\n{result.stderr}"

    def add_dependencies(self) -> None:
        """What pip would have fetched from an index stands beside the project: the packages of this environment."""
        (packages,) = (self.home / "remit-env/lib").glob("python*/site-packages")
        (packages / "dependencies.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
        script = (Path(sys.executable).parent / "ray").read_text()
        ray = self.home / "remit-env/bin/ray"
        ray.write_text(re.sub(r"^#!.*", f"#!{self.home}/remit-env/bin/python", script))
        ray.chmod(0o755)

    def start(self, commands: list[str], node: NodeType, *, address: str) -> None:
        """Ray runs on a node; the launcher says what it offers, and where the head is, by the environment."""
        env = self._env | {"RAY_OVERRIDE_RESOURCES": json.dumps(node.resources), "RAY_HEAD_IP": HEAD}
        (command,) = [item for item in commands if not item.endswith("ray stop")]  # that would end others' Ray, too
        log = self.home / f"{address}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-c", self._on_loopback(command, address)],
                cwd=self.home,
                env=env,
                stdout=out,
                stderr=out,
            )
        self._started.append(process)
        give_up_at = time.monotonic() + START_S
        while "Ray runtime started" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < give_up_at, log.read_text()
            wait(process)

    def _on_loopback(self, command: str, address: str) -> str:
        """Give the command with its ports replaced: nodes that share a machine cannot share them."""
        command = re.sub(r"(--port=|:)6379", rf"\g<1>{self.port}", command)
        command = re.sub(r"--object-manager-port=\d+", f"--object-manager-port={free_port()}", command)
        command = re.sub(r" --autoscaling-config=\S+", "", command)  # there is no cloud to ask for nodes
        own = f"--node-ip-address={address} --min-worker-port=0 --max-worker-port=0"
        if "--head" in command:
            own += f" --include-dashboard=false --temp-dir={self.home}/r"
        return f"{command} {own} --block"

    def look(self) -> tuple[dict[str, float], tuple[str, str, str]]:
        """Give what the cluster offers; and of a worker, the project it imports, its environment, its address."""
        result = subprocess.run(
            [self.home / "remit-env/bin/python", "-c", LOOK, f"{HEAD}:{self.port}", HEAD],
            cwd=self.home,  # the folder of a driver is on the path of its workers
            env=self._env | {"RAY_AUTH_MODE": "token"},
            check=False,
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert result.returncode == 0, result.stderr
        return msgspec.json.decode(result.stdout.splitlines()[-1], type=tuple[dict[str, float], tuple[str, str, str]])

    def end(self) -> None:
        """Nothing that was started here runs any more."""
        left = [child for process in self._started for child in family(process.pid)]
        for each in left:
            with suppress(psutil.NoSuchProcess):  # it went with its parent
                each.terminate()
        _gone, alive = psutil.wait_procs(left, timeout=END_S)
        for each in alive:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        for process in self._started:
            process.wait(END_S)


def family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return []
    return [parent, *parent.children(recursive=True)]


def wait(process: subprocess.Popen[bytes]) -> None:
    """Give a process some time to say more, or to end."""
    try:
        process.wait(0.1)
    except subprocess.TimeoutExpired:
        return


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    # Ray puts sockets below its home, and their paths have at most 107 characters.
    home = Path("/tmp") / f"remit-{secrets.token_hex(3)}"  # noqa: S108  # random, and made by us
    home.mkdir(mode=0o700)
    nodes = Nodes(home)
    yield nodes
    nodes.end()
    shutil.rmtree(home, ignore_errors=True)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one address of loopback")
def test_the_commands_install_the_project_and_start_nodes_that_offer_what_is_written(
    launch: Launch, nodes: Nodes, tree: Path
) -> None:
    build(tree).close()
    shutil.copytree(tree.parent / "dist", nodes.home / "remit-dist")

    for command in launch.setup_commands:
        nodes.run(command)
    nodes.add_dependencies()
    types = launch.available_node_types
    nodes.start(launch.head_start_ray_commands, types["head"], address=HEAD)
    for name, address in WORKERS.items():
        nodes.start(launch.worker_start_ray_commands, types[name], address=address)

    offered, (project, bytecode, address) = nodes.look()
    for name in WORKERS:
        assert types[name].resources.items() - {("CPU", types[name].resources["CPU"])} <= offered.items()
    assert offered["CPU"] == sum(types[name].resources["CPU"] for name in WORKERS)
    assert Path(project).is_relative_to(nodes.home / "remit-env"), "a worker imports what the set-up installed"
    assert not Path(project).is_relative_to(ROOT)
    assert bytecode == "unset"
    assert address == WORKERS["judges"]
