"""Keeps the bucket `state` at what the journal says, behind the commits; a bucket that is gone is made again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from remit.bus.state_cache import StateCache
from remit.contracts.errors import RemitError

if TYPE_CHECKING:
    from remit.bus.connection import Bus
    from remit.contracts.proposal import StateCommitted

log = structlog.get_logger(__name__)

PAUSE_S: Final = 2.0
LOOK_S: Final = 5.0
AT_ONCE: Final = 64


class CacheWriter:
    """Versions that the bucket does not show yet: of a key that changes faster, only the last is written."""

    def __init__(self, bus: Bus) -> None:
        self._cache = StateCache(bus)
        self._due: dict[tuple[str, str], StateCommitted] = {}
        self._is_due = asyncio.Event()

    def note(self, version: StateCommitted) -> None:
        """Note a version that was committed."""
        self._due[version.scope, version.key] = version
        self._is_due.set()

    async def run(self) -> None:
        """Write what is due, for ever; every few seconds look whether the bucket is still there."""
        await self._look()
        while True:
            await self._write()
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._is_due.wait()
            except TimeoutError:
                await self._look()

    async def _write(self) -> None:
        self._is_due.clear()
        while self._due:
            names = [*self._due][:AT_ONCE]
            versions = [self._due.pop(name) for name in names]
            results = await asyncio.gather(*(self._cache.show(item) for item in versions), return_exceptions=True)
            failed = [(item, error) for item, error in zip(versions, results, strict=True) if error is not None]
            for item, error in failed:
                if not isinstance(error, RemitError):
                    raise error
                self._due.setdefault((item.scope, item.key), item)
            if failed:
                log.warning("state.not_cached", keys=len(failed), error=str(failed[0][1]))
                await asyncio.sleep(PAUSE_S)
                await self._look()

    async def _look(self) -> None:
        """An empty bucket was deleted, or made anew: what the journal says is written into it."""
        try:
            if await self._cache.is_empty():
                keys = await self._cache.rebuild()
                log.info("state.cache_rebuilt", keys=keys)
        except RemitError as error:  # looked at again soon
            log.warning("state.not_cached", error=str(error))
