"""Values of versions, old and new: read from the journal and the object store, kept while there is room."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from remit.bus import subject
from remit.bus.blob import Blobs
from remit.contracts.blob import INLINE_LIMIT_BYTES, BlobRef
from remit.contracts.errors import StateInvalidError
from remit.contracts.message import NULL, decode
from remit.contracts.policy import MISSING
from remit.contracts.proposal import StateCommitted

if TYPE_CHECKING:
    from remit.bus.connection import Bus
    from remit.bus.journal import Journal
    from remit.contracts.document import StateContract

ROOM_BYTES: Final = 16 * 1024 * 1024
"""As JSON; as Python's objects it is several times as much."""
_OVERHEAD_BYTES: Final = 512


class _Kept(NamedTuple):
    version: StateCommitted
    data: bytes
    plain: object


class Archive:
    """Versions with their values, by scope, key and number; the least used go first. A version never changes."""

    def __init__(self, bus: Bus, journal: Journal) -> None:
        self._journal = journal
        self._blobs = Blobs(bus)
        self._kept: OrderedDict[tuple[str, str, int], _Kept] = OrderedDict()
        self._room = ROOM_BYTES

    async def stored(self, value: bytes) -> tuple[msgspec.Raw, BlobRef | None]:
        """Give a value as an entry holds it: itself, or its name in the object store.

        Raises:
            BusRefusedError: the store is full; nothing was stored.
            BusUnavailableError: it may or may not be stored.
        """
        if len(value) <= INLINE_LIMIT_BYTES:
            return msgspec.Raw(value), None
        return NULL, await self._blobs.put(value)

    async def version(self, scope: str, key: str, number: int) -> StateCommitted:
        """Give one version.

        Raises:
            StateInvalidError: there is none.
            BusUnavailableError: the journal could not be read.
        """
        if (kept := self._kept.get((scope, key, number))) is not None:
            return kept.version
        entry = await self._journal.get(subject.state(scope, key, number))
        if entry is None:
            raise StateInvalidError("there is no such version", where=key, got=str(number))
        return decode(StateCommitted, entry.data)

    async def data(self, version: StateCommitted) -> bytes:
        """Give the bytes of a version's value; raises as `version`, and NotFoundError if the object store lost it."""
        kept = self._kept.get((version.scope, version.key, version.version))
        if kept is not None:
            return kept.data
        if version.value_ref is None:
            return bytes(version.value)
        return await self._blobs.get(version.value_ref)

    async def plain(self, contract: StateContract[object], version: StateCommitted | None) -> object:
        """Give a version's value as plain data of today's form; MISSING if there is none; raises as `data`."""
        if version is None or version.deleted:
            return MISSING
        name = (version.scope, version.key, version.version)
        if (kept := self._kept.get(name)) is not None:
            self._kept.move_to_end(name)
            return kept.plain
        data = await self.data(version)
        plain = contract.readable(data)
        self.keep(version, data, plain)
        return plain

    def keep(self, version: StateCommitted, data: bytes, plain: object) -> None:
        """Keep a value that was just made or read."""
        name = (version.scope, version.key, version.version)
        if name in self._kept or len(data) > ROOM_BYTES // 4:
            return
        self._kept[name] = _Kept(version, data, plain)
        self._room -= len(data) + _OVERHEAD_BYTES
        while self._room < 0:
            _name, gone = self._kept.popitem(last=False)
            self._room += len(gone.data) + _OVERHEAD_BYTES
