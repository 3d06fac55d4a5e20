"""Ray says which of its nodes are about to leave, and on which node each child is."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ray.cluster_utils import Cluster

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head, and two nodes that offer one host of a role each."""
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1, resources={"role_clerk": 1})
    ray.init(address=cluster.address, namespace="remit", log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()  # type: ignore[no-untyped-call]  # ray says nothing


@pytest.mark.filterwarnings("ignore")
async def test_a_child_on_a_node_that_ray_drains_is_found_and_the_next_one_starts_elsewhere(cluster: Cluster) -> None:
    import ray
    from ray.core.generated import autoscaler_pb2

    from remit.agents.actor import HostActor
    from remit.supervisor import children

    def child(label: str, **more: float) -> children.Child:
        wanted = {"role_clerk": 1.0, **more}
        return children.start("shop", "host", label, generation="g", cls=HostActor, resources=wanted)

    first = child("clerk-0", CPU=0.5, memory=2**20)
    await first.ask("names", within_s=60)
    before, placed = await children.leaving_nodes(), await children.nodes()
    home = placed[first.id]
    gcs = ray._raylet.GcsClient(address=cluster.address)  # type: ignore[attr-defined]  # no public name
    preempted = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")  # type: ignore[attr-defined]  # made by protoc
    accepted, reason = gcs.drain_node(home, preempted, "spot", int(time.time() * 1000) + 60_000)
    leaving = await children.leaving_nodes()
    second = child("clerk-0")
    await second.ask("names", within_s=60)
    other = (await children.nodes())[second.id]

    assert before == frozenset()
    assert (accepted, reason) == (True, "")
    assert leaving == {home}
    assert other != home
    for item in (first, second):
        item.kill()
    await asyncio.sleep(0)
