"""A process that holds agents: starts them, beats their hearts, drains them. Knows nothing of Ray."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from remit.agents.agent import Agent, AgentSpec
from remit.contracts.errors import BusUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

__all__ = ["AgentReport", "AgentSpec", "Host", "HostReport"]

log = structlog.get_logger(__name__)

BEAT_S: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class AgentReport:
    """One agent of a host, now."""

    agent: str
    role: str
    slots: int
    busy: int
    is_draining: bool


@dataclass(frozen=True, kw_only=True)
class HostReport:
    """A host, now."""

    host: str
    pid: int
    agents: tuple[AgentReport, ...]

    @property
    def busy(self) -> int:
        """Steps that run."""
        return sum(agent.busy for agent in self.agents)


class Host:
    """The agents of one process, one connection each."""

    def __init__(self, name: str, url: str, *, on_bug: Callable[[BaseException], None]) -> None:
        self.name = name
        self._url = url
        self._on_bug = on_bug
        self._agents: dict[str, Agent] = {}
        self._lock = asyncio.Lock()
        """Guards which agents there are, while one starts or drains."""
        self._beating: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        """What is left of agents that the server will not have any more."""

    async def ensure(self, specs: Sequence[AgentSpec]) -> None:
        """Every named agent pulls work; those that did already are left alone.

        Raises:
            BusUnavailableError: an agent could not connect; those before it work, and `ensure` may be repeated.
            CredentialsRefusedError: the server does not know an agent; the same holds.
        """
        async with self._lock:
            for spec in specs:
                if spec.agent not in self._agents:
                    self._agents[spec.agent] = await Agent.start(
                        spec, host=self.name, url=self._url, on_bug=self._on_bug, on_lost=self._on_lost
                    )
            if self._beating is None and self._agents:
                self._beating = asyncio.create_task(self._beat())
                self._beating.add_done_callback(self._on_task_ended)

    async def rest(self) -> None:
        """No agent here takes new work; what runs goes on."""
        async with self._lock, asyncio.TaskGroup() as group:
            for agent in self._agents.values():
                group.create_task(agent.rest())

    async def drain(self, pools: Collection[str] | None = None, *, deadline_s: float) -> None:
        """The agents of these pools (of all, if None) are gone; what was not done by the deadline is handed back."""
        async with self._lock:
            leaving = [agent for agent in self._agents.values() if pools is None or agent.spec.pool in pools]
            async with asyncio.TaskGroup() as group:
                for agent in leaving:
                    group.create_task(agent.drain(deadline_s))
            for agent in leaving:
                self._agents.pop(agent.spec.agent, None)
            if not self._agents:
                await self._stop_beating()
            await asyncio.gather(*self._leaving)

    def describe(self) -> HostReport:
        """Give what runs here now."""
        agents = tuple(
            AgentReport(
                agent=name,
                role=agent.spec.role,
                slots=agent.spec.slots,
                busy=agent.busy,
                is_draining=agent.is_draining,
            )
            for name, agent in self._agents.items()
        )
        return HostReport(host=self.name, pid=os.getpid(), agents=agents)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            for agent in self._agents.values():
                try:
                    agent.beat()
                except BusUnavailableError as error:
                    log.warning("heartbeat.missed", agent=agent.spec.agent, code=error.code)

    def _on_lost(self, name: str) -> None:
        # Revoked or expired: nothing it does can be told any more, and the supervisor hands its steps to others.
        agent = self._agents.pop(name, None)
        log.error("agent.lost", agent=name)
        if agent is not None:
            leaving = asyncio.get_running_loop().create_task(agent.drain(0))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
            leaving.add_done_callback(self._on_task_ended)

    def _on_task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_bug(error)

    async def _stop_beating(self) -> None:
        beating, self._beating = self._beating, None
        if beating is not None:
            beating.cancel()
            await asyncio.wait((beating,))
