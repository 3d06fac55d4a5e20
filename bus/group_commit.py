"""Group commit: what many callers append at about the same time is stored with one synced write.

With `sync_interval: always` the server syncs its disk once for an entry, and once for an atomic batch of a thousand.
So entries that come while others are on their way are gathered, and go together as one batch. Who appended learns
exactly what a single append would have told:

- A batch is atomic, so one stale fence or taken index refuses all of it, and the server does not say which entry it
  was. A refused batch is halved until every entry that is refused stood alone: only then it is believed.
- The server holds every fence of a batch against what was stored *before* it. Of entries that could notice one
  another, because one writes where another has its fence or both write on one subject, only the first goes into a
  batch; the others go into a later one, which finds it stored.
- If no answer comes, all of the batch is stored or none of it, and each caller is told that nobody knows.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

import structlog

from remit.bus import batch
from remit.bus.batch import BATCH_LIMIT
from remit.contracts.errors import AlreadyStoredError, BusUnavailableError, FencedOutError, RemitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remit.bus.batch import Draft
    from remit.bus.connection import Bus

log = structlog.get_logger(__name__)

ALONE_BYTES: Final = 128 * 1024
"""What is larger goes by itself: writing it takes longer than syncing it."""
ROUND_BYTES: Final = 1024 * 1024
FEW: Final = 12
"""So many go one by one, all at once: the server takes longer over a batch than over so few entries."""
ROUNDS: Final = 2
_OVERHEAD_BYTES: Final = 256
_SERVERS_OWN: Final = "nats-"
_TOKENS: Final = 3
_WILD: Final = frozenset("*>")


class _Unit:
    """What one caller stores: all of it or nothing."""

    __slots__ = ("drafts", "size", "stored")

    def __init__(self, drafts: Sequence[Draft], size: int, stored: asyncio.Future[int]) -> None:
        self.drafts = drafts
        self.size = size
        self.stored = stored


class GroupCommit:
    """The appends of one process to the journal, gathered while others are on their way."""

    def __init__(self, bus: Bus, *, timeout_s: float) -> None:
        self._bus = bus
        self._timeout_s = timeout_s
        self._waiting: deque[_Unit] = deque()
        self._rounds: set[asyncio.Task[None]] = set()
        self._is_due = False
        self._straight = 0
        self._is_busy = False

    async def store(self, drafts: Sequence[Draft]) -> int:
        """Store all entries or none, next to each other; give the sequence of the last; raises as `stream.store`.

        What has to wait for others waits up to `timeout_s` more.
        """
        size = sum(len(draft.body) + _OVERHEAD_BYTES for draft in drafts)
        if size > ALONE_BYTES or not _may_be_gathered(drafts):
            return await self._alone(drafts)
        if not self._is_busy and self._straight < FEW:
            return await self._go_straight(drafts)
        self._is_busy = True
        unit = _Unit(drafts, size, asyncio.get_running_loop().create_future())
        self._waiting.append(unit)
        self._wake()
        return await unit.stored

    async def _go_straight(self, drafts: Sequence[Draft]) -> int:
        self._straight += 1
        try:
            return await self._alone(drafts)
        finally:
            self._straight -= 1

    def _wake(self) -> None:
        # Not at once: whatever was woken by the same answers appends within this turn of the loop.
        if not self._is_due and len(self._rounds) < ROUNDS:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._is_due = False
        if len(self._rounds) < ROUNDS and (units := self._take()):
            self._is_busy = len(units) > FEW or bool(self._waiting)
            task = asyncio.get_running_loop().create_task(self._round(units))
            self._rounds.add(task)
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._rounds.discard(task)
        if self._waiting:
            self._begin()

    def _take(self) -> list[_Unit]:
        """Give units that cannot notice one another, the oldest first; the others go on waiting in their order."""
        taken, left, count, size, held = list[_Unit](), list[_Unit](), 0, 0, _Held()
        while self._waiting:
            unit = self._waiting.popleft()
            if unit.stored.cancelled():
                continue
            if taken and (count + len(unit.drafts) > BATCH_LIMIT or size + unit.size > ROUND_BYTES):
                left.append(unit)
                break
            if not held.take(unit.drafts):
                left.append(unit)
                continue
            taken.append(unit)
            count, size = count + len(unit.drafts), size + unit.size
        self._waiting.extendleft(reversed(left))
        return taken

    # --- one round -------------------------------------------------------------------------------

    async def _round(self, units: list[_Unit]) -> None:
        try:
            await self._store(units)
        except asyncio.CancelledError:
            for unit in units:
                unit.stored.cancel()
            raise
        except Exception as bug:  # noqa: BLE001  # raised where each of them was called from
            for unit in units:
                _fail(unit, bug)

    async def _store(self, units: list[_Unit]) -> None:
        """Every unit has its answer."""
        if len(units) == 1:
            await self._one(units[0])
            return
        if len(units) <= FEW:
            await asyncio.gather(*map(self._one, units))
            return
        try:
            last = await batch.store_all(
                self._bus, [draft for unit in units for draft in unit.drafts], timeout_s=self._timeout_s
            )
        except (FencedOutError, AlreadyStoredError):
            half = len(units) // 2
            await asyncio.gather(self._store(units[:half]), self._store(units[half:]))
        except BusUnavailableError as error:
            for unit in units:
                _fail(unit, BusUnavailableError(error.message, where=unit.drafts[0].subject, expected=error.expected))
        except RemitError as error:  # about the batch, perhaps: the server has too many open, or knows none
            log.warning("batch.refused", entries=len(units), error=str(error))
            await asyncio.gather(*map(self._one, units))
        else:
            for unit in reversed(units):
                _tell(unit, last)
                last -= len(unit.drafts)

    async def _one(self, unit: _Unit) -> None:
        try:
            _tell(unit, await self._alone(unit.drafts))
        except RemitError as error:
            _fail(unit, error)

    async def _alone(self, drafts: Sequence[Draft]) -> int:
        if len(drafts) == 1:
            return await batch.store_one(self._bus, drafts[0], timeout_s=self._timeout_s)
        return await batch.store_all(self._bus, drafts, timeout_s=self._timeout_s)


def _tell(unit: _Unit, last: int) -> None:
    if not unit.stored.done():  # its caller may have gone
        unit.stored.set_result(last)


def _fail(unit: _Unit, error: Exception) -> None:
    if not unit.stored.done():
        unit.stored.set_exception(error)


def _may_be_gathered(drafts: Sequence[Draft]) -> bool:
    """Say whether a batch treats these entries as it treats single ones: not where the server reads their headers.

    Nor is a fence gathered that looks at more than one run: who could notice whom is found by the names of runs.
    """
    for draft in drafts:
        if draft.headers and any(name.lower().startswith(_SERVERS_OWN) for name in draft.headers):
            return False
        if draft.fence is not None and not _WILD.isdisjoint(_head(draft.fence.subject)):
            return False
    return len(drafts) < BATCH_LIMIT


class _Held:
    """Where the entries of one batch write, and where their fences look; by the first tokens, as most runs differ."""

    def __init__(self) -> None:
        self._writes: dict[str, list[str]] = {}
        self._looks: dict[str, list[str]] = {}

    def take(self, drafts: Sequence[Draft]) -> bool:
        """The entries belong to the batch; False, and nothing changed, if one of them or of it could notice another."""
        if any(self._is_noticed(draft) for draft in drafts):
            return False
        for draft in drafts:
            self._writes.setdefault(_head(draft.subject), []).append(draft.subject)
            if draft.fence is not None:
                self._looks.setdefault(_head(draft.fence.subject), []).append(draft.fence.subject)
        return True

    def _is_noticed(self, draft: Draft) -> bool:
        head = _head(draft.subject)
        if draft.subject in self._writes.get(head, ()):
            return True
        if any(_matches(look, draft.subject) for look in self._looks.get(head, ())):
            return True
        if (fence := draft.fence) is None:
            return False
        return any(_matches(fence.subject, name) for name in self._writes.get(_head(fence.subject), ()))


def _head(subject: str) -> str:
    """Give the tokens before any wildcard that a fence of the journal has."""
    return ".".join(subject.split(".", _TOKENS)[:_TOKENS])


def _matches(filter_: str, subject: str) -> bool:
    """Say whether a subject is one of those that a filter names."""
    wanted, tokens = filter_.split("."), subject.split(".")
    if wanted[-1] == ">":
        if len(tokens) < len(wanted):
            return False
        wanted.pop()
    elif len(tokens) != len(wanted):
        return False
    return all(want in {"*", token} for want, token in zip(wanted, tokens, strict=False))
