"""Who says how many hosts a role has: the team's file, an operator, or what is seen of the pool; all of it journaled.

An operator's wish pins a pool until it is given back. Every change is a version of the state key `pool.<role>`, with
its reason in words and numbers: durable before it is acted upon.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from typing import TYPE_CHECKING, Final, Literal, Protocol

import msgspec
import structlog

from remit.bus.backlog import backlog, waiting
from remit.contracts.control import AUTO_HOSTS
from remit.contracts.document import TEAM_SCOPE
from remit.contracts.errors import RetryableError, UsageError
from remit.contracts.plain import plain_of
from remit.contracts.pool import PoolChanged
from remit.supervisor import wishes
from remit.supervisor.autoscale import Course, Sight, decide
from remit.supervisor.wishes import POOL_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remit.bus.connection import Bus
    from remit.contracts.control import ScaleRole
    from remit.contracts.team import RoleSpec, TeamSpec
    from remit.supervisor.control import PoolReport
    from remit.supervisor.overwrite import Overwrites

log = structlog.get_logger(__name__)

LOOK_S: Final = 1.0
SUPERVISOR: Final = "supervisor"


Mode = Literal["fixed", "pinned", "scaled"]


class Pools(Protocol):
    """What the pools tell an operator, and what they are told."""

    def scale(self, role: str, hosts: int) -> None:
        """Wish for a number of hosts of a role."""

    def report(self, role: str) -> PoolReport:
        """Say what is there of a role."""

    def gateways(self) -> tuple[str, ...]:
        """Names of the gateways that serve calls now."""

    def release(self, role: str) -> int:
        """Let the quarantined hosts of a role start now; give how many there were."""

    def end(self, drain_s: float) -> None:
        """Wish for the end of the deployment."""


class Scaler:
    """The wished number of hosts of every role, and why; `run` changes those that are scaled."""

    def __init__(
        self, team: TeamSpec, *, bus: Bus, overwrites: Overwrites, pools: Pools, values: Mapping[str, object]
    ) -> None:
        """Take up what was wished before: `values` are those of the team's state."""
        self._team = team
        self._bus = bus
        self._overwrites = overwrites
        self.pools = pools
        self._slots = team.slots()
        self._changes = {role: change for role, change in wishes.changes(values).items() if role in team.roles}
        self._hosts = wishes.hosts(team.roles, self._changes)
        self._courses = {name: Course() for name, role in team.roles.items() if role.sizing.is_scaled}
        self._changing = asyncio.Lock()  # guards the wished numbers while one of them is journaled

    # --- what operators are told, and wish -------------------------------------------------------

    def mode(self, role: str) -> Mode:
        """Say who decides how many hosts a role has: `fixed`, `pinned` or `scaled`."""
        change = self._changes.get(role)
        if change is not None and change.is_pinned:
            return "pinned"
        return "scaled" if role in self._courses else "fixed"

    def why(self, role: str) -> str:
        """Say why so many hosts are wished."""
        change = self._changes.get(role)
        if change is None or (self.mode(role) == "fixed" and change.hosts != self._hosts[role]):
            return "the team's file"
        return change.reason

    async def wish(self, wish: ScaleRole, *, by: str) -> str:
        """An operator's wish is journaled, and pins the pool; or it is given back. Say what is so now.

        Raises:
            UsageError: the pool cannot have so many hosts; nothing changed.
            BusUnavailableError: nothing is known to be stored.
        """
        role = self._team.role(wish.role)
        async with self._changing:
            if wish.hosts == AUTO_HOSTS:
                return await self._give_back(role, by)
            _check_hosts(role, wish.hosts)
            await self._change(role.name, wish.hosts, by=by, reason=f"wished by {by}", is_pinned=True)
        return f"{role.name} wants {wish.hosts} hosts"

    async def _give_back(self, role: RoleSpec, by: str) -> str:
        hosts = self._hosts[role.name] if role.sizing.is_scaled else role.pool
        await self._change(role.name, hosts, by=by, reason=f"given back by {by}")
        if role.sizing.is_scaled:
            self._courses[role.name] = Course()
            return f"{role.name} is scaled between {role.sizing.min} and {role.sizing.max} hosts"
        return f"{role.name} has the {role.pool} hosts of the team's file"

    async def note(self, role: str, *, by: str, reason: str) -> None:
        """What an operator did to a pool, and did not change its number by, stands in its history."""
        async with self._changing:
            await self._change(role, self._hosts[role], by=by, reason=reason, is_pinned=self.mode(role) == "pinned")

    async def redelivered(self, role: str) -> int:
        """Give how many steps of a role were handed out more than once, and are not settled."""
        return (await backlog(self._bus, role)).num_redelivered

    # --- what is seen ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Look at every scaled pool again and again, until cancelled."""
        while self._courses:
            await asyncio.sleep(LOOK_S)
            for role in sorted(self._courses):
                try:
                    await self._look(role)
                except RetryableError as error:  # what is not known changes nothing
                    log.warning("pool.not_seen", role=role, error=str(error))

    async def _look(self, role: str) -> None:
        if self.mode(role) == "pinned":
            return
        seen, report = await waiting(self._bus, role), self.pools.report(role)
        sight = Sight(
            waiting=seen.waiting,
            handed_over=seen.handed_over,
            oldest_wait_s=seen.oldest_wait_s,
            begun=seen.begun,
            busy=report.busy,
            slots=self._slots[role],
            ready=report.ready,
        )
        async with self._changing:
            if self.mode(role) == "pinned":  # meanwhile
                return
            hosts = self._hosts[role]
            change = decide(
                self._team.roles[role].sizing,
                self._courses[role],
                sight,
                hosts=hosts,
                room=self._room(role),
                now=time.monotonic(),
            )
            if change is not None:
                await self._change(role, change.hosts, by=SUPERVISOR, reason=change.reason, sight=sight)

    def _room(self, role: str) -> int:
        """Give how many hosts a pool may have for what the charter leaves beside the other scaled pools."""
        capacity, others = self._team.charter.capacity, [name for name in self._courses if name != role]
        room = capacity.hosts - sum(self._hosts[name] for name in others)
        price = self._team.roles[role].sizing.price
        if price and capacity.price_per_hour:
            spent = sum(self._hosts[name] * self._team.roles[name].sizing.price for name in others)
            room = min(room, math.floor((capacity.price_per_hour - spent) / price + 1e-9))
        return max(room, 0)

    async def _change(
        self, role: str, hosts: int, *, by: str, reason: str, is_pinned: bool = False, sight: Sight | None = None
    ) -> None:
        """The change is journaled, then acted upon."""
        change = PoolChanged(hosts=hosts, was=self._hosts[role], by=by, reason=reason, is_pinned=is_pinned)
        if sight is not None:
            change = _with(change, sight)
        position = secrets.token_hex(8)
        await self._overwrites.overwrite(
            TEAM_SCOPE, {POOL_KEY + role: plain_of(change)}, by=by, rule="set", position=position
        )
        self._changes[role], self._hosts[role] = change, hosts
        self.pools.scale(role, hosts)
        if change.hosts != change.was:
            log.info("pool.changed", role=role, hosts=hosts, was=change.was, by=by, reason=reason)


def _with(change: PoolChanged, sight: Sight) -> PoolChanged:
    return msgspec.structs.replace(
        change,
        waiting=sight.waiting,
        oldest_wait_s=round(sight.oldest_wait_s, 2),
        busy=sight.busy,
        slots=sight.ready * sight.slots,
    )


def _check_hosts(role: RoleSpec, hosts: int) -> None:
    if not 0 <= hosts <= role.pool_max:
        raise UsageError(
            f"role {role.name} cannot have {hosts} hosts", expected=f"0 to {role.pool_max}, or auto", got=str(hosts)
        )
