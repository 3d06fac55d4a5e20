"""Durability profiles: what a server must give for one, and the proof that it does, read from it or measured."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from remit.bus import stream, subject
from remit.bus.monitor import servers
from remit.bus.subject import BLOB_STREAM, JOURNAL
from remit.bus.topology import Profile
from remit.contracts.errors import BusRefusedError, BusUnavailableError, ServerTooWeakError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remit.bus.connection import Bus
    from remit.bus.monitor import ServerFacts

REPLICAS: Final = 3
_CURRENT_S: Final = 10.0
"""How long a replica that has just started may take to catch up."""
_LOOK_S: Final = 0.2
_PROBES: Final = 21
_PROBE_S: Final = 1.0
_UNSYNCED_MS: Final = 0.05
"""No disk syncs as quickly as that; a battery behind it may."""

Evidence = Literal["read", "measured", "none"]


class Weakness(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the profile asks for and the server does not give."""

    setting: str
    """As the operator of the server spells it."""
    where: str
    got: str


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a server's durability, and how."""

    profile: Profile
    evidence: Evidence
    """How it is known whether every write is synced: read from the servers, measured by a write, or not at all."""
    replicas: int
    holders: tuple[str, ...]
    """The servers that hold the journal; the leader comes first."""
    write_ms: float | None = None
    """What a stored write costs more than a read of it, in the median; None if it was not measured."""
    weaknesses: tuple[Weakness, ...] = ()

    def require(self) -> None:
        """The profile is given, as far as can be known.

        Raises:
            ServerTooWeakError: it is not; the error names the setting.
        """
        if self.weaknesses:
            first = self.weaknesses[0]
            fix = "change the server's configuration, or use a weaker profile"
            what = f"the server does not give the profile `{self.profile}`"
            raise ServerTooWeakError(what, where=first.where, expected=first.setting, got=first.got, fix=fix)

    def said(self) -> str:
        """Give the proof in words, without the weaknesses."""
        copies = "one copy" if self.replicas == 1 else f"{self.replicas} copies on {', '.join(self.holders)}"
        return f"{self.profile}: {_SYNCED[self.profile != 'embedded']}; {copies}{self._known()}"

    def _known(self) -> str:
        if self.profile == "embedded":
            return ""
        if self.evidence == "read":
            return "; as the servers say"
        if self.write_ms is not None:
            return f"; measured, not read: a write takes {self.write_ms:.2f} ms longer than a read"
        return "; neither read nor measured"


_SYNCED: Final = {
    True: "every entry is synced before it counts",
    False: "survives any crash of processes, not a loss of power",
}


def gathers(profile: Profile) -> bool:
    """Say whether appends are gathered into batches: where one server syncs its disk for every write.

    Servers of a cluster gather by themselves what they send to one another: a batch adds nothing there.
    """
    return profile == "durable"


async def prove(bus: Bus, profile: Profile, *, monitor: Bus | None = None) -> Proof:
    """Give what is known of the servers that hold the journal; `require` of it refuses a profile that is not given.

    `bus` reads the journal's stream, and may write the probe (the identity `topology`); `monitor` is a connection of
    the system account, if there is one. Without it the servers' settings cannot be read: a write is measured.

    Raises:
        BusUnavailableError: the server did not answer, or there is no journal yet.
    """
    copies = await _copies(bus, wanted=REPLICAS if profile == "cluster" else 1)
    found = [*_too_few(copies, profile)]
    evidence: Evidence = "none"
    write_ms = None
    if profile != "embedded":
        if monitor is not None:
            evidence = "read"
            found += _unsynced(await servers(monitor, copies.holders), copies.holders)
        elif (write_ms := await _write_ms(bus)) is not None:
            evidence = "measured"
            found += _too_quick(write_ms, bus)
    return Proof(
        profile=profile,
        evidence=evidence,
        replicas=copies.config.num_replicas,
        holders=copies.holders,
        write_ms=write_ms,
        weaknesses=tuple(found),
    )


# --- copies ------------------------------------------------------------------------------------------


class _Peer(msgspec.Struct, frozen=True):
    name: str = ""
    current: bool = False
    offline: bool = False


