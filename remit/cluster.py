"""A deployment on a Ray cluster and a NATS that are not ours: started, found again, replaced by a newer build."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Final

from remit import builds, groundwork, loader, logs, places, ray_cluster, shipping
from remit.bus import permission, profile, topology, walls
from remit.bus.access import Access
from remit.bus.blob import Blobs
from remit.bus.identity import Authority, Issuer
from remit.bus.private_file import private_directory
from remit.child_specs import GatewaySpecs, HostSpecs
from remit.contracts.errors import CredentialsRefusedError
from remit.contracts.message import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from remit.bus.topology import Profile
    from remit.contracts.blob import BlobRef
    from remit.loader import Loaded
    from remit.ray_cluster import SupervisorHandle
    from remit.supervisor.actor import SupervisorSpec


DURABILITY_WALL: Final = "W34"


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
    allows_weaker: bool = False
    """Serve also where the server cannot hold every wall; every run then says which."""

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
    weaker: tuple[str, ...]
    """Walls that the server does not hold."""


def deploy(loaded: Loaded, target: Target, *, strands: bool = False) -> Deployed:
    """The team is served on the cluster, whoever ends now; its context is the current one. Repeating it is harmless.

    Raises:
        BusUnavailableError: nobody answers at the addresses of NATS; nothing changed.
        CredentialsRefusedError: the server does not know the deployment's accounts; nothing changed.
        ServerTooWeakError: the server cannot hold every wall, and that was not allowed; nothing changed. Or it does
            not give the profile; streams may have been made.
        BuildRefusedError: this build cannot go on with what is open; what served still does.
        UsageError: the name is no token, or the address of Ray is none; nothing changed.
        ClusterLostError: Ray does not answer, or the supervisor did not start in time; the journal is unharmed.
    """
    permission.inbox(target.name)  # it becomes part of names on the bus and in Ray
    ray_cluster.set_environment(target.ray_address)
    ray_cluster.check_address(target.ray_address)
    private_directory(target.here)
    access = _access_here(target)
    if access.keys is not None:
        groundwork.issue(_issuer(target, access.keys), target.here / "credentials")

    def prepare() -> SupervisorSpec:
        prepared = asyncio.run(_prepare(loaded, target, access, strands=strands))
        return _supervisor_spec(loaded, target, prepared)

    deployed = _start(loaded, target, prepare)
    places.write(deployed.place)
    return deployed


def _access_here(target: Target) -> Access:
    """Where the secrets are mounted here as well, as in a job on a trusted node, nothing else is needed."""
    if target.creds is not None:
        return Access(creds=target.creds)
    is_mounted = target.secrets is not None and (target.secrets / Issuer.SIGNING_FILE).exists()
    return Access(keys=target.secrets if is_mounted else target.here / "keys")


def _issuer(target: Target, keys: Path) -> Issuer:
    return Issuer.read(keys) if keys == target.secrets else Authority.create_or_load(keys)


async def _prepare(loaded: Loaded, target: Target, access: Access, *, strands: bool) -> _Prepared:
    try:
        async with groundwork.connected(target.url, access, "topology") as bus:
            await topology.verify(bus)
            found = await walls.breaches(target.url, access)
            if not target.allows_weaker:
                walls.require(found, where=target.url)
            await topology.ensure(bus, [], profile=target.profile)
            # What serves goes on meanwhile, and somebody else may have deployed from another machine.
            settlement = await groundwork.settle(
                target.url, access, loaded, data=target.here, strands=strands, is_alone=False
            )
            await groundwork.ensure_streams(bus, loaded, settlement, profile=target.profile)
            proof = await groundwork.prove(bus, target.url, access, profile=target.profile)
            if not target.allows_weaker:
                proof.require()
            code = await _ship(Blobs(bus), loaded, settlement)
            weaker = [*(breach.wall for breach in found), *(DURABILITY_WALL for _ in proof.weaknesses[:1])]
            return _Prepared(settlement, code, tuple(weaker))
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
    gathers = profile.gathers(target.profile)
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
        weaker=prepared.weaker,
        group_commit=gathers,
        pool=PoolSpec(
            prefix=target.name,
            generation=_generation(loaded, target, prepared),
            gateways=target.gateways,
            host_actor=HostActor,
            gateway_actor=GatewayActor,
            host_spec=HostSpecs(slots=slots, group_commit=gathers, **common),  # type: ignore[arg-type]  # spelled once for both
            gateway_spec=GatewaySpecs(data=target.here, group_commit=gathers, **common),  # type: ignore[arg-type]
            is_cluster=True,
        ),
    )


def _generation(loaded: Loaded, target: Target, prepared: _Prepared) -> str:
    """Name all that a deployment is made of: the same name is the same deployment, and nothing is to be done.

    Older builds are no part of it: those that this one serves it was given when it started, and they only become fewer.
    """
    parts = [
        loaded.spec().build,
        target.url,
        target.profile,
        str(target.secrets),
        str(target.creds),
        target.gateways,
        prepared.weaker,
        prepared.code[loaded.ref].digest if loaded.ref in prepared.code else "",
        metadata.version("remit"),
    ]
    return digest_of(parts).removeprefix("sha256:")[:12]


def _start(loaded: Loaded, target: Target, prepare: Callable[[], SupervisorSpec]) -> Deployed:
    place, spec = _place(loaded, target), prepare()
    build = loaded.spec().build
    with ray_cluster.joined(target.ray_address):
        ray_cluster.check_trusted(target.ray_address)
        before = ray_cluster.supervisor_of(target.name)
        if before is None:
            _serve(target, spec)
            return Deployed(place=place, build=build, was_there=False)
        if ray_cluster.generation_of(before) == spec.pool.generation:
            ray_cluster.await_ready(before, target.name)
            return Deployed(place=place, build=build, was_there=True)
        _replace(before, target, prepare)
        return Deployed(place=place, build=build, was_there=False, is_replacement=True)


def _serve(target: Target, spec: SupervisorSpec) -> None:
    """A supervisor serves; one that cannot is gone again."""
    supervisor = ray_cluster.create_supervisor(target.name, spec)
    try:
        ray_cluster.await_ready(supervisor, target.name)
    except BaseException:
        ray_cluster.end(supervisor, target.name)
        raise


def _replace(before: SupervisorHandle, target: Target, prepare: Callable[[], SupervisorSpec]) -> None:
    """Another supervisor serves. It is looked again at what is open once nobody begins runs any more.

    If the new one may not or cannot serve, the one before it is started again.
    """
    old = ray_cluster.spec_of(before)
    ray_cluster.end(before, target.name)
    try:
        _serve(target, prepare())
    except BaseException:
        if old is not None:
            ray_cluster.create_supervisor(target.name, old)
        raise


def _place(loaded: Loaded, target: Target) -> places.Place:
    access = _access_here(target)
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
        profile=target.profile,
        keys=str(access.keys or ""),
    )
