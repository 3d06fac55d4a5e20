"""Ray shell around a host: Ray gives it a place and a life, NATS gives it work."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import ray
import structlog

from remit.agents.agent import AgentSpec
from remit.agents.host import Host, HostReport
from remit.bus.identity import NKey
from remit.contracts.errors import NotFoundError
from remit.contracts.ids import AgentId, new_agent, pool_of, role_of
from remit.contracts.upcast import NO_UPCASTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    from remit.agents.role import AnyRole
    from remit.bus.access import Access
    from remit.contracts.upcast import Upcasts

__all__ = ["HostActor", "HostSpec"]

log = structlog.get_logger(__name__)

WATCH_S: Final = 5.0
BUG_EXIT: Final = 70
_SLOTS: Final = 32


def _no_upcasts(_team_ref: str) -> Upcasts:
    return NO_UPCASTS


@dataclass(frozen=True, kw_only=True)
class HostSpec:
    """What a host is to run; holds no secret, and says the same thing however often it is sent."""

    host: str
    url: str
    jwts: Mapping[str, str]
    """By agent: the server's word that the key made here may act in that name."""
    access: Access
    team_ref: str
    load: Callable[[str], Mapping[str, type[AnyRole]]]
    """Gives the roles of a team by name; sent to the host by its own name, never by value."""
    upcasts: Callable[[str], Upcasts] = _no_upcasts
    """Gives what brings the team's older messages forward; sent like `load`."""
    slots: Mapping[str, int] = field(default_factory=dict)
    """By role."""
    group_commit: bool = False
    """Whether appends are gathered: where the server syncs every write."""


@ray.remote(max_restarts=0, max_task_retries=0, num_cpus=0)
class HostActor:
    """A process of agents. Their private keys are made here and never leave it."""

    def __init__(self) -> None:
        self._keys: dict[str, NKey] = {}
        self._host: Host | None = None
        self._ensuring = asyncio.Lock()
        """Guards which agents there will be, while some start."""

    async def keys(self, roles: list[str]) -> dict[str, tuple[AgentId, str]]:
        """Give the name and public key of a new agent for every role."""
        made = {role: (new_agent(role), NKey.generate("user")) for role in roles}
        self._keys.update(made.values())
        return {role: (agent, key.public) for role, (agent, key) in made.items()}

    async def ensure(self, spec: HostSpec) -> None:
        """Every agent of the spec pulls work; those that did already are left alone.

        Raises:
            NotFoundError: an agent whose key was not made here, or a role that the team does not have.
            BusUnavailableError: an agent could not connect; `ensure` may be repeated.
            CredentialsRefusedError: the server does not know an agent.
        """
        if self._host is None:
            self._host = Host(spec.host, spec.url, on_bug=_end_process)
        async with self._ensuring:
            kinds = spec.load(spec.team_ref)
            await self._host.ensure([self._agent(spec, kinds, agent) for agent in spec.jwts])

    async def rest(self) -> None:
        """The agents here take no new work; what runs goes on."""
        if self._host is not None:
            await self._host.rest()

    async def drain(self, pools: list[str] | None, deadline_s: float) -> None:
        """The agents of these pools (of all, if None) are gone; what was not done by the deadline is handed back."""
        if self._host is not None:
            await self._host.drain(pools, deadline_s=deadline_s)

    async def describe(self) -> HostReport:
        """Give what runs here now."""
        if self._host is None:
            return HostReport(host="", pid=os.getpid(), agents=())
        return self._host.describe()

    async def names(self) -> dict[str, str]:
        """Give the agent of every pool that is served here, for a supervisor that finds this host again.

        Agents that start just now, as an earlier supervisor told, are waited for: unknown to the one that finds them,
        they would take work that nobody lets them do.
        """
        async with self._ensuring:
            return {pool_of(item.agent): item.agent for item in (await self.describe()).agents}

    async def watch(self) -> None:
        """Return after a few seconds; whoever awaits this hears at once when the process dies."""
        await asyncio.sleep(WATCH_S)

    def _agent(self, spec: HostSpec, kinds: Mapping[str, type[AnyRole]], agent: str) -> AgentSpec:
        role, key = role_of(agent), self._keys.get(agent)
        if key is None:
            raise NotFoundError("this host made no key for that agent", got=agent, fix="ask it for `keys` first")
        if role not in kinds:
            raise NotFoundError(f"team {spec.team_ref} has no role {role!r}", expected=", ".join(sorted(kinds)))
        return AgentSpec(
            agent=agent,
            kind=kinds[role],
            credentials=spec.access.signed(key, spec.jwts[agent]),
            slots=spec.slots.get(role, _SLOTS),
            upcasts=spec.upcasts(spec.team_ref),
            group_commit=spec.group_commit,
        )


def _end_process(bug: BaseException) -> NoReturn:
    log.error("host.ended", error=type(bug).__name__, exc_info=bug)
    os._exit(BUG_EXIT)  # no clean-up: whatever holds in memory is in doubt, and the journal is not
