"""cluster.yaml is valid by Ray's own schema, offers what the shipped team asks for, and keeps secrets apart."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import msgspec
import pytest

from tests import manifests
from tests.manifests import TRUSTED, Document

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = "cluster.yaml"


class NodeType(msgspec.Struct):
    resources: dict[str, int]
    min_workers: int
    max_workers: int
    initialization_commands: tuple[str, ...] = ()

    def roles(self) -> set[str]:
        return {resource for resource in self.resources if resource.startswith("role_")}


class Cluster(msgspec.Struct):
    head_node_type: str
    max_workers: int
    available_node_types: dict[str, NodeType]
    file_mounts: dict[str, str]
    setup_commands: tuple[str, ...]
    head_start_ray_commands: tuple[str, ...]
    worker_start_ray_commands: tuple[str, ...]

    def commands(self) -> Iterator[str]:
        yield from self.setup_commands
        yield from self.head_start_ray_commands
        yield from self.worker_start_ray_commands
        for node in self.available_node_types.values():
            yield from node.initialization_commands


@pytest.fixture
def example() -> Document:
    return manifests.document(FILE)


@pytest.fixture
def cluster(example: Document) -> Cluster:
    return msgspec.convert(example, Cluster)


@pytest.fixture
def schema() -> Document:
    """Ray's schema, read without importing Ray."""
    package = find_spec("ray")
    assert package is not None
    assert package.origin is not None
    return msgspec.json.decode((Path(package.origin).parent / "autoscaler/ray-schema.json").read_bytes(), type=Document)


def test_the_example_is_valid_by_rays_own_schema(example: Document, schema: Document) -> None:
    jsonschema.validate(example, schema)


def test_a_key_that_ray_does_not_know_is_refused(example: Document, schema: Document) -> None:
    with pytest.raises(jsonschema.ValidationError, match="workers_max"):
        jsonschema.validate(example | {"workers_max": 8}, schema)


def test_every_role_of_the_shipped_team_finds_a_node_and_no_node_offers_another(cluster: Cluster) -> None:
    offered = {role for node in cluster.available_node_types.values() for role in node.roles()}

    assert offered == manifests.role_resources()


def test_a_node_is_trusted_or_offers_roles_and_the_head_is_neither(cluster: Cluster) -> None:
    nodes = dict(cluster.available_node_types)

    head = nodes.pop(cluster.head_node_type)
    trusted = {name: node for name, node in nodes.items() if TRUSTED in node.resources}

    assert not head.roles()
    assert TRUSTED not in head.resources
    assert all(bool(node.roles()) != (name in trusted) for name, node in nodes.items())
    assert sum(node.min_workers for node in trusted.values()) >= 2, "one of them may die"


def test_the_cluster_may_grow_to_what_its_node_types_allow(cluster: Cluster) -> None:
    assert cluster.max_workers >= sum(node.max_workers for node in cluster.available_node_types.values())


def test_only_trusted_nodes_fetch_the_secrets_and_nothing_secret_is_mounted_on_all(cluster: Cluster) -> None:
    fetching = {
        name
        for name, node in cluster.available_node_types.items()
        if any("secrets" in command for command in node.initialization_commands)
    }
    trusted = {name for name, node in cluster.available_node_types.items() if TRUSTED in node.resources}

    assert fetching == trusted
    assert {target for target in cluster.file_mounts if re.search(r"secret|creds|signing", target)} == set()


def test_every_command_is_one_that_bash_can_read(cluster: Cluster) -> None:
    for command in cluster.commands():
        subprocess.run(["bash", "-n", "-c", command], check=True, capture_output=True, timeout=10)


def test_what_starts_ray_says_what_its_workers_inherit(cluster: Cluster) -> None:
    starts = [
        command
        for command in (*cluster.head_start_ray_commands, *cluster.worker_start_ray_commands)
        if "ray start" in command
    ]

    assert len(starts) == 2
    for command in starts:
        assert "unset PYTHONDONTWRITEBYTECODE" in command
        assert "RAY_ENABLE_UV_RUN_RUNTIME_ENV=0" in command
        assert "RAY_AUTH_MODE=token" in command


def test_the_example_names_no_package_index(example: Document) -> None:
    assert "://" not in json.dumps(example)
