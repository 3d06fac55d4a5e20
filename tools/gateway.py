"""The only door to the world: checks a call against its lease, has it settled once, answers who asked."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from remit.bus import subject
from remit.bus.blob import Blobs
from remit.bus.journal import Journal
from remit.contracts.errors import (
    AnswerTimeoutError,
    BusUnavailableError,
    MalformedMessageError,
    RefusedError,
    RemitError,
    RetryableError,
    SupersededError,
)
from remit.contracts.lease import LeaseRevoked
from remit.contracts.message import decode, encode
from remit.contracts.step import Parked, Refused, Superseded
from remit.contracts.tool import CallNeedsReview, ToolAnswered
from remit.tools import policy
from remit.tools.effects import Effects, utc_now
from remit.tools.execute import Executor, bounded
from remit.tools.leases import Leases
from remit.tools.ledger import Ledger
from remit.tools.outcome import answered
from remit.tools.policy import Desk
from remit.tools.repetition import Repetition
from remit.tools.spending import Spending
from remit.tools.stops import Stops

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from remit.bus.connection import Bus, Incoming, Subscription
    from remit.contracts.ids import GatewayId
    from remit.contracts.team import TeamSpec
    from remit.tools.effects import Clock
    from remit.tools.policy import Request
    from remit.tools.stops import Held
    from remit.tools.tool import Tool

log = structlog.get_logger(__name__)

Answer = ToolAnswered | CallNeedsReview | Refused | Superseded | Parked

_RUNNING_MOST: Final = 256
_LOOK_AGAIN_S: Final = 0.2
_OPEN_MOST: Final = 4096
"""Calls that wait or run; one more is refused at once and asked again."""


@dataclass(slots=True)
class _Turn:
    """One position of a step: `lock` guards the settling of its effect."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wanted: int = 0


