"""A deployment on a Ray cluster and a NATS that are not ours: started, found again, replaced by a newer build."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Final, cast

import structlog

from remit import builds, groundwork, loader, logs, places, shipping
from remit.bus import topology
from remit.bus.access import Access
from remit.bus.blob import Blobs
from remit.bus.identity import Authority
from remit.bus.private_file import private_directory
from remit.child_specs import GatewaySpecs, HostSpecs
from remit.contracts.errors import ClusterLostError, CredentialsRefusedError, UsageError
from remit.contracts.message import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ray.actor import ActorHandle

    from remit.bus.topology import Profile
    from remit.contracts.blob import BlobRef
    from remit.loader import Loaded
    from remit.supervisor.actor import SupervisorSpec

log = structlog.get_logger(__name__)

NAMESPACE: Final = "remit"
READY_S: Final = 120.0
_RETRY_S: Final = 0.2
_CONNECT_S: Final = 5.0
_LOOPBACK: Final = ("127.0.0.1", "localhost")
_ADDRESS: Final = re.compile(r"auto|(?:ray://)?(?P<host>[^\s:/]+):(?P<port>\d{1,5})")
_ANSWER_S: Final = 15.0


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a team is to run, and as whom."""

    name: str
    url: str
    """Addresses of NATS, with commas."""
    ray_address: str
    profile: Profile = "cluster"
    secrets: Path | None = None
    """Folder with the signing keys on the nodes that may hold them; None where they see this machine's files."""
    creds: Path | None = None
    """The one identity of a weaker server, as a file on every node."""
    gateways: int = 2

    @property
    def here(self) -> Path:
        """The deployment's folder on this machine."""
        return places.data_directory(self.name)


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """What a deployment came to."""

    place: places.Place
    build: str
    was_there: bool
    """This very build served already, and nothing changed."""
    is_replacement: bool = False
    """Another build, or other settings, served before."""


@dataclass(frozen=True)
class _Prepared:
    settlement: builds.Settlement
    code: Mapping[str, BlobRef]


def deploy(loaded: Loaded, target: Target, *, strands: bool = False) -> Deployed:
    """The team is served on the cluster, whoever ends now; its context is the current one. Repeating it is harmless.

    Raises:
        BusUnavailableError: nobody answers at the addresses of NATS; nothing changed.
        CredentialsRefusedError: the server does not know the deployment's accounts; nothing changed.
        ServerTooWeakError: the server does not give the profile; streams may have been made.
        BuildRefusedError: this build cannot go on with what is open; what served still does.
        UsageError: the address of Ray is none; nothing changed.
        ClusterLostError: Ray does not answer, or the supervisor did not start in time; the journal is unharmed.
    """
    _set_environment(target.ray_address)
    _check_address(target.ray_address)
    private_directory(target.here)
    access = _access_here(target)
    if access.keys is not None:
        groundwork.issue(Authority.create_or_load(access.keys), target.here / "credentials")
    prepared = asyncio.run(_prepare(loaded, target, access, strands=strands))
    spec = _supervisor_spec(loaded, target, prepared)
    deployed = _start(loaded, target, spec)
    places.write(deployed.place)
    return deployed


def _access_here(target: Target) -> Access:
    return Access(creds=target.creds) if target.creds is not None else Access(keys=target.here / "keys")


async def _prepare(loaded: Loaded, target: Target, access: Access, *, strands: bool) -> _Prepared:
    try:
        async with groundwork.connected(target.url, access, "topology") as bus:
            await topology.verify(bus)
            await topology.ensure(bus, [], profile=target.profile)
            settlement = await groundwork.settle(target.url, access, loaded, data=target.here, strands=strands)
            await groundwork.ensure_streams(bus, loaded, settlement, profile=target.profile)
            return _Prepared(settlement, await _ship(Blobs(bus), loaded, settlement))
    except CredentialsRefusedError as error:
        raise CredentialsRefusedError(
            "the server does not know this deployment's accounts",
            where=target.url,
            got=error.got,
            fix=f"remit identity export --name {target.name} --out remit-nats, and give it to who runs NATS",
        ) from error


