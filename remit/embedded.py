"""An embedded deployment: a child nats-server and a local Ray that start and end with this process."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from typing import TYPE_CHECKING, Final

import structlog

from remit import builds, groundwork, local_ray, logs, places, ray_cluster, shipping
from remit.bus import profile, topology
from remit.bus.access import Access
from remit.bus.embedded import EmbeddedServer
from remit.bus.identity import Authority
from remit.bus.private_file import private_directory
from remit.child_specs import GatewaySpecs, HostSpecs
from remit.contracts.errors import ClusterLostError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from ray.actor import ActorHandle

    from remit.bus.embedded import Durability
    from remit.loader import Loaded
    from remit.supervisor.actor import SupervisorSpec

log = structlog.get_logger(__name__)

FIRST_PORT: Final = 4222
DRAIN_S: Final = 4.5
_STORE_FAILED: Final = b"JetStream failed to store a msg"
_ROOM_BYTES: Final = 64 * 1024 * 1024
_MAX_PAYLOAD_BYTES: Final = 4 * 1024 * 1024
"""A task may have 1 MiB, which its stream says in words; a join of several replies may have more."""


class Embedded:
    """A deployment of one team on this machine; `start`, then `stop`, whatever happens in between."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        name: str,
        port: int | None = FIRST_PORT,
        durability: Durability,
        strands: bool = False,
    ) -> None:
        self._strands = strands
        self._settlement = builds.Settlement()
        self.loaded = loaded
        self.name = name
        self.data = places.data_directory(name)
        self._port = port
        self._durability = durability
        self._server: EmbeddedServer | None = None
        self._read_of_log = 0
        self._is_store_broken = False
        self._supervisor: ActorHandle[object] | None = None
        self._is_up = False

    @property
    def server(self) -> EmbeddedServer:
        """The child nats-server.

        Raises:
            ClusterLostError: it is not started.
        """
        if self._server is None:
            raise ClusterLostError("the deployment is not started", where=self.name, fix="remit up")
        return self._server

    @property
    def is_up(self) -> bool:
        """Whether tasks were taken, and nothing was stopped since."""
        return self._is_up

    def start(self) -> places.Place:
        """Tasks are taken; the context of this deployment is the current one.

        Raises:
            EnvironmentFaultError: a restore was cut off in its directory; nothing changed.
            DataDirectoryInUseError: another process runs this deployment; nothing changed.
            ServerStartError: the nats-server did not start.
            ServerTooWeakError: it does not give the profile.
            BuildRefusedError: this build cannot go on with what is open.
            ClusterLostError: Ray or the supervisor did not start in time.
        """
        places.check_whole(self.data)
        private_directory(self.data)
        self._start_server()
        groundwork.issue(Authority.create_or_load(self.data / "keys"), self.data / "credentials")
        asyncio.run(self._lay_ground())
        self._start_ray()
        self._start_supervisor()
        place = self.place
        places.write(place)
        self._is_up = True
        return place

    def _start_server(self) -> None:
        self._server = EmbeddedServer.start(
            self.data, port=self._port, durability=self._durability, max_payload_bytes=_MAX_PAYLOAD_BYTES
        )

    async def _lay_ground(self) -> None:
        """Streams and pools are there, and it is known how every open run goes on under this build."""
        url = self.server.url
        async with groundwork.connected(url, self._access, "topology") as bus:
            await topology.verify(bus)
            await topology.ensure(bus, [], profile=self._durability)
            self._settlement = await groundwork.settle(
                url, self._access, self.loaded, data=self.data, strands=self._strands
            )
            await groundwork.ensure_streams(bus, self.loaded, self._settlement, profile=self._durability)
            if self._durability != "embedded":
                (await groundwork.prove(bus, url, self._access, profile=self._durability)).require()

    @property
    def _access(self) -> Access:
        return Access(keys=self.data / "keys")

    def _credentials(self, name: str) -> Path:
        return self.data / "credentials" / f"{name}.creds"

    def _start_ray(self) -> None:
        local_ray.start()

    def _start_supervisor(self) -> None:
        from remit.supervisor.actor import SupervisorActor
        from remit.supervisor.births import start_early

        spec = self._supervisor_spec()
        self._supervisor = SupervisorActor.options(  # type: ignore[attr-defined]  # added by ray.remote
            name=f"{self.name}.supervisor", lifetime="detached", max_concurrency=100
        ).remote(spec)
        start_early(spec.pool, self.loaded.team.spec(self.loaded.charter))
        ray_cluster.await_ready(self._supervisor, self.name)

    def tend(self) -> None:
        """The nats-server runs: one that died is started again on its port, with its data.

        Raises:
            ServerStartError: it does not start again.
            ClusterLostError: Ray's head is gone; what runs is in the journal, and the next start goes on with it.
        """
        if not self.server.is_running:
            log.warning("server.restarted", deployment=self.name)
            self._start_server()
        elif self._store_failed():
            log.warning("server.restarted", deployment=self.name, reason="its store failed; the disk has room again")
            self.server.stop()
            self._start_server()
        if not local_ray.head_is_alive():
            raise ClusterLostError("Ray's head is gone", where=self.name, fix="remit up")

    def _store_failed(self) -> bool:
        """Say whether the server failed to store lately, and could now.

        A stream whose file could not be written refuses for good, also when the disk has room again: nats-server
        2.15.1 takes it up again only when it is started anew.
        """
        with self.server.log_path.open("rb") as written:
            written.seek(self._read_of_log)
            said = written.read()
        self._read_of_log += len(said)
        self._is_store_broken |= _STORE_FAILED in said
        if not self._is_store_broken or shutil.disk_usage(self.data).free < _ROOM_BYTES:
            return False
        self._is_store_broken = False
        return True

    def _supervisor_spec(self) -> SupervisorSpec:
        from remit.agents.actor import HostActor
        from remit.loader import load_aside, load_spec
        from remit.supervisor.actor import SupervisorSpec
        from remit.supervisor.births import PoolSpec
        from remit.tools.actor import GatewayActor

        url, ref, older = self.server.url, self.loaded.ref, self._settlement.older
        access = self._access
        gathers = profile.gathers(self._durability)
        slots = self.loaded.spec().slots()
        return SupervisorSpec(
            url=url,
            access=access,
            team_ref=ref,
            load=load_spec,
            load_aside=load_aside,
            older=older,
            inheritance=self._settlement.inheritance,
            group_commit=gathers,
            unpack=shipping.unpack,
            configure_logs=logs.configure,
            pool=PoolSpec(
                prefix=self.name,
                gateways=1,
                host_actor=HostActor,
                gateway_actor=GatewayActor,
                host_spec=HostSpecs(
                    url=url, access=access, team_ref=ref, older=older, slots=slots, group_commit=gathers
                ),
                gateway_spec=GatewaySpecs(
                    url=url, access=access, team_ref=ref, older=older, data=self.data, group_commit=gathers
                ),
            ),
        )

    @property
    def place(self) -> places.Place:
        """How commands find this deployment."""
        return places.Place(
            name=self.name,
            url=self.server.url,
            team=self.loaded.team.name,
            team_ref=self.loaded.ref,
            data=str(self.data),
            publisher=str(self._credentials("publisher")),
            operator=str(self._credentials("operator")),
        )

    def drain(self, within_s: float = DRAIN_S) -> None:
        """Hosts pull no more and gave their steps back; what was not done in time is dispatched at the next start."""
        import ray

        from remit.supervisor import children

        ends = time.monotonic() + within_s
        found = children.find(self.name)
        hosts = [child.actor for child in found if child.kind == "host"]
        gateways = [child.actor for child in found if child.kind == "gateway"]
        # Hosts first: a step that ends in time may still call its tools.
        for actors, arguments, share in ((hosts, (None,), 0.7), (gateways, (), 1.0)):
            left_s = max(0.1, (ends - time.monotonic()) * share)
            asked = [actor.drain.remote(*arguments, left_s) for actor in actors]
            if asked:
                ray.wait(asked, num_returns=len(asked), timeout=left_s)  # type: ignore[arg-type]  # a list of references

    def stop(self, grace_s: float = 5.0) -> None:
        """Nothing of this deployment runs any more; the journal stays, and the next start goes on from it."""
        self._is_up = False
        ray = sys.modules.get("ray")  # a start that was cut off may not have come so far
        try:
            if ray is not None and hasattr(ray, "shutdown"):
                ray.shutdown()
        finally:
            if self._server is not None:
                self._server.stop(grace_s)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
