"""A Ray cluster of several nodes on loopback, in a process of its own: nodes are added and lost by lines on its input.

Every argument is a node, `name=resource:amount,...`; the head offers nothing, so that it can be left alone. Answers
are one JSON object a line: the address and the process of each node's raylet.
"""

from __future__ import annotations

import json
import os
import sys

os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # else the nodes meet under an outward address
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("RAY_worker_niceness", "0")
# As docs/operations.md advises: a lost node is noticed within some seconds instead of half a minute.
os.environ |= {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}

from typing import TYPE_CHECKING

from ray.cluster_utils import Cluster

if TYPE_CHECKING:
    from ray._private.node import Node

HERE = "127.0.0.1"
STORE_BYTES = 80 * 1024 * 1024


def main(wanted: dict[str, dict[str, float]]) -> None:
    """Serve until the input ends."""
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "include_dashboard": False,
            "node_ip_address": HERE,
            "object_store_memory": STORE_BYTES,
        },
    )
    nodes: dict[str, Node] = {}

    def add(name: str) -> None:
        nodes[name] = cluster.add_node(
            num_cpus=1, resources=wanted[name], node_ip_address=HERE, object_store_memory=STORE_BYTES
        )

    def say() -> None:
        raylets = {name: node.all_processes["raylet"][0].process.pid for name, node in nodes.items()}
        print(json.dumps({"address": cluster.address, "raylets": raylets}), flush=True)  # noqa: T201  # it is read by who started this

    for name in wanted:
        add(name)
    say()
    try:
        for line in sys.stdin:
            verb, name = line.split()
            if verb == "add":
                add(name)
            else:  # without warning: its processes are killed
                cluster.remove_node(nodes.pop(name), allow_graceful=False)
            say()
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]  # ray says nothing


def resources(text: str) -> dict[str, float]:
    """Read `role_a:8,remit_trusted:1`."""
    return {name: float(amount) for name, amount in (part.split(":") for part in text.split(","))}


if __name__ == "__main__":
    main({name: resources(text) for name, text in (argument.split("=") for argument in sys.argv[1:])})
