"""What the servers say of themselves to an identity of the system account."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import msgspec

from remit.contracts.errors import BusUnavailableError

if TYPE_CHECKING:
    from collections.abc import Collection

    from remit.bus.connection import Bus, Incoming

_VARZ: Final = "$SYS.REQ.SERVER.PING.VARZ"
_WITHIN_S: Final = 1.0
_SECOND: Final = 1_000_000_000


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One server, and how it keeps what it stores."""

    name: str
    version: str
    sync_always: bool
    sync_interval_s: float


class _Config(msgspec.Struct, frozen=True):
    sync_interval: int = 0
    sync_always: bool = False


class _JetStream(msgspec.Struct, frozen=True):
    config: _Config = _Config()


class _Varz(msgspec.Struct, frozen=True):
    server_name: str = ""
    version: str = ""
    jetstream: _JetStream = _JetStream()


class _Answer(msgspec.Struct, frozen=True):
    data: _Varz = _Varz()


async def servers(
    monitor: Bus, wanted: Collection[str] = (), *, within_s: float = _WITHIN_S
) -> tuple[ServerFacts, ...]:
    """Give the servers that answer: at once when all wanted ones have (any one, if none is named), else after a while.

    Raises:
        BusUnavailableError: the connection is closed.
    """
    heard: asyncio.Queue[Incoming] = asyncio.Queue()
    inbox = monitor.new_inbox("servers")
    subscription = await monitor.subscribe(inbox, heard.put_nowait)
    found: dict[str, ServerFacts] = {}
    try:
        monitor.send(_VARZ, reply=inbox)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not found or not found.keys() >= set(wanted):
                    facts = _facts((await heard.get()).data)
                    found[facts.name] = facts
    finally:
        subscription.drop()
    return tuple(found.values())


def _facts(data: bytes) -> ServerFacts:
    try:
        said = msgspec.json.decode(data, type=_Answer).data
    except msgspec.DecodeError as error:
        raise BusUnavailableError("a server does not say how it is", got=str(error)) from error
    kept = said.jetstream.config
    return ServerFacts(
        name=said.server_name,
        version=said.version,
        sync_always=kept.sync_always,
        sync_interval_s=kept.sync_interval / _SECOND,
    )
