"""The KV bucket `state`: current values for reading and for `nats kv`; a copy of the journal, safe to delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from remit.bus import stream, subject
from remit.bus.journal import Entry, Journal
from remit.bus.subject import STATE_STREAM
from remit.contracts.message import decode, encode
from remit.contracts.proposal import StateCommitted, StateVersion

if TYPE_CHECKING:
    from remit.bus.connection import Bus

_EVERY_VERSION = "remit.state.*.*.*"


class StateCache:
    """Current versions by scope and key. One writer, the supervisor, whose journal entries they copy."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._journal = Journal(bus)

    async def put(self, scope: str, key: str, *, version: int, value: bytes | msgspec.Raw) -> None:
        """The cache shows this version of a key.

        Raises:
            BusRefusedError: the bucket is full; it shows the version before.
            BusUnavailableError: no answer came, or the bucket is missing; it shows this version or the one before.
        """
        shown = StateVersion(key=key, version=version, value=msgspec.Raw(value))
        await stream.store(self._bus, subject.state_cache(scope, key), encode(shown))

    async def get(self, scope: str, key: str) -> StateVersion | None:
        """Give what the cache shows for a key; raises BusUnavailableError if it cannot be read."""
        found = await stream.last(self._bus, STATE_STREAM, subject.state_cache(scope, key))
        return decode(StateVersion, found.data) if found else None

    async def rebuild(self) -> int:
        """The cache shows the newest version of every key in the journal; give how many keys there are.

        Raises:
            BusUnavailableError: the journal could not be read, or the cache not written; some keys may be old.
        """
        newest: dict[tuple[str, str], Entry] = {}

        def keep(entry: Entry) -> None:
            if about := subject.parse_state(entry.subject):
                newest[about.scope, about.key] = entry

        await self._journal.fold([_EVERY_VERSION], 1, keep)
        for (scope, key), entry in newest.items():
            committed = decode(StateCommitted, entry.data)
            await self.put(scope, key, version=committed.version, value=committed.value)
        return len(newest)
