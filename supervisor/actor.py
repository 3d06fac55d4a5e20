"""Ray shell around the supervisor: Ray restarts it, and it goes on from the journal."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NoReturn

import ray
import structlog

from remit.bus import permission
from remit.bus.blob import Blobs
from remit.bus.connection import Bus
from remit.contracts.errors import BusUnavailableError, RemitError, RetryableError
from remit.contracts.proposal import TEAM_SCOPE
from remit.contracts.team import with_older
from remit.supervisor import wishes
from remit.supervisor.pool import Pools
from remit.supervisor.service import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remit.bus.access import Access
    from remit.bus.identity import Credentials
    from remit.contracts.blob import BlobRef
    from remit.contracts.errors import Fault
    from remit.contracts.team import TeamSpec
    from remit.supervisor.binding import Inheritance
    from remit.supervisor.births import PoolSpec

log = structlog.get_logger(__name__)

BUG_EXIT: Final = 70
TOLD_S: Final = 5.0
"""How long a supervisor that cannot start stays, so that it can be asked why."""


@dataclass(frozen=True, kw_only=True)
class SupervisorSpec:
    """Where the bus is, where the keys are (files, never values), and what team to supervise."""

    url: str
    access: Access
    team_ref: str
    load: Callable[[str], TeamSpec]
    load_aside: Callable[[str], TeamSpec]
    """Loads a team whose modules may be named like those of the first one."""
    older: Mapping[str, str]
    """References of the older builds that runs are pinned to, by their digest."""
    inheritance: Inheritance
    code: Mapping[str, BlobRef] = field(default_factory=dict)
    """Where the shipped code of a build lies in the object store, by its reference; the rest is installed."""
    unpack: Callable[[bytes], str]
    """Makes shipped code readable here, and gives the reference by which it is loaded."""
    weaker: tuple[str, ...] = ()
    """Walls that the server cannot hold, as somebody allowed: every run says so."""
    pool: PoolSpec
    group_commit: bool
    """Whether appends are gathered: where the server syncs every write."""
    configure_logs: Callable[[], None]


@ray.remote(max_restarts=-1, max_task_retries=0, num_cpus=0)
class SupervisorActor:
    """One team's supervisor. It starts by itself, so that a restart by Ray needs nobody."""

    def __init__(self, spec: SupervisorSpec) -> None:
        self._spec = spec
        self._started: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._fault: Fault | None = None
        self._loop = asyncio.get_event_loop()
        self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        if self._started is None:
            self._started = self._loop.create_task(self._run())
            self._started.add_done_callback(self._on_ended)

    def _on_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if isinstance(error, RemitError) and not isinstance(error, RetryableError) and not self._ready.is_set():
            # Started again it would fail again: whoever waits hears why, and Ray's restarts keep a pace.
            self._fault = error.fault()
            self._ready.set()
            self._loop.call_later(TOLD_S, _end_process, error)
        else:
            _end_process(error)

    async def ready(self) -> Fault | None:
        """Return when tasks are taken; or why they are not, and will not be as things stand."""
        self._begin()
        await self._ready.wait()
        return self._fault

    async def generation(self) -> str:
        """Give which deployment this is."""
        return self._spec.pool.generation

    async def spec(self) -> SupervisorSpec:
        """Give what it was started with, for a deployment that fails to replace it."""
        return self._spec

    async def pid(self) -> int:
        """Give the process."""
        return os.getpid()

    def _team(self, code: Mapping[str, bytes]) -> TeamSpec:
        spec = self._spec
        here = {ref: spec.unpack(archive) for ref, archive in code.items()}
        older = {build: here.get(ref, ref) for build, ref in spec.older.items()}
        team = replace(spec.load(here.get(spec.team_ref, spec.team_ref)), weaker=spec.weaker)
        return with_older(team, spec.load_aside, older)

    async def _run(self) -> None:
        spec = self._spec
        spec.configure_logs()
        journal_bus = await _connect(
            spec.url, "supervisor", spec.access.own("supervisor", permission.supervisor_permissions())
        )
        answer_bus = await _connect(
            spec.url,
            "supervisor-answer",
            spec.access.own("supervisor-answer", permission.supervisor_answer_permissions()),
        )
        code = {ref: await Blobs(journal_bus).get(blob) for ref, blob in spec.code.items()}
        team = self._team(code)
        supervisor = Supervisor(
            team,
            journal_bus=journal_bus,
            answer_bus=answer_bus,
            on_bug=_end_process,
            inheritance=spec.inheritance,
            group_commit=spec.group_commit,
        )
        await supervisor.recover()
        pools = Pools(spec.pool, team, supervisor=supervisor, issuer=spec.access.issuer(), code=code)
        await pools.adopt(wishes.hosts(team.roles, wishes.changes(supervisor.arbiter.values(TEAM_SCOPE))))
        await supervisor.serve(pools)
        pools.settle_dead()
        self._ready.set()
        log.info("supervisor.started", team=team.name, build=team.build, charter=team.charter_digest)
        await pools.run()
        await supervisor.stop()
        log.info("supervisor.ended", reason="down")
        ray.kill(ray.get_runtime_context().current_actor)  # for good: whoever dies otherwise is started again


async def _connect(url: str, name: str, credentials: Credentials | None) -> Bus:
    # Deaf for ever it would still look alive: Ray restarts only a process that has ended.
    closed = BusUnavailableError("the connection to NATS is closed for good", where=name)
    return await Bus.connect(url, name=name, credentials=credentials, on_closed=lambda: _end_process(closed))


def _end_process(error: BaseException) -> NoReturn:
    log.error("supervisor.ended", error=type(error).__name__, exc_info=error)
    os._exit(BUG_EXIT)  # no clean-up: what is in memory is in doubt, and the journal is not
