"""Ray's own autoscaler reads both descriptions of a cluster, and takes from them what a host will ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.autoscaler._private.util import prepare_config, validate_config

from tests import manifests
from tests.manifests import TRUSTED

if TYPE_CHECKING:
    from collections.abc import Callable


class Group(msgspec.Struct):
    resources: dict[str, float]
    min_workers: int
    max_workers: int


class Config(msgspec.Struct):
    head_node_type: str
    available_node_types: dict[str, Group]


def launcher() -> Config:
    config = prepare_config(manifests.document("cluster.yaml"))
    validate_config(config)
    return msgspec.convert(config, Config)


def kuberay() -> Config:
    config = _derive_autoscaling_config_from_ray_cr(manifests.document("deploy/kuberay/raycluster.yaml"))
    return msgspec.convert(config, Config)


@pytest.mark.parametrize("read", [launcher, kuberay])
def test_the_autoscaler_finds_a_node_type_for_every_role_and_the_trusted_planes(read: Callable[[], Config]) -> None:
    config = read()

    types = dict(config.available_node_types)
    head = types.pop(config.head_node_type)

    assert {name for group in types.values() for name in group.resources if name.startswith("role_")} == (
        manifests.role_resources()
    )
    assert [group.min_workers for group in types.values() if TRUSTED in group.resources] == [2]
    assert head.resources["CPU"] == 0
    assert set(head.resources) <= {"CPU", "memory"}


def test_both_descriptions_offer_the_same() -> None:
    def of(config: Config) -> dict[str, dict[str, float]]:
        groups = config.available_node_types.items()
        return {
            name: {key: amount for key, amount in group.resources.items() if key != "memory"}
            for name, group in groups
            if name != config.head_node_type
        }

    assert of(launcher()) == of(kuberay())
