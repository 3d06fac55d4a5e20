"""A Ray on this machine that ends with this process, with no more of Ray's own processes than actors need.

`ray.init` starts a dashboard even where none is wished, an autoscaler and a reader of logs, each a Python process that
competes with the actors while they start, and each ended one after the other. It also asks only once a second whether
its node is there. No public option says otherwise, so private names of the releases that were tried are replaced while
it starts. Any other release starts all of it, which is slower and nothing else.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMESPACE: Final = "remit"
_OBJECT_STORE_BYTES: Final = 80 * 1024 * 1024
"""The smallest that Ray takes: work goes over NATS, so nothing is kept there."""
_PROCESSES: Final = 4
"""Started before anybody asks, as Ray does for each of its CPUs: a supervisor, a gateway and two hosts."""
TRIED: Final = ("2.60.",)
"""Releases of Ray whose private names are known to mean what is made of them here."""
_HEAD: Final = {"gcs_server", "raylet"}
_POLL_S: Final = 0.02
_REGISTERED_S: Final = 30.0


class _RayNode(Protocol):
    def dead_processes(self) -> list[tuple[str, object]]:
        """Give Ray's own processes that ended by themselves."""


def start() -> None:
    """Ray serves this process, and no other machine reaches it."""
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"  # the hook copies the project for every worker
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Ray's default of 15 puts supervisor, gateways and hosts behind whatever else this machine runs.
    os.environ.setdefault("RAY_worker_niceness", "0")
    # Without it Ray replaces the loopback address by an outward one, and listens to everybody.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # without byte code every worker starts three times slower
    import ray

    with _few_processes():
        ray.init(
            address="local",
            namespace=NAMESPACE,
            _node_ip_address="127.0.0.1",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,  # what it says while it starts is not for whoever starts a team
            object_store_memory=_OBJECT_STORE_BYTES,
            num_cpus=_PROCESSES,
        )


def head_is_alive() -> bool:
    """Say whether Ray's own processes live. Without its head Ray ends this process after a minute, in its words."""
    from ray._private import worker

    # No public call answers while the head is gone.
    node = cast("_RayNode | None", worker._global_node)  # noqa: SLF001
    return node is not None and not {kind for kind, _ in node.dead_processes()} & _HEAD


@contextmanager
def _few_processes() -> Iterator[None]:
    import ray

    with ExitStack() as stack:
        if ray.__version__.startswith(TRIED):
            stack.enter_context(_replaced("services", "start_api_server", _no_dashboard))
            stack.enter_context(_replaced("parameter", "RayParams", _without_monitors))
            stack.enter_context(_replaced("services", "get_node", _found_soon))
        yield


@contextmanager
def _replaced(module: str, name: str, make: Callable[[Callable[..., object]], Callable[..., object]]) -> Iterator[None]:
    found = import_module(f"ray._private.{module}")
    original = getattr(found, name)
    setattr(found, name, make(original))
    try:
        yield
    finally:
        setattr(found, name, original)


def _no_dashboard(_start: Callable[..., object]) -> Callable[..., object]:
    return lambda *_arguments, **_options: (None, None)  # no address, no process


def _without_monitors(parameters: Callable[..., object]) -> Callable[..., object]:
    return lambda *arguments, **options: parameters(
        *arguments, **({"no_monitor": True, "include_log_monitor": False} | options)
    )


def _found_soon(get_node: Callable[..., object]) -> Callable[..., object]:
    """Ask for a node when it is there: the original sleeps for a second whenever it is not."""

    def found(address: str, node_id: str) -> object:
        from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled, and left out of its stubs

        client, ends = GcsClient(address=address), time.monotonic() + _REGISTERED_S
        while time.monotonic() < ends:
            if any(known.hex() == node_id for known in client.get_all_node_info(timeout=_REGISTERED_S)):
                break
            time.sleep(_POLL_S)  # noqa: TID251  # Ray starts in other processes, and this one waits for it
        return get_node(address, node_id)

    return found
