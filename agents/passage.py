"""Time and chance as a handler may have them: recorded, so that they are the same on replay; and long waits."""

from __future__ import annotations

import asyncio
import random
import uuid
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from remit.agents.replay import take_position
from remit.contracts.errors import UsageError
from remit.contracts.message import decode_any, encode
from remit.contracts.rollback import MarkCheckpoint
from remit.contracts.step import SleepStep

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import msgspec

    from remit.agents.port import StepPort
    from remit.contracts.step import RecordKind, RunStep

T = TypeVar("T")

MOMENT_S: Final = 1.0
"""A wait that is no longer keeps its slot: to be handed over again takes about as long."""


class Passage(ABC):
    """The part of a context that is about time."""

    port: StepPort
    _work: RunStep

    @abstractmethod
    async def recorded(
        self, kind: RecordKind, name: str, *, request: str, act: Callable[[str], Awaitable[bytes]]
    ) -> msgspec.Raw:
        """Give what was recorded at the next position, or act and record it first."""

    async def now(self) -> datetime:
        """Give the time, UTC; the same again on replay."""
        return await self._once("now", datetime, lambda: datetime.now(UTC))

    async def uuid(self) -> uuid.UUID:
        """Give a random UUID (version 4); the same again on replay."""
        return await self._once("uuid", uuid.UUID, uuid.uuid4)

    async def random(self) -> float:
        """Give a random number from 0.0 to less than 1.0; the same again on replay. It is journaled: never a secret."""
        return await self._once("random", float, random.random)  # noqa: S311  # its docstring says: never a secret

    async def sleep_until(self, when: datetime) -> None:
        """Go on at this time, and not before; a wait of more than a second gives the slot up.

        A wait costs no host and survives a restart of everything. Times of the past have passed.

        Raises:
            UsageError: the time has no zone.
            LimitReachedError: the run ends before; nothing waits.
        """
        if when.tzinfo is None:
            raise UsageError("a time to wait for needs a zone", expected="datetime(…, UTC)", got=when.isoformat())
        position = take_position()
        left_s = (when - datetime.now(UTC)).total_seconds()
        if left_s <= MOMENT_S:
            await asyncio.sleep(max(left_s, 0.0))
            return
        await self.port.hold()
        work = self._work
        await self.port.sleep(
            SleepStep(run_id=work.run_id, step=work.step, epoch=work.epoch, position=position, until_at=when)
        )

    async def sleep(self, seconds: float) -> None:
        """Go on after so many seconds, counted from when this was first called; as `sleep_until`."""
        await self.sleep_until(await self.now() + timedelta(seconds=seconds))

    async def checkpoint(self, name: str) -> None:
        """The run can be rolled back to here: what this step did before this line stays, what came later is undone.

        Between the operations of a step of the plan, not inside a branch of a `gather`.

        Raises:
            RefusedError: the name is none, or another checkpoint has it; or this is not a step of the plan.
        """
        position = take_position()
        await self.port.hold()
        work = self._work
        await self.port.mark(
            MarkCheckpoint(run_id=work.run_id, step=work.step, epoch=work.epoch, position=position, name=name)
        )

    async def _once(self, name: str, kind: type[T], act: Callable[[], T]) -> T:
        async def once(_position: str) -> bytes:
            return encode(act())

        value: T = decode_any(kind, await self.recorded("step", name, request="", act=once))
        return value