class Gateway:
    """A gateway that serves calls. It answers only what is in the journal; what it cannot know it refuses."""

    def __init__(
        self,
        journal_bus: Bus,
        answer_bus: Bus,
        desk: Desk,
        *,
        data_dir: Path,
        on_bug: Callable[[BaseException], None],
        clock: Clock,
        group_commit: bool,
    ) -> None:
        journal = Journal(journal_bus, group_commit=group_commit)
        self.name = desk.gateway
        self._answer_bus = answer_bus
        self._desk = desk
        self._on_bug = on_bug
        self._clock = clock
        self._executor = Executor()
        self._leases = Leases(journal)
        self._stops = Stops()
        self._journal, self._journal_bus = journal, journal_bus
        self._repetition, self._spending = Repetition(), Spending()
        self._effects = Effects(
            Ledger(journal, gateway=desk.gateway),
            self._executor,
            stops=self._stops,
            gateway=desk.gateway,
            scratch=data_dir / "scratch",
            blobs=Blobs(journal_bus),
            clock=clock,
        )
        self._permits = asyncio.Semaphore(_RUNNING_MOST)
        self._turns: dict[tuple[str, str, str], _Turn] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._subscription: Subscription | None = None
        self._runner: asyncio.Task[None] | None = None

    @classmethod
    async def start(  # noqa: PLR0913  # who it is, what it serves, and how it writes
        cls,
        journal_bus: Bus,
        answer_bus: Bus,
        *,
        team: TeamSpec,
        tools: Mapping[str, Tool[object]],
        name: GatewayId,
        data_dir: Path,
        on_bug: Callable[[BaseException], None],
        clock: Clock = utc_now,
        group_commit: bool = False,
    ) -> Gateway:
        """Give a gateway that answers the calls addressed to its name.

        `on_bug` is called once if our own code fails; no call is served any more and its process should end.
        """
        desk = Desk(gateway=name, tools=tools, charter=team.charter)
        gateway = cls(
            journal_bus, answer_bus, desk, data_dir=data_dir, on_bug=on_bug, clock=clock, group_commit=group_commit
        )
        is_open = asyncio.Event()
        gateway._runner = asyncio.create_task(gateway._run(is_open), name=name)
        await is_open.wait()
        log.info("gateway.started", gateway=name, tools=sorted(tools))
        return gateway

    @property
    def open_calls(self) -> int:
        """How many calls wait or run."""
        return len(self._serving)

    @property
    def hanging(self) -> int:
        """How many tools outlived their deadline and still run."""
        return self._executor.hanging

    async def drain(self, deadline_s: float) -> int:
        """No new call is taken, and those that ran have ended or the time is over; give how many are left."""
        if self._subscription is not None:
            subscription, self._subscription = self._subscription, None
            await subscription.unsubscribe()
        if self._serving:
            await asyncio.wait(tuple(self._serving), timeout=deadline_s)
        return len(self._serving)

    async def stop(self) -> None:
        """Nothing is served any more. Calls in flight are left as the journal has them; another gateway goes on."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait((self._runner,))
        await self._executor.end()
        log.info("gateway.stopped", gateway=self.name)

    async def _run(self, is_open: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                await self._hear_stops(group)
                self._subscription = await self._answer_bus.subscribe(
                    subject.tool_filter(self.name), lambda message: self._take(group, message)
                )
                is_open.set()
                await asyncio.Event().wait()
        except* Exception as bugs:
            log.exception("gateway.failed", gateway=self.name, error=repr(bugs))
            self._on_bug(bugs)
        finally:
            is_open.set()
            if self._subscription is not None:
                await self._subscription.unsubscribe()

    # --- leases that are revoked -----------------------------------------------------------------

    async def _hear_stops(self, group: asyncio.TaskGroup) -> None:
        """Revocations are heard; those that came while the bus was away are looked up when it is back."""
        await self._journal_bus.subscribe(subject.STOPS, self._on_stop)
        self._journal_bus.when_reconnected(lambda: self._look_up_stops(group))

    def _on_stop(self, message: Incoming) -> None:
        try:
            self._stops.hear(decode(LeaseRevoked, message.data))
        except MalformedMessageError as error:
            log.warning("notice.ignored", subject=message.subject, error=str(error))

    def _look_up_stops(self, group: asyncio.TaskGroup) -> None:
        for held in self._stops.running:
            group.create_task(self._look_up_stop(held))

    async def _look_up_stop(self, held: Held) -> None:
        while held in self._stops.running:
            try:
                entry = await self._journal.get(subject.lease_revoked(*held))
            except BusUnavailableError as error:
                log.warning("revocation.not_read", run_id=held[0], step=held[1], error=str(error))
                await asyncio.sleep(_LOOK_AGAIN_S)
            else:
                if entry is not None:
                    self._stops.hear(decode(LeaseRevoked, entry.data))
                return

    # --- one call --------------------------------------------------------------------------------

    def _take(self, group: asyncio.TaskGroup, message: Incoming) -> None:
        if len(self._serving) >= _OPEN_MOST:
            log.warning("call.refused", reason="busy", agent=subject.last_token(message.subject))
            self._answer_bus.send(message.reply, encode(_refusal(AnswerTimeoutError("the gateway is busy"))))
            return
        task = group.create_task(self._serve(message))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, message: Incoming) -> None:
        began = time.perf_counter()
        answer = await self._answer(message)
        await self._reply(message.reply, answer)
        duration_ms = round((time.perf_counter() - began) * 1000, 1)
        log.info("call.settled", address=message.subject, duration_ms=duration_ms, **_facts(answer))

    async def _answer(self, message: Incoming) -> Answer:
        try:
            agent, call = policy.read(message.subject, message.data, self.name)
            # Each call is a task with a context of its own, so nothing has to be unbound.
            structlog.contextvars.bind_contextvars(
                run_id=call.run_id,
                step=call.step,
                epoch=call.epoch,
                position=call.position,
                tool=call.tool,
                agent=agent,
            )
            self._stops.check(call)
            held = await self._leases.find(call)
            request = policy.admit(agent, call, held.lease, desk=self._desk, now=self._clock())
            self._repetition.check(request, most=held.lease.grant.repeats)
            if (missing := policy.missing_review(request)) is not None:
                return missing
            with self._spending.reserved(request) as spend:
                answer = await self._settled(request, lease_seq=held.seq)
                spend(answer)
            return answer
        except RemitError as error:
            return _refusal(error)

    async def _settled(self, request: Request, *, lease_seq: int) -> ToolAnswered | Parked:
        call = request.call
        async with self._turn((call.run_id, call.step, call.position)), self._permits:
            self._stops.check(call)
            outcome = await self._effects.settle(request, lease_seq=lease_seq)
        self._stops.check(call)  # its outcome is in the journal; who asked has nothing to do with it any more
        return Parked(review_id="") if outcome is None else answered(outcome)

    @asynccontextmanager
    async def _turn(self, place: tuple[str, str, str]) -> AsyncIterator[None]:
        """One request of a position at a time: a repeated one waits, and then finds the outcome."""
        turn = self._turns.setdefault(place, _Turn())
        turn.wanted += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.wanted -= 1
            if not turn.wanted:
                del self._turns[place]

    async def _reply(self, target: str, answer: Answer) -> None:
        try:
            await self._answer_bus.publish(target, encode(answer))
        except (RetryableError, RefusedError) as error:  # no reply subject, or a bus that is gone: it is asked again
            log.warning("answer.dropped", code=error.code, got=error.got)


def _refusal(error: RemitError) -> Refused | Superseded:
    if isinstance(error, SupersededError):
        return Superseded(reason=error.message)
    return Refused(error=bounded(error.fault()))


def _facts(answer: Answer) -> dict[str, str]:
    match answer:
        case ToolAnswered(error=None):
            return {"outcome": "returned"}
        case ToolAnswered(error=fault) if fault is not None:
            return {"outcome": "failed", "code": fault.code, "where": fault.where}
        case Refused(error=fault):
            return {"outcome": "refused", "code": fault.code, "where": fault.where}
        case _:
            return {"outcome": str(answer.__struct_config__.tag).split(".")[1]}
