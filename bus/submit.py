"""Publish tasks and await their outcomes: what a client of a team needs, and nothing of the team."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from remit.bus import stream, subject
from remit.bus.journal import Results
from remit.contracts.errors import AnswerTimeoutError, BusUnavailableError, MalformedMessageError, NoRespondersError
from remit.contracts.ids import RunId, is_name, run_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remit.bus.connection import Bus, Subscription
    from remit.bus.wire import Incoming

KEPT_OUTCOMES: Final = 20_000
KEPT_BYTES: Final = 64 * 1024 * 1024
_FIRST_LOOK_S: Final = 0.5
_LONGEST_LOOK_S: Final = 5.0


class TaskClient:
    """Submits tasks and hands out their outcomes, in whichever order the two arrive.

    Outcomes are heard on one subscription. An outcome that comes before anyone asks for it is kept, within bounds; one
    that was not heard, or not kept, is read where the server keeps it.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._results = Results(bus)
        self._subscription: Subscription | None = None
        self._listening = asyncio.Lock()  # guards the subscription: many tasks submitted at once need one, not many
        self._asked: dict[str, list[asyncio.Future[bytes]]] = {}
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._own: OrderedDict[str, None] = OrderedDict()

    async def submit(
        self,
        workflow: str,
        body: bytes,
        *,
        message_id: str = "",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 5.0,
    ) -> RunId:
        """The task is stored and will get exactly one outcome; give the name of its run.

        The same `message_id` within two minutes gives the same run: a task may be submitted again after an error.

        Raises:
            TooLargeError: the body is above the limit; nothing was sent.
            MalformedMessageError: the workflow's name cannot be part of a subject; nothing was sent.
            QueueFullError: the queue is full, and says when to try again; nothing was stored.
            BusRefusedError: its disk is full; nothing was stored.
            NoRespondersError: there is no queue at this server; nothing was stored.
            BusUnavailableError: no answer came; the task may or may not be stored.
        """
        if not is_name(workflow):
            raise MalformedMessageError("this is no workflow's name", expected="[a-z][a-z0-9_]*", got=repr(workflow))
        await self._listen()
        sent = dict(headers or {})
        if message_id:
            sent[stream.MESSAGE_ID] = f"{workflow}:{message_id}"  # the server compares ids across all workflows
        try:
            ack = await stream.store(self._bus, subject.task(workflow), body, headers=sent, timeout_s=timeout_s)
        except NoRespondersError as error:
            error.fix = "start the team with `remit up`"
            raise
        run = run_id(ack.seq)
        self._own[run] = None
        if len(self._own) > KEPT_OUTCOMES:
            self._own.popitem(last=False)
        return run

    async def outcome(self, run: str, timeout_s: float = 60.0) -> bytes:
        """Give the outcome of a run, whoever submitted it, as often as it is asked for.

        Raises:
            AnswerTimeoutError: there is none yet; the run goes on.
            BusUnavailableError: the connection is closed.
        """
        await self._listen()
        if (kept := self._forget(run)) is not None:
            self._own.pop(run, None)
            return kept
        deadline = asyncio.get_running_loop().time() + timeout_s
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(run, []).append(future)
        try:
            return await self._await_outcome(run, future, deadline)
        finally:
            self._stop_asking(run, future)

    async def close(self) -> None:
        """Outcomes are heard no more; whoever waits is told by its own time-out."""
        if self._subscription is not None:
            self._subscription.drop()
            self._subscription = None

    async def _await_outcome(self, run: str, future: asyncio.Future[bytes], deadline: float) -> bytes:
        loop = asyncio.get_running_loop()
        # A run of our own that was not kept is still under way; any other one may have ended before we listened.
        look_after_s = _FIRST_LOOK_S if self._own.pop(run, "other") is None else 0.0
        while True:
            left_s = deadline - loop.time()
            if await self._arrived(future, min(look_after_s, left_s)):
                return future.result()
            if (found := await self._look(run)) is not None:
                return found
            if left_s <= look_after_s:
                raise AnswerTimeoutError("the run has no outcome yet", where=run, fix=f"remit run show {run}")
            look_after_s = min(_LONGEST_LOOK_S, max(_FIRST_LOOK_S, look_after_s * 2))

    async def _arrived(self, future: asyncio.Future[bytes], within_s: float) -> bool:
        """Say whether the future is done within a time; cheaper than a task and a time-out per outcome."""
        if future.done() or within_s <= 0:
            return future.done()
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake(_: object = None) -> None:
            if not waiter.done():
                waiter.set_result(None)

        future.add_done_callback(wake)
        alarm = self._bus.alarms.after(within_s, wake)
        try:
            await waiter
        finally:
            alarm.cancel()
            future.remove_done_callback(wake)
        return future.done()

    async def _look(self, run: str) -> bytes | None:
        try:
            return await self._results.get(run)
        except BusUnavailableError:
            if not self._bus.is_connected:
                return None  # looked for again until the caller's time is up
            raise

    async def _listen(self) -> None:
        if self._subscription is not None:
            return
        async with self._listening:
            if self._subscription is None:
                self._subscription = await self._bus.subscribe(subject.RESULT_ALL, self._take)

    def _take(self, message: Incoming) -> None:
        run = subject.last_token(message.subject)
        asked = self._asked.get(run)
        if asked:
            for future in asked:
                if not future.done():
                    future.set_result(message.data)
        else:
            self._keep(run, message.data)

    def _keep(self, run: str, data: bytes) -> None:
        self._forget(run)
        self._kept[run] = data
        self._kept_bytes += len(data)
        while len(self._kept) > KEPT_OUTCOMES or self._kept_bytes > KEPT_BYTES:
            oldest = next(iter(self._kept))
            self._forget(oldest)
            self._own.pop(oldest, None)

    def _forget(self, run: str) -> bytes | None:
        data = self._kept.pop(run, None)
        self._kept_bytes -= len(data or b"")
        return data

    def _stop_asking(self, run: str, future: asyncio.Future[bytes]) -> None:
        asked = self._asked.get(run, [])
        if future in asked:
            asked.remove(future)
        if not asked:
            self._asked.pop(run, None)
