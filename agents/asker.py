"""Asks and appends in one agent's name, again and again until it is answered."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from remit.bus import stream
from remit.bus.journal import Journal
from remit.contracts.errors import AlreadyStoredError, AnswerTimeoutError, BusUnavailableError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remit.bus.connection import Bus

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long one attempt waits for its answer, and how long it is until the next."""

    first_s: float = 2.0
    """The first attempt: whoever was asked may have died with the question in hand."""
    most_s: float = 3.0
    pause_s: float = 0.05
    pause_most_s: float = 1.0


class Asker:
    """One agent's voice on its connection. Nothing here ends by itself: the step's deadline or a drain cancels it."""

    def __init__(
        self, bus: Bus, *, role: str, agent: str, patience: Patience | None = None, group_commit: bool = False
    ) -> None:
        self.bus = bus
        self.role = role
        self.agent = agent
        self._patience = patience or Patience()
        self._journal = Journal(bus, group_commit=True) if group_commit else None

    async def ask(self, subject: str, body: bytes, *, on_silence: Callable[[], Awaitable[None]] | None = None) -> bytes:
        """Give the answer; the same question is repeated until there is one.

        `on_silence` is awaited whenever nobody listened or answered in time, and may end the asking with an error.
        """
        attempt, wait_s = 0, self._patience.first_s
        while True:
            attempt += 1
            try:
                return (await self.bus.ask(subject, body, timeout_s=wait_s)).data
            except AnswerTimeoutError:
                wait_s = self._patience.most_s
            except BusUnavailableError as error:
                await self._pause(attempt, subject, error)
            if on_silence is not None:
                await on_silence()

    async def append(self, subject: str, body: bytes) -> bool:
        """The entry is stored; False if another one stood at its index before our first attempt.

        Only this agent may write there, so an index that is taken on a later attempt was taken by an earlier one.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                await self._store(subject, body)
            except AlreadyStoredError:
                return attempt > 1
            except RetryableError as error:
                await self._pause(attempt, subject, error)
            else:
                return True

    async def _store(self, subject: str, body: bytes) -> None:
        if self._journal is not None:
            await self._journal.append(subject, body)
        else:
            await stream.store(self.bus, subject, body)

    async def _pause(self, attempt: int, subject: str, error: RetryableError) -> None:
        pause_s = min(self._patience.pause_s * 2 ** min(attempt - 1, 10), self._patience.pause_most_s)
        log.warning("request.repeated", subject=subject, attempt=attempt, code=error.code, pause_s=pause_s)
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311  # spreads many askers, hides nothing