async def _ship(blobs: Blobs, loaded: Loaded, settlement: builds.Settlement) -> dict[str, BlobRef]:
    """Code that lies in a folder is in the object store, by its reference; what is a module is in the nodes' image."""
    refs = [ref for ref in (loaded.ref, *settlement.older.values()) if ref.endswith(".py")]
    return {ref: await blobs.put(shipping.pack(ref)) for ref in refs}


def _supervisor_spec(loaded: Loaded, target: Target, prepared: _Prepared) -> SupervisorSpec:
    from remit.agents.actor import HostActor
    from remit.supervisor.actor import SupervisorSpec
    from remit.supervisor.births import PoolSpec
    from remit.tools.actor import GatewayActor

    # Where everything is one machine, the supervisor reads what we wrote here.
    access = Access(creds=target.creds) if target.creds else Access(keys=target.secrets or target.here / "keys")
    common = {"url": target.url, "access": access, "team_ref": loaded.ref, "older": prepared.settlement.older}
    slots = loaded.spec().slots()
    return SupervisorSpec(
        url=target.url,
        access=access,
        team_ref=loaded.ref,
        load=loader.load_spec,
        load_aside=loader.load_aside,
        older=prepared.settlement.older,
        inheritance=prepared.settlement.inheritance,
        code=prepared.code,
        unpack=shipping.unpack,
        configure_logs=logs.configure,
        pool=PoolSpec(
            prefix=target.name,
            generation=_generation(loaded, target, prepared),
            gateways=target.gateways,
            host_actor=HostActor,
            gateway_actor=GatewayActor,
            host_spec=HostSpecs(slots=slots, **common),  # type: ignore[arg-type]  # spelled once for both
            gateway_spec=GatewaySpecs(data=target.here, **common),  # type: ignore[arg-type]
            is_cluster=True,
        ),
    )


def _generation(loaded: Loaded, target: Target, prepared: _Prepared) -> str:
    """Name all that a deployment is made of: the same name is the same deployment, and nothing is to be done."""
    parts = [
        loaded.spec().build,
        target.url,
        target.profile,
        str(target.secrets),
        str(target.creds),
        target.gateways,
        sorted(prepared.settlement.older.items()),
        sorted((ref, blob.digest) for ref, blob in prepared.code.items()),
        metadata.version("remit"),
    ]
    return digest_of(parts).removeprefix("sha256:")[:12]


def _start(loaded: Loaded, target: Target, spec: SupervisorSpec) -> Deployed:
    place = _place(loaded, target)
    build = loaded.spec().build
    with on_ray(target.ray_address):
        _check_nodes(target)
        before = supervisor_of(target.name)
        if before is not None and _generation_of(before) == spec.pool.generation:
            _await(before, target)
            return Deployed(place=place, build=build, was_there=True)
        if before is not None:
            _end(before, target.name)
        _await(_create(target, spec), target)
        return Deployed(place=place, build=build, was_there=False, is_replacement=before is not None)


def _create(target: Target, spec: SupervisorSpec) -> ActorHandle[object]:
    from remit.supervisor.actor import SupervisorActor
    from remit.supervisor.births import SHARE_OF_NODE, TRUSTED_RESOURCE

    created: ActorHandle[object] = SupervisorActor.options(  # type: ignore[attr-defined]  # added by ray.remote
        name=f"{target.name}.supervisor",
        lifetime="detached",
        max_concurrency=100,
        resources={TRUSTED_RESOURCE: SHARE_OF_NODE},
    ).remote(spec)
    return created


