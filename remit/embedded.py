"""An embedded deployment: a child nats-server and a local Ray that start and end with this process."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, Final, Protocol, cast

import structlog

from remit import builds, loader, logs, places, shipping
from remit.bus import permission, topology
from remit.bus.access import Access
from remit.bus.connection import Bus
from remit.bus.embedded import EmbeddedServer
from remit.bus.identity import Authority, Credentials
from remit.bus.journal import Journal
from remit.bus.private_file import private_directory
from remit.child_specs import GatewaySpecs, HostSpecs
from remit.contracts.errors import ClusterLostError
from remit.contracts.ids import pool_name

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from ray.actor import ActorHandle

    from remit.bus.embedded import Durability
    from remit.loader import Loaded

log = structlog.get_logger(__name__)

FIRST_PORT: Final = 4222
READY_S: Final = 90.0
DRAIN_S: Final = 4.5
RETRY_S: Final = 0.3
_HEAD: Final = {"gcs_server", "raylet"}
_STORE_FAILED: Final = b"JetStream failed to store a msg"
_ROOM_BYTES: Final = 64 * 1024 * 1024
NAMESPACE: Final = "remit"
_MAX_PAYLOAD_BYTES: Final = 4 * 1024 * 1024
"""A task may have 1 MiB, which its stream says in words; a join of several replies may have more."""
_OBJECT_STORE_BYTES: Final = 80 * 1024 * 1024
"""The smallest that Ray takes: work goes over NATS, so nothing is kept there."""


class _RayNode(Protocol):
    def dead_processes(self) -> list[tuple[str, object]]:
        """Give Ray's own processes that ended by themselves."""


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
            DataDirectoryInUseError: another process runs this deployment; nothing changed.
            ServerStartError: the nats-server did not start.
            BuildRefusedError: this build cannot go on with what is open.
            ClusterLostError: Ray or the supervisor did not start in time.
        """
        private_directory(self.data)
        self._start_server()
        authority = Authority.create_or_load(self.data / "keys")
        self._issue(authority)
        asyncio.run(self._settle_builds())
        asyncio.run(self._ensure_topology())
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

    def _issue(self, authority: Authority) -> None:
        directory = private_directory(self.data / "credentials")
        wanted = {
            "publisher": permission.publisher_permissions("publisher"),
            "operator": permission.operator_permissions("operator"),
            "topology": permission.topology_permissions(),
        }
        for name, permissions in wanted.items():
            authority.issue(name, permissions=permissions).write(directory / f"{name}.creds")

    async def _ensure_topology(self) -> None:
        credentials = Credentials.read(self._credentials("topology"))
        bus = await Bus.connect(self.server.url, name="topology", credentials=credentials)
        try:
            await topology.verify(bus)
            older = [loader.load_aside(ref) for ref in self._settlement.older.values()]
            pools = [
                pool_name(role, build)
                for build, spec in zip(self._settlement.older, older, strict=True)
                for role in spec.roles
            ]
            await topology.ensure(bus, [*sorted(self.loaded.team.roles), *pools], profile=self._durability)
        finally:
            await bus.close()

    async def _settle_builds(self) -> None:
        """It is known how every open run goes on under this build, and this build is kept for those that it begins."""
        bus = await Bus.connect(
            self.server.url, name="topology", credentials=Credentials.read(self._credentials("topology"))
        )
        try:
            await topology.verify(bus)
            await topology.ensure(bus, [], profile=self._durability)
        finally:
            await bus.close()
        operator = Credentials.read(self._credentials("operator"))
        bus = await Bus.connect(self.server.url, name="operator", credentials=operator)
        try:
            journal = Journal(bus)
            self._settlement = await builds.settle(journal, self.loaded, self.data, strands=self._strands)
        finally:
            await bus.close()
        builds.keep(self.loaded, self.data)

    def _credentials(self, name: str) -> Path:
        return self.data / "credentials" / f"{name}.creds"

    def _start_ray(self) -> None:
        os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"  # the hook copies the project for every worker
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        # Ray's default of 15 puts supervisor, gateways and hosts behind whatever else this machine runs.
        os.environ.setdefault("RAY_worker_niceness", "0")
        # Without it Ray replaces the loopback address by an outward one, and listens to everybody.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # without byte code every worker starts three times slower
        import ray

        ray.init(
            address="local",
            namespace=NAMESPACE,
            _node_ip_address="127.0.0.1",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,  # what it says while it starts is not for whoever starts a team
            object_store_memory=_OBJECT_STORE_BYTES,
            num_cpus=2,
        )

    def _start_supervisor(self) -> None:
        import ray

        from remit.supervisor.actor import SupervisorActor

        self._supervisor = SupervisorActor.options(  # type: ignore[attr-defined]  # added by ray.remote
            name=f"{self.name}.supervisor", lifetime="detached", max_concurrency=100
        ).remote(self._supervisor_spec())
        try:
            self._await_supervisor()
        except (ray.exceptions.RayError, ray.exceptions.GetTimeoutError) as error:
            raise ClusterLostError(
                "the supervisor did not start", where=self.name, got=str(error)[-400:], fix="remit doctor"
            ) from error

    def _await_supervisor(self) -> None:
        """Return when the supervisor serves; one that died while it started is started again by Ray."""
        import ray

        ends = time.monotonic() + READY_S
        while True:
            try:
                ray.get(self._supervisor.ready.remote(), timeout=max(ends - time.monotonic(), 0.1))  # type: ignore[union-attr]
            except ray.exceptions.ActorUnavailableError:
                if time.monotonic() > ends:
                    raise
                time.sleep(RETRY_S)  # noqa: TID251  # nothing else runs in this process yet
            else:
                return

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
        if not self._head_is_alive():
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

    def _head_is_alive(self) -> bool:
        """Say whether Ray's own processes live. Without its head Ray ends this process after a minute, in its words."""
        from ray._private import worker

        # No public call answers while the head is gone.
        node = cast("_RayNode | None", worker._global_node)  # noqa: SLF001
        return node is not None and not {kind for kind, _ in node.dead_processes()} & _HEAD

    def _supervisor_spec(self) -> object:
        from remit.agents.actor import HostActor
        from remit.loader import load_aside, load_spec
        from remit.supervisor.actor import SupervisorSpec
        from remit.supervisor.births import PoolSpec
        from remit.tools.actor import GatewayActor

        url, ref, older = self.server.url, self.loaded.ref, self._settlement.older
        access = Access(keys=self.data / "keys")
        slots = self.loaded.spec().slots()
        return SupervisorSpec(
            url=url,
            access=access,
            team_ref=ref,
            load=load_spec,
            load_aside=load_aside,
            older=older,
            inheritance=self._settlement.inheritance,
            unpack=shipping.unpack,
            configure_logs=logs.configure,
            pool=PoolSpec(
                prefix=self.name,
                gateways=1,
                host_actor=HostActor,
                gateway_actor=GatewayActor,
                host_spec=HostSpecs(url=url, access=access, team_ref=ref, older=older, slots=slots),
                gateway_spec=GatewaySpecs(url=url, access=access, team_ref=ref, older=older, data=self.data),
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
