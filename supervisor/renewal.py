"""Hosts are replaced that are too old, hold too much, or stand on a node that is about to leave: the new one first.

A worn host is replaced while no other one is, so that a pool never loses all at once what it knows or serves. What
stands on a leaving node has no time for that: all of it is replaced together, and drained in time even if nothing
takes its place.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog
from ray.exceptions import RayError

from remit.contracts.ids import role_in
from remit.supervisor import children
from remit.supervisor.births import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence

    from remit.contracts.control import Heartbeat
    from remit.contracts.pool import Pool
    from remit.contracts.team import TeamSpec
    from remit.supervisor.births import Births
    from remit.supervisor.children import Child
    from remit.supervisor.retirement import Retirement
    from remit.supervisor.roster import Roster

log = structlog.get_logger(__name__)

NODES_S: Final = 2.0
LEAVE_S: Final = 15.0
"""How long a host on a leaving node is kept at work while another one starts."""
LEAVING: Final = "its node is about to leave"
_MEBIBYTE: Final = 1024 * 1024

Renewal = tuple[str, "Coroutine[object, object, None]"]


def why_worn(pools: Iterable[Pool], beats: Sequence[Heartbeat]) -> str:
    """Say why a host is to be replaced, by the pools that it serves and what its agents said last; empty if not."""
    pools = tuple(pools)
    age_s = max((beat.age_s for beat in beats), default=0.0)
    held_mb = max((beat.memory_bytes for beat in beats), default=0) // _MEBIBYTE
    oldest_s = min((pool.max_age_s for pool in pools if pool.max_age_s), default=0.0)
    most_mb = min((pool.max_memory_mb for pool in pools if pool.max_memory_mb), default=0)
    if most_mb and held_mb > most_mb:
        return f"it holds {held_mb} MiB, max_memory_mb={most_mb}"
    if oldest_s and age_s > oldest_s:
        return f"it is {age_s:.0f} s old, max_age_s={oldest_s:g}"
    return ""


class Renewals:
    """Knows what is to be replaced, and replaces it; `hosts` and `gateways` are those of the pools."""

    def __init__(
        self,
        team: TeamSpec,
        *,
        births: Births,
        retirement: Retirement,
        roster: Roster,
        hosts: dict[str, Host],
        gateways: dict[str, Child],
        watch: Callable[[Child], None],
    ) -> None:
        self._team = team
        self._births = births
        self._retirement = retirement
        self._roster = roster
        self._hosts = hosts
        self._gateways = gateways
        self._watch = watch
        self._leaving: frozenset[str] = frozenset()
        """Ids of the actors on nodes that are about to leave."""

    async def look_at_nodes(self) -> None:
        """Learn again and again which nodes are about to leave, until cancelled."""
        while True:
            await asyncio.sleep(NODES_S)
            try:
                leaving = await children.leaving_nodes()
                placed = await children.nodes() if leaving else {}
            except RayError as error:
                log.warning("nodes.not_seen", error=str(error)[:200])
                continue
            self._leaving = frozenset(actor for actor, node in placed.items() if node in leaving)

    def due(self, *, is_renewing: bool) -> Iterator[Renewal]:
        """Give what is to be replaced now, by label; one worn host only while no other replacement is under way."""
        for label, host in self._hosts.items():
            if host.child.id in self._leaving:
                yield label, self._replace(label, host, LEAVING, patience_s=LEAVE_S)
        for name, child in self._gateways.items():
            if child.id in self._leaving:
                yield child.label, self._replace_gateway(name, child)
        if is_renewing or self._leaving:
            return
        for label, host in sorted(self._hosts.items()):
            pools = [self._team.roles[role_in(role)].sizing for role in host.agents if role in self._team.roles]
            if why := why_worn(pools, self._roster.beats(host.agents.values())):
                yield label, self._replace(label, host, why)
                return

    async def _replace(self, label: str, old: Host, why: str, *, patience_s: float | None = None) -> None:
        roles = frozenset(old.agents)
        new = Host(self._births.host(label, roles))
        async with asyncio.TaskGroup() as group:
            starting = group.create_task(self._births.agents(new.child, roles))
            await asyncio.wait((starting,), timeout=patience_s)
            if patience_s is not None and (not starting.done() or not starting.result()):
                await self._retire(label, old)  # it is better drained than lost
        new.agents |= starting.result()
        if not new.agents:
            return  # which was said; the old one stays, unless it had to leave
        if self._hosts.get(label, old) is not old:  # it died meanwhile, and has a successor
            await self._retirement.retire(new.child, tuple(new.agents.values()))
            return
        self._hosts[label] = new
        self._watch(new.child)
        log.info("host.replaced", host=label, reason=why, agents=sorted(new.agents.values()))
        await self._retire(label, old)

    async def _retire(self, label: str, old: Host) -> None:
        if self._hosts.get(label) is old:
            del self._hosts[label]
        await self._retirement.retire(old.child, tuple(old.agents.values()))

    async def _replace_gateway(self, name: str, old: Child) -> None:
        started = await self._births.gateway(old.label)
        if started is None:
            return  # which was said; the old one serves as long as its node is there
        self._gateways[started[0]] = started[1]
        self._watch(started[1])
        log.info("gateway.replaced", gateway=started[0], was=name, reason=LEAVING)
        if self._gateways.pop(name, None) is not None:  # else it died meanwhile, and nothing else starts in its place
            await self._retirement.retire(old, (name,))

    def outlived(self, wished: Collection[str]) -> dict[str, Child]:
        """Give gateways at no place that is wished: of an older build whose last run is over, and whose hosts left."""
        of_hosts = {_build_in(label) for label in self._hosts}
        found = self._gateways.items()
        return {
            name: item for name, item in found if item.label not in {*wished} and _build_in(item.label) not in of_hosts
        }

    async def let_go(self, gateways: Mapping[str, Child]) -> None:
        """These gateways are gone."""
        for name in gateways:
            self._gateways.pop(name, None)
        await asyncio.gather(*(self._retirement.retire(child, (name,)) for name, child in gateways.items()))


def _build_in(label: str) -> str:
    """Give what the label of a host or a gateway says of an older build; nothing for the deployment's own."""
    return label.removeprefix(role_in(label))