def _check_nodes(target: Target) -> None:
    import ray

    from remit.supervisor.births import TRUSTED_RESOURCE

    offered: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # ray says nothing
    if not offered.get(TRUSTED_RESOURCE):
        raise ClusterLostError(
            "no node of this cluster may hold keys",
            where=target.ray_address,
            expected=f"a node that offers the resource {TRUSTED_RESOURCE}",
            got=", ".join(sorted(name for name in offered if not name.startswith(("node:", "memory", "object_store")))),
            fix=f"ray start … --resources='{{\"{TRUSTED_RESOURCE}\": 1}}'",
        )


@contextmanager
def on_ray(address: str) -> Iterator[None]:
    """This process is a driver of the cluster while this lasts.

    Raises:
        ClusterLostError: Ray does not answer there.
    """
    host = _check_address(address)
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


def _set_environment(address: str) -> None:
    """Ray reads these when it is imported for the first time."""
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"  # the hook copies the project for every worker
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if any(host in address for host in _LOOPBACK):
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # else Ray looks for it under an outward address


def _check_address(address: str) -> str:
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


def _generation_of(supervisor: ActorHandle[object]) -> str:
    """Give which deployment a supervisor serves; empty if it does not answer, and is to be replaced."""
    import ray

    try:
        return cast("str", _ask(supervisor, "generation", within_s=_ANSWER_S))
    except (ray.exceptions.RayError, ray.exceptions.GetTimeoutError) as error:
        log.warning("supervisor.silent", error=str(error).splitlines()[0][:200])
        return ""


def _ask(supervisor: ActorHandle[object], method: str, *, within_s: float) -> object:
    import ray

    answer: object = ray.get(getattr(supervisor, method).remote(), timeout=within_s)
    return answer


def _end(supervisor: ActorHandle[object], name: str) -> None:
    """The old supervisor is gone, at once: what it had in hand is in the journal, and the next one goes on with it."""
    import ray

    ray.kill(supervisor)
    ends = time.monotonic() + _ANSWER_S
    while supervisor_of(name) is not None:
        if time.monotonic() > ends:
            raise ClusterLostError("the old supervisor does not end", where=name, fix="repeat the command")
        time.sleep(_RETRY_S)  # noqa: TID251  # nothing else runs in this process


def _await(supervisor: ActorHandle[object], target: Target) -> None:
    """Return when the supervisor serves; one that died while it started is started again by Ray."""
    import ray

    ends = time.monotonic() + READY_S
    while True:
        try:
            _ask(supervisor, "ready", within_s=max(ends - time.monotonic(), 0.1))
        except ray.exceptions.ActorUnavailableError as error:
            if time.monotonic() > ends:
                raise _not_started(target, error) from error
            time.sleep(_RETRY_S)  # noqa: TID251  # nothing else runs in this process
        except (ray.exceptions.RayError, ray.exceptions.GetTimeoutError) as error:
            raise _not_started(target, error) from error
        else:
            return


def _not_started(target: Target, error: Exception) -> ClusterLostError:
    return ClusterLostError(
        "the supervisor did not start", where=target.name, got=str(error)[-400:], fix="remit doctor"
    )


def _place(loaded: Loaded, target: Target) -> places.Place:
    credentials = target.here / "credentials"
    return places.Place(
        name=target.name,
        url=target.url,
        team=loaded.team.name,
        team_ref=loaded.ref,
        data=str(target.here),
        publisher=str(target.creds or credentials / "publisher.creds"),
        operator=str(target.creds or credentials / "operator.creds"),
        ray_address=target.ray_address,
    )


def end_by_force(name: str, ray_address: str) -> int:
    """No actor of a deployment lives any more; give how many there were. For a supervisor that does not answer."""
    _set_environment(ray_address)
    import ray

    from remit.supervisor import children

    with on_ray(ray_address):
        supervisor = supervisor_of(name)
        if supervisor is not None:
            ray.kill(supervisor)
        found = children.find(name)
        for child in found:
            child.kill()
        return len(found) + (supervisor is not None)