class _Group(msgspec.Struct, frozen=True):
    leader: str = ""
    replicas: tuple[_Peer, ...] = ()


class _Config(msgspec.Struct, frozen=True):
    num_replicas: int = 1


class _Copies(msgspec.Struct, frozen=True):
    """What STREAM.INFO says of where a stream is."""

    config: _Config = _Config()
    cluster: _Group | None = None

    @property
    def holders(self) -> tuple[str, ...]:
        """The leader and every replica; nothing of a server without a cluster."""
        group = self.cluster
        return (group.leader, *(peer.name for peer in group.replicas)) if group is not None else ()

    @property
    def current(self) -> int:
        """How many servers have all of it."""
        group = self.cluster or _Group()
        return bool(group.leader) + sum(peer.current and not peer.offline for peer in group.replicas)


async def _copies(bus: Bus, *, wanted: int) -> _Copies:
    """Give where the journal is, once as many servers as wanted are up to date, or as it is after a while."""
    gives_up_at = time.monotonic() + _CURRENT_S
    while True:
        copies = msgspec.json.decode(await stream.api(bus, "STREAM.INFO", JOURNAL), type=_Copies)
        if wanted == 1 or copies.config.num_replicas < wanted or copies.current >= wanted:
            return copies
        if time.monotonic() > gives_up_at:
            return copies
        await asyncio.sleep(_LOOK_S)


def _too_few(copies: _Copies, profile: Profile) -> list[Weakness]:
    if profile != "cluster":
        return []
    if (have := copies.config.num_replicas) < REPLICAS:
        return [Weakness(setting=f"num_replicas: {REPLICAS}", where=f"stream {JOURNAL}", got=f"{have}")]
    group = copies.cluster or _Group()
    behind = [peer.name for peer in group.replicas if peer.offline or not peer.current]
    if copies.current < REPLICAS:
        got = f"leader {group.leader or 'none'}, {copies.current} of {REPLICAS} up to date; not {', '.join(behind)}"
        return [Weakness(setting=f"{REPLICAS} servers up to date", where=f"stream {JOURNAL}", got=got)]
    return []


# --- syncing -----------------------------------------------------------------------------------------

_SYNC: Final = "jetstream { sync_interval: always }"


def _unsynced(facts: tuple[ServerFacts, ...], holders: tuple[str, ...]) -> list[Weakness]:
    """Give every holder of the journal that does not sync, or does not say."""
    silent = [name for name in holders if name not in {server.name for server in facts}] if facts else ["every server"]
    asked = [
        server for server in sorted(facts, key=lambda server: server.name) if not holders or server.name in holders
    ]
    return [
        *(
            Weakness(setting=_SYNC, where=f"server {server.name}", got=f"sync_interval: {server.sync_interval_s:g}s")
            for server in asked
            if not server.sync_always
        ),
        *(Weakness(setting=_SYNC, where=f"server {name}", got="no answer") for name in silent),
    ]


def _too_quick(write_ms: float, bus: Bus) -> list[Weakness]:
    if write_ms >= _UNSYNCED_MS:
        return []
    got = f"measured: a write takes {write_ms:.3f} ms longer than a read, which is less than any disk needs"
    return [Weakness(setting=_SYNC, where=f"the server that {bus.name} reaches", got=got)]


async def _write_ms(bus: Bus) -> float | None:
    """Give what a stored write takes longer than a read of it; None if this identity may not write the probe.

    Writes that replace one another, to a subject of the object store that no object has.
    """

    async def write() -> None:
        await stream.store(bus, subject.PROBE, b"", headers={stream.ROLLUP: "sub"}, timeout_s=_PROBE_S)

    async def read() -> None:
        await stream.last(bus, BLOB_STREAM, subject.PROBE)

    try:
        await write()
        return (await _median_s(write) - await _median_s(read)) * 1000
    except (BusRefusedError, BusUnavailableError):
        return None


async def _median_s(act: Callable[[], Awaitable[None]]) -> float:
    taken = []
    for _ in range(_PROBES):
        began = time.perf_counter()
        await act()
        taken.append(time.perf_counter() - began)
    return sorted(taken)[_PROBES // 2]
