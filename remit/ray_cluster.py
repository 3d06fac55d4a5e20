"""A Ray cluster that is not ours: joined for as long as one command takes, and the supervisor that lives on it."""

from __future__ import annotations

import logging
import os
import re
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, cast

import structlog

from remit.client import error_of
from remit.contracts.errors import ClusterLostError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ray.actor import ActorHandle

    from remit.contracts.errors import Fault
    from remit.supervisor.actor import SupervisorSpec

    SupervisorHandle = ActorHandle[object]

log = structlog.get_logger(__name__)

NAMESPACE: Final = "remit"
READY_S: Final = 120.0
_RETRY_S: Final = 0.2
_CONNECT_S: Final = 5.0
_LOOPBACK: Final = ("127.0.0.1", "localhost")
_ADDRESS: Final = re.compile(r"auto|(?:ray://)?(?P<host>[^\s:/]+):(?P<port>\d{1,5})")
_ANSWER_S: Final = 15.0


def create_supervisor(name: str, spec: SupervisorSpec) -> ActorHandle[object]:
    """Give a supervisor on its way; it lives until it is ended, whoever started it.

    Raises:
        ClusterLostError: there is one by now, of somebody who deploys at the same time; it is left alone.
    """
    from remit.supervisor.actor import SupervisorActor
    from remit.supervisor.births import SHARE_OF_NODE, TRUSTED_RESOURCE

    options = SupervisorActor.options(  # type: ignore[attr-defined]  # added by ray.remote
        name=f"{name}.supervisor",
        lifetime="detached",
        max_concurrency=100,
        resources={TRUSTED_RESOURCE: SHARE_OF_NODE},
    )
    try:
        created: ActorHandle[object] = options.remote(spec)
    except ValueError as error:  # the name is taken
        raise ClusterLostError(
            "somebody else deploys this just now", where=name, got=str(error)[:200], fix="repeat the command"
        ) from error
    return created


def check_trusted(address: str) -> None:
    """A node of the cluster may hold keys.

    Raises:
        ClusterLostError: none does.
    """
    import ray

    from remit.supervisor.births import TRUSTED_RESOURCE

    offered: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # ray says nothing
    if not offered.get(TRUSTED_RESOURCE):
        raise ClusterLostError(
            "no node of this cluster may hold keys",
            where=address,
            expected=f"a node that offers the resource {TRUSTED_RESOURCE}",
            got=", ".join(sorted(name for name in offered if not name.startswith(("node:", "memory", "object_store")))),
            fix=f"ray start … --resources='{{\"{TRUSTED_RESOURCE}\": 1}}'",
        )


@contextmanager
def joined(address: str) -> Iterator[None]:
    """This process is a driver of the cluster while this lasts.

    Raises:
        ClusterLostError: Ray does not answer there.
    """
    host = check_address(address)
    here = host if host in _LOOPBACK else None
    import ray

    try:
        ray.init(
            address=address,
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _node_ip_address=here,
        )
    except (ConnectionError, RuntimeError, ValueError, ImportError) as error:
        raise ClusterLostError(
            "Ray does not answer",
            where=address,
            got=str(error).strip()[-300:],
            fix="check --ray-address with `ray status`",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def set_environment(address: str) -> None:
    """Ray reads these when it is imported for the first time."""
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"  # the hook copies the project for every worker
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if any(host in address for host in _LOOPBACK):
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # else Ray looks for it under an outward address


def check_address(address: str) -> str:
    """Give the host of an address at which somebody listens; Ray itself tries for minutes, and then ends the process.

    Raises:
        ClusterLostError: nobody does.
        UsageError: it is no address.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise UsageError(
            "this is no address of a Ray cluster", expected="HOST:PORT, ray://HOST:PORT or auto", got=address
        )
    host, port = found["host"] or "", found["port"]
    if port is not None:
        try:
            socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
        except OSError as error:
            raise ClusterLostError(
                "Ray does not answer", where=address, got=str(error), fix="see the address in what `ray start` printed"
            ) from error
    return host


def supervisor_of(name: str) -> ActorHandle[object] | None:
    """Give the supervisor of a deployment, or None if there is none."""
    import ray

    try:
        return ray.get_actor(f"{name}.supervisor")
    except ValueError:
        return None


def generation_of(supervisor: ActorHandle[object]) -> str:
    """Give which deployment a supervisor serves; empty if it does not answer, and is to be replaced."""
    import ray

    try:
        return cast("str", _ask(supervisor, "generation", within_s=_ANSWER_S))
    except (ray.exceptions.RayError, ray.exceptions.GetTimeoutError) as error:
        log.warning("supervisor.silent", error=str(error).splitlines()[0][:200])
        return ""


def spec_of(supervisor: ActorHandle[object]) -> SupervisorSpec | None:
    """Give what a supervisor was started with, or None if it does not answer."""
    import ray

    try:
        return cast("SupervisorSpec", _ask(supervisor, "spec", within_s=_ANSWER_S))
    except (ray.exceptions.RayError, ray.exceptions.GetTimeoutError):
        return None


def _ask(supervisor: ActorHandle[object], method: str, *, within_s: float) -> object:
    import ray

    answer: object = ray.get(getattr(supervisor, method).remote(), timeout=within_s)
    return answer


def end(supervisor: ActorHandle[object], name: str) -> None:
    """The old supervisor is gone, at once: what it had in hand is in the journal, and the next one goes on with it.

    Raises:
        ClusterLostError: it does not end.
    """
    import ray

    ray.kill(supervisor)
    ends = time.monotonic() + _ANSWER_S
    while supervisor_of(name) is not None:
        if time.monotonic() > ends:
            raise ClusterLostError("the old supervisor does not end", where=name, fix="repeat the command")
        time.sleep(_RETRY_S)  # noqa: TID251  # nothing else runs in this process


def await_ready(supervisor: ActorHandle[object], name: str) -> None:
    """Return when the supervisor serves; one that died while it started is started again by Ray.

    Raises:
        ClusterLostError: it does not, in time.
        RemitError: it cannot, for a reason that it gives.
    """
    import ray

    ends = time.monotonic() + READY_S
    while True:
        try:
            fault = cast("Fault | None", _ask(supervisor, "ready", within_s=max(ends - time.monotonic(), 0.1)))
        except ray.exceptions.ActorUnavailableError as error:
            if time.monotonic() > ends:
                raise _not_started(name, error) from error
            time.sleep(_RETRY_S)  # noqa: TID251  # nothing else runs in this process
        except (ray.exceptions.RayError, ray.exceptions.GetTimeoutError) as error:
            raise _not_started(name, error) from error
        else:
            if fault is not None:
                raise error_of(fault)
            return


def _not_started(name: str, error: Exception) -> ClusterLostError:
    return ClusterLostError("the supervisor did not start", where=name, got=str(error)[-400:], fix="remit doctor")


def end_by_force(name: str, ray_address: str) -> int:
    """No actor of a deployment lives any more; give how many there were. For a supervisor that does not answer."""
    set_environment(ray_address)
    from remit.supervisor import children

    with joined(ray_address):
        supervisor = supervisor_of(name)
        if supervisor is not None:
            end(supervisor, name)  # first: it would start again whom we end
        found = children.find(name)
        for child in found:
            child.kill()
        return len(found) + (supervisor is not None)
