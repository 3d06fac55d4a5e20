"""Requests over one shared reply inbox: the number at the end of the reply subject names who waits."""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from typing import TYPE_CHECKING, Final

from remit.contracts.errors import AnswerTimeoutError, BusUnavailableError, NoRespondersError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remit.bus.alarm import Alarm, Alarms
    from remit.bus.wire import Incoming, WireClient

_NO_RESPONDERS: Final = 503


class Replies:
    """Who waits for an answer on one connection.

    The numbers start at random, so that an answer meant for an earlier process of the same name is never taken for
    ours.
    """

    def __init__(self, wire: WireClient, prefix: str, alarms: Alarms) -> None:
        self._wire = wire
        self._alarms = alarms
        self._prefix = prefix
        self._next = secrets.randbits(40)
        self._waiting: dict[int, asyncio.Future[Incoming]] = {}
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
        number, answer, timer = self._expect(timeout_s)
        try:
            self._wire.send(subject, body, reply=f"{self._prefix}{number}", headers=headers)
            await self._wire.drained()
            message = await answer
        except AnswerTimeoutError as error:
            error.where, error.expected = subject, f"an answer within {timeout_s:g} s"
            raise
        finally:
            timer.cancel()
            self._waiting.pop(number, None)
        if message.raw_headers and message.status == _NO_RESPONDERS:
            raise NoRespondersError("nobody listens", where=subject)
        return message

    async def fetch(self, subject: str, body: bytes, timeout_s: float) -> tuple[Incoming, ...]:
        """Give all messages of an answer, the status that ends it last; raises as `Bus.fetch_batch`."""
        number, end, timer = self._expect(timeout_s)
        messages = self._batches[number] = []
        try:
            self._wire.send(subject, body, reply=f"{self._prefix}{number}")
            status = await end
        except AnswerTimeoutError as error:
            error.where, error.expected = subject, f"the end of the answer within {timeout_s:g} s"
            raise
        finally:
            timer.cancel()
            self._waiting.pop(number, None)
            self._batches.pop(number, None)
        if status.status == _NO_RESPONDERS:
            raise NoRespondersError("nobody listens", where=subject)
        return (*messages, status)

    def fail(self, why: str) -> None:
        """Everybody who waits is told that no answer will come."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(BusUnavailableError(why, fix="the same request may be repeated"))

    def _expect(self, timeout_s: float) -> tuple[int, asyncio.Future[Incoming], Alarm]:
        number = self.number()
        future: asyncio.Future[Incoming] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        return number, future, self._alarms.after(timeout_s, partial(_expire, future))

    def _take(self, message: Incoming) -> None:
        tail = message.subject[len(self._prefix) :]
        number = int(tail) if tail.isdecimal() else 0
        future = self._waiting.get(number)
        if future is None or future.done():
            return
        batch = self._batches.get(number)
        if batch is None or message.status:
            future.set_result(message)
        else:
            batch.append(message)


def _expire(future: asyncio.Future[Incoming]) -> None:
    if not future.done():
        future.set_exception(AnswerTimeoutError("no answer came in time"))
