"""Ray says which of its nodes are about to leave, and on which node each child is."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from remit.contracts.errors import ClusterLostError
from remit.contracts.pool import Pool
from tests.teams import ROLES, shop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ray.cluster_utils import Cluster

    from remit.supervisor.actor import SupervisorSpec
    from remit.supervisor.service import Supervisor

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head, and two nodes that offer one host of a role each."""
    monkeypatch = pytest.MonkeyPatch()
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
    monkeypatch.undo()


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


@pytest.mark.filterwarnings("ignore")
async def test_a_deployment_that_ends_wishes_for_no_warm_nodes_any_more(cluster: Cluster) -> None:
    from ray._private.ray_constants import AUTOSCALER_RESOURCE_REQUEST_CHANNEL
    from ray.experimental.internal_kv import _internal_kv_get

    from remit.supervisor.births import PoolSpec
    from remit.supervisor.pool import Pools

    def wished() -> object:
        return json.loads(_internal_kv_get(AUTOSCALER_RESOURCE_REQUEST_CHANNEL))

    def nothing(*_given: object) -> None:
        """No child starts here."""

    team = replace(shop(), roles={"clerk": replace(ROLES["clerk"], pool=0, sizing=Pool(warm=1))})
    spec = PoolSpec(
        prefix="ending",
        gateways=0,
        host_actor=None,
        gateway_actor=None,
        host_spec=nothing,
        gateway_spec=nothing,
        is_cluster=True,
    )
    pools = Pools(spec, team, supervisor=cast("Supervisor", Idle()), issuer=None)

    running = asyncio.create_task(pools.run())
    async with asyncio.timeout(30):
        while not _internal_kv_get(AUTOSCALER_RESOURCE_REQUEST_CHANNEL) or not wished():
            await asyncio.sleep(0.05)
    before = wished()
    pools.end(0.0)
    await running

    assert before == [{"role_clerk": 1.0}]
    assert wished() == []


class Idle:
    """A supervisor with nothing to do."""

    is_connected = True

    def older_builds(self) -> set[str]:
        return set()


@pytest.mark.filterwarnings("ignore")
async def test_of_two_who_deploy_at_once_the_second_is_told_and_harms_nothing(cluster: Cluster) -> None:
    import ray

    from remit import ray_cluster
    from remit.agents.actor import HostActor

    first = HostActor.options(name="twice.supervisor", lifetime="detached").remote()  # type: ignore[attr-defined]  # added by ray.remote

    with pytest.raises(ClusterLostError, match="somebody else deploys"):
        ray_cluster.create_supervisor("twice", cast("SupervisorSpec", None))

    assert await first.names.remote() == {}
    ray.kill(first)
