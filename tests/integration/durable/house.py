"""A whole team in one process on a real server: supervisor, gateway and agents, each as a deployment starts them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import msgspec

from remit.agents.agent import Agent, AgentSpec
from remit.bus import topology
from remit.bus.connection import Bus
from remit.contracts.charter import (
    Charter,
    CompletionCheck,
    ReviewPath,
    RoleCharter,
    RoleLimits,
    Rollback,
    RunLimits,
    ToolCharter,
)
from remit.contracts.control import ControlDone
from remit.contracts.ids import new_agent, new_gateway
from remit.contracts.message import decode
from remit.tools.gateway import Gateway
from tests.integration.supervisor.world import World, crash

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remit import Team
    from remit.contracts.task import RunFinished
    from remit.supervisor.service import Supervisor

T = TypeVar("T", bound=msgspec.Struct)

DONE = CompletionCheck(name="every step is done", check="steps_completed")


def charter(team: Team, *, limits: RunLimits | None = None, step: RoleLimits | None = None) -> Charter:
    """Give a charter under which every role may use every tool and ask every role."""
    limit = step or RoleLimits(attempts=2, deadline_s=20.0)
    names = tuple(team.roles)
    return Charter(
        charter=1,
        team=team.name,
        owner="ann@example.org",
        purpose="Try what lasts.",
        roles={name: RoleCharter(tools=tuple(team.tools), asks=names, limits=limit) for name in names},
        tools={name: ToolCharter(risk=tool.risk, review="none", timeout_s=10.0) for name, tool in team.tools.items()},
        data_sources={},
        limits=limits or RunLimits(wall_clock_s=60.0, steps=200),
        completion=(DONE,),
        review_path=ReviewPath(reviewers=("ann",)),
        rollback=Rollback(procedure="undo", tested=True),
    )


class House(World):
    """A world whose agents and gateway are the real ones."""

    supervisor: Supervisor

    def __init__(self, url: str, bus: Bus, team: Team, *, rules: Charter, data: Path) -> None:
        super().__init__(url, bus)
        self.team = team
        self.spec = team.spec(rules)
        self.agents: dict[str, Agent] = {}
        self.gateway: Gateway | None = None
        self._data = data

    async def open(self) -> None:
        await topology.ensure(self.bus, list(self.team.roles))
        await self.open_gateway()
        self.supervisor = await self.supervise(self.spec)
        for role in self.team.roles:
            await self.hire(role)

    async def open_gateway(self) -> None:
        name = new_gateway()
        one, other = await Bus.connect(self.url, name=name), await Bus.connect(self.url, name=f"{name}-answer")
        self.gateway = await Gateway.start(
            one,
            other,
            team=self.spec,
            tools=self.team.tools,
            name=name,
            data_dir=self._data,
            on_bug=self.bugs.append,
            group_commit=self.gathers,
        )
        self.pools.names = (name,)
        self._closing += [self.gateway.stop, one.close, other.close]

    async def hire(self, role: str, slots: int = 32) -> Agent:
        """Have one more real agent of a role."""
        spec = AgentSpec(
            agent=new_agent(role),
            kind=self.team.roles[role],
            credentials=None,
            slots=slots,
            group_commit=self.gathers,
        )
        agent = await Agent.start(spec, host="host-1", url=self.url, on_bug=self._on_agent_bug, on_lost=self._on_lost)
        self.agents[role] = agent
        self._closing.append(lambda: agent.drain(0))
        return agent

    def _on_agent_bug(self, error: BaseException) -> None:
        self.bugs.append(error)

    def _on_lost(self, agent: str) -> None:
        self.bugs.append(RuntimeError(f"{agent} lost its connection"))

    async def restart(self) -> None:
        """The supervisor\'s process is gone, and another one starts."""
        await crash(self.supervisor)
        self.supervisor = await self.supervise(self.spec)

    async def lose(self, role: str) -> None:
        """The host of a role\'s agent is gone from one moment to the next; another one is there."""
        gone = self.agents.pop(role)
        for _attempt, task in tuple(gone._attempts.values()):
            task.cancel()
        await gone._bus.close()
        await self.hire(role)
        self.supervisor.agent_gone(gone.spec.agent)

    async def run(self, workflow: str, given: msgspec.Struct, **more: object) -> RunFinished:
        return await self.outcome(await self.submit(workflow, given, **more))  # type: ignore[arg-type]  # a message

    async def told(self, verb: str, wish: msgspec.Struct) -> ControlDone:
        answer = await self.control(verb, wish)  # type: ignore[arg-type]  # a message
        assert isinstance(answer, ControlDone), answer
        return answer

    async def kinds(self, run: str) -> list[str]:
        """Give the supervisor\'s decisions of a run, by kind."""
        return [kind for kind in await self.lane(run) if not kind[-1].isdigit()]

    async def last(self, run: str, kind: str, of: type[T]) -> T:
        """Give the last decision of a kind, once there is one."""
        return decode(of, (await self.appears(f"remit.run.{run}._.*.{kind}")).data)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return when something is so."""
        async with asyncio.timeout(15):
            while not holds():
                await asyncio.sleep(0.01)  # another task makes it so
