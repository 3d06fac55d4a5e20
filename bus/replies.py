"""Requests over one shared reply inbox: the number at the end of the reply subject names who waits."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

from remit.contracts.errors import AnswerTimeoutError, BusUnavailableError, NoRespondersError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remit.bus.wire import Incoming, WireClient

_NO_RESPONDERS: Final = 503
_SWEEP_S: Final = 0.05
"""How late somebody may be told that no answer came. A timer for each of thousands a second would cost a tenth of
everything that this process does; nearly all would be cancelled."""


class _Waiting(NamedTuple):
    answer: asyncio.Future[Incoming]
    until: float


class Replies:
    """Who waits for an answer on one connection.

    The numbers start at random, so that an answer meant for an earlier process of the same name is never taken for
    ours.
    """

    def __init__(self, wire: WireClient, prefix: str) -> None:
        self._wire = wire
        self._prefix = prefix
        self._next = secrets.randbits(40)
        self._waiting: dict[int, _Waiting] = {}
        self._is_sweeping = False
        self._batches: dict[int, list[Incoming]] = {}

    @property
    def waiting(self) -> int:
        """How many answers are awaited."""
        return len(self._waiting)

    def listen(self) -> None:
        """Answers are heard."""
        self._wire.listen(self._prefix + "*", self._take)

    def number(self) -> int:
        """Give a number that was never used on this connection."""
        self._next += 1
        return self._next

    async def ask(
        self, subject: str, body: bytes, *, headers: Mapping[str, str] | None = None, timeout_s: float = 5.0
    ) -> Incoming:
        """Give the answer; raises as `Bus.request`."""
        number, answer = self._expect(timeout_s)
        try:
            self._wire.send(subject, body, reply=f"{self._prefix}{number}", headers=headers)
            await self._wire.drained()
            message = await answer
        except AnswerTimeoutError as error:
            error.where, error.expected = subject, f"an answer within {timeout_s:g} s"
            raise
        finally:
            self._waiting.pop(number, None)
        if message.raw_headers and message.status == _NO_RESPONDERS:
            raise NoRespondersError("nobody listens", where=subject)
        return message

    async def fetch(self, subject: str, body: bytes, timeout_s: float) -> tuple[Incoming, ...]:
        """Give all messages of an answer, the status that ends it last; raises as `Bus.fetch_batch`."""
        number, end = self._expect(timeout_s)
        messages = self._batches[number] = []
        try:
            self._wire.send(subject, body, reply=f"{self._prefix}{number}")
            status = await end
        except AnswerTimeoutError as error:
            error.where, error.expected = subject, f"the end of the answer within {timeout_s:g} s"
            raise
        finally:
            self._waiting.pop(number, None)
            self._batches.pop(number, None)
        if status.status == _NO_RESPONDERS:
            raise NoRespondersError("nobody listens", where=subject)
        return (*messages, status)

    def fail(self, why: str) -> None:
        """Everybody who waits is told that no answer will come."""
        for waiting in self._waiting.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(BusUnavailableError(why, fix="the same request may be repeated"))

    def _expect(self, timeout_s: float) -> tuple[int, asyncio.Future[Incoming]]:
        number, loop = self.number(), asyncio.get_running_loop()
        answer: asyncio.Future[Incoming] = loop.create_future()
        self._waiting[number] = _Waiting(answer, loop.time() + timeout_s)
        if not self._is_sweeping:
            self._is_sweeping = True
            loop.call_later(_SWEEP_S, self._sweep)
        return number, answer

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for answer, until in self._waiting.values():
            if until <= now and not answer.done():
                answer.set_exception(AnswerTimeoutError("no answer came in time"))
        self._is_sweeping = bool(self._waiting)
        if self._is_sweeping:
            loop.call_later(_SWEEP_S, self._sweep)

    def _take(self, message: Incoming) -> None:
        tail = message.subject[len(self._prefix) :]
        number = int(tail) if tail.isdecimal() else 0
        waiting = self._waiting.get(number)
        if waiting is None or waiting.answer.done():
            return
        batch = self._batches.get(number)
        if batch is None or message.status:
            waiting.answer.set_result(message)
        else:
            batch.append(message)
