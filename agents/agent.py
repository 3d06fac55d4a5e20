"""One agent: an identity with its connection, which pulls its role's work into free slots and runs it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
from structlog.contextvars import bind_contextvars

from remit.agents import footprint
from remit.agents.asker import Asker
from remit.agents.attempt import Attempt
from remit.agents.handler import Handler
from remit.bus import subject
from remit.bus.connection import Bus
from remit.bus.consumer import PullLoop
from remit.contracts.control import Heartbeat
from remit.contracts.errors import BusUnavailableError, MalformedMessageError
from remit.contracts.ids import pool_of
from remit.contracts.lease import LeaseRevoked
from remit.contracts.message import decode, encode
from remit.contracts.step import RunStep

if TYPE_CHECKING:
    from collections.abc import Callable

    from remit.agents.asker import Patience
    from remit.agents.role import AnyRole
    from remit.bus.connection import Credentials, Incoming
    from remit.bus.consumer import Delivery
    from remit.contracts.upcast import Upcasts

log = structlog.get_logger(__name__)

Step = tuple[str, str, int]
"""Run, step and epoch: what a delivery is about."""


@dataclass(frozen=True, kw_only=True)
class AgentSpec:
    """Who to be: a name, the proof of it, a role, and how many steps at once."""

    agent: str
    kind: type[AnyRole]
    credentials: Credentials | None
    slots: int = 32
    patience: Patience | None = None
    group_commit: bool = False
    """Whether appends are gathered: where the server syncs every write."""
    upcasts: Upcasts = field(default_factory=dict)

    @property
    def role(self) -> str:
        """Name of the role."""
        return self.kind.role_name()

    @property
    def pool(self) -> str:
        """The pool whose work it pulls: of the role, or of the role in an older build."""
        return pool_of(self.agent)


class Agent:
    """Pulls no more than fits its free slots; every step runs in a task of its own."""

    def __init__(self, spec: AgentSpec, host: str, *, bus: Bus, on_bug: Callable[[BaseException], None]) -> None:
        self.spec = spec
        self.is_draining = False
        self._host = host
        self._bus = bus
        self._on_bug = on_bug
        self._asker = Asker(
            bus, role=spec.role, agent=spec.agent, patience=spec.patience, group_commit=spec.group_commit
        )
        self._handler = Handler(spec.kind, spec.upcasts)
        self._attempts: dict[Step, tuple[Attempt, asyncio.Task[None]]] = {}
        self._told = bus.new_inbox("told")
        """Where the supervisor says at any time, in answer to a heartbeat, that a step was taken from us."""
        self._pull: PullLoop | None = None

    @classmethod
    async def start(
        cls,
        spec: AgentSpec,
        *,
        host: str,
        url: str,
        on_bug: Callable[[BaseException], None],
        on_lost: Callable[[str], None],
    ) -> Agent:
        """Give an agent that pulls work; `on_lost` hears its name when the server will not have it any more.

        Raises:
            BusUnavailableError: nobody answers at the url; nothing is left behind.
            CredentialsRefusedError: the server does not know this agent; nothing is left behind.
        """
        bus = await Bus.connect(
            url, name=spec.agent, credentials=spec.credentials, on_closed=lambda: on_lost(spec.agent)
        )
        try:
            agent = cls(spec, host, bus=bus, on_bug=on_bug)
            await bus.subscribe(agent._told, agent._on_told)
            agent.beat()
            agent._pull = await PullLoop.start(
                bus, subject.JOURNAL, spec.pool, agent._on_delivery, batch=spec.slots, limit=spec.slots
            )
        except BaseException:
            await bus.close()
            raise
        log.info("agent.started", agent=spec.agent, role=spec.role, slots=spec.slots)
        return agent

    @property
    def busy(self) -> int:
        """Slots in use."""
        return len(self._attempts)

    def beat(self) -> None:
        """The supervisor is told that this agent lives.

        Raises:
            BusUnavailableError: the connection is closed, or its buffer full; nobody is told.
        """
        beat = Heartbeat(
            agent=self.spec.agent,
            role=self.spec.role,
            host=self._host,
            pid=os.getpid(),
            slots=self.spec.slots,
            busy=self.busy,
            state="draining" if self.is_draining else "ready",
            age_s=round(footprint.age_s(), 1),
            memory_bytes=footprint.memory_bytes(),
        )
        self._bus.send(subject.registry(self.spec.agent), encode(beat), reply=self._told)

    async def drain(self, deadline_s: float) -> None:
        """Nothing runs here any more and the connection is closed; what was not done by the deadline is handed back."""
        await self.rest()
        await self._let_end(deadline_s)
        self._try_beat()
        await self._bus.close()
        log.info("agent.drained", agent=self.spec.agent)

    async def rest(self) -> None:
        """Nothing new is taken; what runs goes on."""
        self.is_draining = True
        self._try_beat()
        if self._pull is not None:
            await self._pull.stop()

    async def _let_end(self, deadline_s: float) -> None:
        running = [task for _attempt, task in self._attempts.values()]
        if not running:
            return
        _done, late = await asyncio.wait(running, timeout=deadline_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    def _try_beat(self) -> None:
        try:
            self.beat()
        except BusUnavailableError as error:
            log.warning("heartbeat.missed", agent=self.spec.agent, code=error.code)

    def _on_told(self, message: Incoming) -> None:
        if message.status:
            return  # nobody heard the heartbeat: a supervisor that restarts
        try:
            notice = decode(LeaseRevoked, message.data)
        except MalformedMessageError as error:
            log.warning("notice.ignored", agent=self.spec.agent, error=str(error))
            return
        found = self._attempts.get((notice.run_id, notice.step, notice.epoch))
        if found is not None:
            log.info("step.revoked", run_id=notice.run_id, step=notice.step, epoch=notice.epoch, reason=notice.reason)
            found[0].revoke()

    def _on_delivery(self, delivery: Delivery) -> None:
        if self.is_draining:
            delivery.nak()
            return
        try:
            work = decode(RunStep, delivery.data)
        except MalformedMessageError as error:
            # No answer can be given for a step that cannot be read; its deadline is the supervisor's.
            log.error("step.malformed", subject=delivery.subject, error=str(error))  # noqa: TRY400  # no bug of ours
            delivery.term(str(error))
            return
        step = (work.run_id, work.step, work.epoch)
        if step in self._attempts:
            self._attempts[step][0].adopt(delivery)
            return
        attempt = Attempt(self._asker, self._handler, work=work, delivery=delivery)
        task = asyncio.get_running_loop().create_task(self._run(attempt, work))
        self._attempts[step] = (attempt, task)
        task.add_done_callback(lambda done: self._on_done(step, done))

    async def _run(self, attempt: Attempt, work: RunStep) -> None:
        bind_contextvars(run_id=work.run_id, step=work.step, role=work.role, agent=self.spec.agent, epoch=work.epoch)
        await attempt.run()

    def _on_done(self, step: Step, task: asyncio.Task[None]) -> None:
        attempt, _task = self._attempts.pop(step)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_bug(error)  # the delivery stays untouched: this process ends, and the server hands it out again
        else:
            attempt.leave()
