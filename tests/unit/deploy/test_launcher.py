"""cluster.yaml is valid by Ray's own schema, and offers what pools ask for."""

import json
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import msgspec
import pytest
import yaml

FILE = Path(__file__).parents[2] / "cluster.yaml"


class NodeType(msgspec.Struct):
    resources: dict[str, int]

    def roles(self) -> set[str]:
        return {resource for resource in self.resources if resource.startswith("role_")}


class Cluster(msgspec.Struct):
    head_node_type: str
    available_node_types: dict[str, NodeType]


@pytest.fixture
def example() -> dict[str, object]:
    return msgspec.convert(yaml.safe_load(FILE.read_text()), dict[str, object])


@pytest.fixture
def schema() -> dict[str, object]:
    """Ray's schema, read without importing Ray."""
    package = find_spec("ray")
    assert package is not None
    assert package.origin is not None
    return msgspec.convert(
        json.loads((Path(package.origin).parent / "autoscaler/ray-schema.json").read_text()), dict[str, object]
    )


def test_the_example_is_valid_by_rays_own_schema(example: dict[str, object], schema: dict[str, object]) -> None:
    jsonschema.validate(example, schema)


def test_a_key_that_ray_does_not_know_is_refused(example: dict[str, object], schema: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError, match="workers_max"):
        jsonschema.validate(example | {"workers_max": 8}, schema)


def test_the_head_runs_no_role_and_every_other_node_offers_one(example: dict[str, object]) -> None:
    cluster = msgspec.convert(example, Cluster)
    nodes = dict(cluster.available_node_types)

    head = nodes.pop(cluster.head_node_type)

    assert head.roles() == set()
    assert all(node.roles() for node in nodes.values())
