"""How large the streams of a deployment are, how fast they grow, and when there is no room left."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from remit import offline
from remit.bus import permission, stream, subject
from remit.bus.connection import Bus
from remit.bus.identity import Authority
from remit.contracts.errors import BusRefusedError, RemitError
from remit.contracts.message import decode

if TYPE_CHECKING:
    from remit.client import Client

DAY: Final = timedelta(days=1)
YOUNGEST: Final = timedelta(hours=1)
"""A stream that is younger has no rate yet."""
NEAR: Final = timedelta(days=14)
_FAR: Final = timedelta(days=365 * 20)
_INACTIVE_NS: Final = 5_000_000_000


@dataclass(frozen=True, kw_only=True)
class Size:
    """One stream."""

    name: str
    bytes: int
    entries: int
    a_day: float = 0.0
    """Bytes, over its whole life."""
    last_day: float = 0.0
    """Bytes of the last day; entries are taken to be as large as they are on average."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """What is left, and who says so."""

    bytes: int
    what: str


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Sizes, rates, and the day on which there is no room left."""

    sizes: tuple[Size, ...]
    room: Room | None
    a_day: float
    last_day: float
    full_at: datetime | None
    """None if nothing grows, or for longer than anybody plans."""

    @property
    def is_near(self) -> bool:
        """Whether somebody must act now."""
        return self.full_at is not None and self.full_at - datetime.now(UTC) < NEAR


class _Limits(msgspec.Struct, frozen=True):
    max_storage: int = -1


class _Account(msgspec.Struct, frozen=True):
    storage: int = 0
    limits: _Limits = _Limits()


class _Server(msgspec.Struct, frozen=True):
    config: _Limits = _Limits()
    storage: int = 0


class _Pinged(msgspec.Struct, frozen=True):
    data: _Server = _Server()


class _Config(msgspec.Struct, frozen=True):
    num_replicas: int = 1


class _Info(msgspec.Struct, frozen=True):
    config: _Config = _Config()


class _Created(msgspec.Struct, frozen=True):
    num_pending: int = 0


async def look(client: Client) -> Growth:
    """Give how the deployment grows.

    Raises:
        BusUnavailableError: the server did not answer.
    """
    found = [await _size(client.bus, name) for name in permission.READABLE]
    sizes = tuple(size for size in found if size is not None)
    rooms = [
        account_room(await stream.api(client.bus, "INFO"), copies=await _copies(client.bus)),
        _disk_room(client),
        await _server_room(client),
    ]
    room = min((item for item in rooms if item is not None), key=lambda item: item.bytes, default=None)
    a_day, last_day = sum(size.a_day for size in sizes), sum(size.last_day for size in sizes)
    return Growth(sizes=sizes, room=room, a_day=a_day, last_day=last_day, full_at=_full_at(room, max(a_day, last_day)))


async def _size(bus: Bus, name: str) -> Size | None:
    try:
        state = await stream.state(bus, name)
    except BusRefusedError:  # a cache that somebody deleted, or that an older release did not make
        return None
    now = datetime.now(UTC)
    age = now - state.first_ts
    if not state.messages or age < YOUNGEST:
        return Size(name=name, bytes=state.bytes, entries=state.messages)
    recent = await _since(bus, name, now - DAY) if age > DAY else state.messages
    days = min(age / DAY, 1.0)
    return Size(
        name=name,
        bytes=state.bytes,
        entries=state.messages,
        a_day=state.bytes / (age / DAY),
        last_day=recent / days * state.bytes / state.messages,
    )


async def _since(bus: Bus, name: str, at: datetime) -> int:
    """Give how many entries were stored since: a consumer that is made for it knows what waits, and is gone soon."""
    config = {
        "deliver_policy": "by_start_time",
        "opt_start_time": at.isoformat(),
        "ack_policy": "none",
        "inactive_threshold": _INACTIVE_NS,
        "mem_storage": True,
        "num_replicas": 1,
    }
    answer = await stream.api(bus, "CONSUMER.CREATE", name, body={"stream_name": name, "config": config})
    return decode(_Created, answer).num_pending


def account_room(info: bytes, *, copies: int) -> Room | None:
    """Give what is left of an account's limit, from what JetStream says of the account; it counts every copy."""
    account = decode(_Account, info)
    if account.limits.max_storage <= 0:  # none; or one for each number of copies, and then 0 is said here
        return None
    left = max(account.limits.max_storage - account.storage, 0)
    return Room(bytes=left // copies, what="the account's JetStream limit")


async def _copies(bus: Bus) -> int:
    try:
        info = await stream.api(bus, "STREAM.INFO", subject.JOURNAL)
    except BusRefusedError:  # there is no journal yet
        return 1
    return decode(_Info, info).config.num_replicas


def _disk_room(client: Client) -> Room | None:
    if not offline.is_embedded(client.place):
        return None
    return Room(bytes=shutil.disk_usage(client.place.data).free, what="the disk")


async def _server_room(client: Client) -> Room | None:
    """Ask the server itself, if the deployment's authority is on this machine: its limit is not the account's."""
    if not offline.is_embedded(client.place):
        return None
    authority = Authority.create_or_load(Path(client.place.data) / "keys")
    credentials = authority.issue("doctor", permissions=permission.monitor_permissions("doctor"))
    try:
        bus = await Bus.connect(client.place.url, name="doctor", credentials=credentials)
    except RemitError:
        return None
    try:
        server = decode(_Pinged, (await bus.request(subject.SERVER_STORE, b"")).data).data
    except RemitError:
        return None
    finally:
        await bus.close()
    if server.config.max_storage < 0:
        return None
    return Room(bytes=max(server.config.max_storage - server.storage, 0), what="the server's JetStream limit")


def _full_at(room: Room | None, a_day: float) -> datetime | None:
    if room is None or a_day <= 0:
        return None
    left = timedelta(days=min(room.bytes / a_day, _FAR / DAY))
    return datetime.now(UTC) + left if left < _FAR else None


def said(growth: Growth) -> str:
    """Say it in words."""
    sizes = ", ".join(f"{size.name} {_mb(size.bytes)}" for size in growth.sizes if size.bytes)
    if not growth.a_day and not growth.last_day:
        return f"{sizes}; too young for a rate"
    rate = f"{_mb(growth.a_day)} a day, {_mb(growth.last_day)} in the last day"
    if growth.room is None:
        return f"{sizes}; {rate}; the server does not say how much room there is"
    room = f"{_mb(growth.room.bytes)} left by {growth.room.what}"
    until = f"full on {growth.full_at:%Y-%m-%d}" if growth.full_at is not None else "not full in twenty years"
    return f"{sizes}; {rate}; {room}: {until} at this rate; next: remit run archive --older-than 30d"


def _mb(size: float) -> str:
    for unit, least in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if size >= least:
            return f"{size / least:.1f} {unit}"
    return f"{size:.0f} B"
