"""The KV bucket `state`: current values for reading and for `nats kv`; a copy of the journal, safe to delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.bus import shape, stream, subject, topology
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

    async def show(self, version: StateCommitted) -> None:
        """The cache shows a committed version; of a large value its digest alone.

        Raises:
            BusRefusedError: the bucket is full; it shows the version before.
            BusUnavailableError: no answer came, or the bucket is missing; it shows this version or the one before.
        """
        shown = StateVersion(
            key=version.key,
            version=version.version,
            value=version.value,
            hash=version.hash,
            scope=version.scope,
            deleted=version.deleted,
        )
        await stream.store(self._bus, subject.state_cache(version.scope, version.key), encode(shown))

    async def is_empty(self) -> bool:
        """The bucket is there, made if it was not; say whether it shows nothing.

        Raises:
            BusUnavailableError: the server did not answer.
            BusRefusedError: it could not be made.
        """
        answer = await stream.try_api(self._bus, "STREAM.INFO", STATE_STREAM)
        if isinstance(answer, stream.ApiError):
            await shape.ensure_stream(self._bus, topology.STATE_BUCKET)
        return (await stream.state(self._bus, STATE_STREAM)).messages == 0

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
        for entry in newest.values():
            await self.show(decode(StateCommitted, entry.data))
        return len(newest)
