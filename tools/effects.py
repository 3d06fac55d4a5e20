"""One effect from its intent to its outcome: claimed, taken over or found done; carried out at most once at a time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
import structlog

from remit.bus import subject
from remit.bus.journal import Fence
from remit.contracts.blob import INLINE_LIMIT_BYTES
from remit.contracts.errors import (
    AnswerTimeoutError,
    EnvironmentFaultError,
    MalformedMessageError,
    RetryableError,
    TooLargeError,
    ToolTimeoutError,
    sentence,
)
from remit.contracts.ids import intent_key
from remit.contracts.message import decode_any
from remit.contracts.tool import ToolCalled, ToolReturned
from remit.tools import policy
from remit.tools.execute import Execution, checked
from remit.tools.outcome import (
    attempt_index,
    check_same,
    conclude,
    in_doubt,
    is_abandoned,
    may_retry,
    needs_lookup,
    not_found,
    resolve,
    returned,
    takeover_index,
)
from remit.tools.tool import ToolScope

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remit.bus.blob import Blobs
    from remit.contracts.lease import Resolution
    from remit.tools.execute import Executor
    from remit.tools.ledger import Ledger
    from remit.tools.outcome import Outcome
    from remit.tools.policy import Request
    from remit.tools.stops import Stops

log = structlog.get_logger(__name__)

Clock: TypeAlias = "Callable[[], datetime]"

_BLOB_MOST_BYTES: Final = 64 * 1024 * 1024
_LOOKUP_S: Final = 5.0
"""Shorter than the time for which other gateways leave an overdue intent alone."""


def utc_now() -> datetime:
    """Give the time of this machine."""
    return datetime.now(UTC)


class Effects:
    """The effects that one gateway is asked for. Its caller sees to it that one position is settled at a time."""

    def __init__(
        self,
        ledger: Ledger,
        executor: Executor,
        *,
        stops: Stops,
        gateway: str,
        scratch: Path,
        blobs: Blobs,
        clock: Clock,
    ) -> None:
        self._stops = stops
        self._ledger = ledger
        self._blobs = blobs
        self._executor = executor
        self._gateway = gateway
        self._scratch = scratch
        self._clock = clock

    async def settle(self, request: Request, *, lease_seq: int) -> ToolReturned | None:
        """The call has an outcome in the journal: give it, or None while a person must find it out.

        Raises:
            FencedOutError: a newer lease exists; nothing was called.
            DeadlineError: the lease has ended; nothing was called.
            ReplayMismatchError: another call stands at this position; nothing was called.
            MalformedMessageError: the result that a person gave does not fit the tool; nothing changed.
            AnswerTimeoutError: another gateway has the intent, or its lookup did not answer; ask again.
            BusUnavailableError: it is not known whether the intent is stored; nothing was called. Ask again.
        """
        fence = Fence(subject.lease_lane(request.call.run_id, request.call.step), lease_seq)
        for attempt in count():
            index = attempt_index(request.call.position, attempt)
            intent = self._intent(request, index)
            outcome = await self._outcome(request, intent, fence)
            resolution = _resolution(request, index)
            if isinstance(outcome, ToolReturned):
                if outcome.error is None or not may_retry(intent, resolution, outcome.error):
                    return outcome
                continue
            if resolution is None:
                return None
            if resolution.decision != "again":
                return await self._resolved(request, intent, resolution)
        raise AssertionError  # count() does not end

    async def _outcome(self, request: Request, intent: ToolCalled, fence: Fence) -> Outcome:
        standing = await self._ledger.claim(intent, fence=fence)
        if standing is None:
            return await self._begin(request, intent)
        check_same(standing, intent)
        return await self._ledger.outcome(standing) or await self._take_over(request, intent, standing, fence=fence)

    async def _begin(self, request: Request, intent: ToolCalled) -> Outcome:
        is_first = intent.position == request.call.position
        # An earlier attempt, or the run that this one is a fork of, failed: after its effect perhaps.
        if intent.effect == "lookup" and (not is_first or _known_key(request)):
            found = await self._look_up(request, intent.position)
            if found is not None:
                return await self._concluded(intent, found, index=intent.position, duration_ms=0)
        return await self._perform(request, intent, index=intent.position)

    async def _take_over(self, request: Request, intent: ToolCalled, standing: ToolCalled, *, fence: Fence) -> Outcome:
        """Carry on with an intent that has no outcome.

        A take-over is an intent of its own, fenced and write-once like the first: when this gateway dies or is
        slow in turn, the next one sees who has the effect now, and two never carry it out side by side.
        """
        index = standing.position
        performer, number = await self._ledger.performer(standing)
        is_untouched = self._ledger.is_untouched(performer)
        if not is_untouched:
            self._check_abandoned(request, performer)
            if standing.effect == "at_most_once":
                doubt = in_doubt(standing, index, f"gateway {performer.gateway} ended between intent and outcome")
                return await self._ledger.settle(doubt, performed=standing)
        mine = msgspec.structs.replace(intent, position=takeover_index(index, number + 1), effect=standing.effect)
        if await self._ledger.claim(mine, fence=fence) is not None:
            raise AnswerTimeoutError("another gateway has just taken the call over", where=index)
        log.info("call.taken_over", position=index, gone=performer.gateway, effect=standing.effect)
        if known := await self._ledger.outcome(standing):
            return known
        if standing.effect == "lookup" and not is_untouched:
            found = await self._look_up(request, index)
            if found is not None:
                return await self._concluded(mine, found, index=index, duration_ms=0)
        return await self._perform(request, mine, index=index)

    def _check_abandoned(self, request: Request, performer: ToolCalled) -> None:
        if not is_abandoned(performer, request.lease, gateway=self._gateway, now=self._clock()):
            raise AnswerTimeoutError(
                "another gateway may still carry this call out",
                where=f"{performer.run_id} {performer.step} position {performer.position}",
                expected=f"its outcome, or {performer.gateway} journaled as gone",
                fix="ask again",
            )

    # --- carrying out ----------------------------------------------------------------------------

    async def _perform(self, request: Request, intent: ToolCalled, *, index: str) -> Outcome:
        began = time.perf_counter()
        execution = await self._execute(request, intent, index)
        if needs_lookup(intent, execution):
            execution = await self._look_up(request, index) or not_found(execution)
        duration_ms = round((time.perf_counter() - began) * 1000)
        return await self._concluded(intent, execution, index=index, duration_ms=duration_ms)

    async def _execute(self, request: Request, intent: ToolCalled, index: str) -> Execution:
        # Our own clock, now: the intent may have waited for the bus, and we may have been frozen since.
        within_s = (intent.deadline_at - self._clock()).total_seconds()
        if within_s <= 0:
            fault = ToolTimeoutError("the deadline passed before the tool was called; it was not called").fault()
            return Execution(effected="no", fault=fault)
        try:
            arguments = self._arguments(request, deadline_at=intent.deadline_at)
        except OSError as error:
            fault = EnvironmentFaultError(f"no scratch folder: {error.strerror}", where=request.tool.name).fault()
            return Execution(effected="no", fault=fault)
        with self._stops.watch(request.call) as cut:
            if cut.fault is not None:
                return Execution(effected="no", fault=cut.fault)
            body, returns = request.tool.body, request.tool.returns
            return await self._executor.run(body, arguments, returns=returns, within_s=within_s, cut=cut)

    async def _look_up(self, request: Request, index: str) -> Execution | None:
        """Give what became of the effect, or None if it did not happen.

        Raises:
            AnswerTimeoutError: the lookup itself failed; the intent stays open.
        """
        if request.tool.lookup is None:
            raise AnswerTimeoutError(f"{request.tool.name} has no lookup any more", where=request.tool.name)
        arguments = self._arguments(request, deadline_at=self._clock() + timedelta(seconds=_LOOKUP_S))
        said = await self._executor.run(request.tool.lookup, arguments, returns=object, within_s=_LOOKUP_S)
        if said.fault is not None:
            log.warning("lookup.failed", tool=request.tool.name, code=said.fault.code)
            raise AnswerTimeoutError(
                "it is not known yet whether the call had its effect", where=request.tool.name, got=sentence(said.fault)
            )
        return None if said.value == b"null" else checked(msgspec.Raw(said.value), request.tool.returns)

    async def _concluded(self, intent: ToolCalled, execution: Execution, *, index: str, duration_ms: int) -> Outcome:
        outcome: Outcome
        if len(execution.value) > INLINE_LIMIT_BYTES:
            outcome = await self._too_large(intent, execution.value, index=index, duration_ms=duration_ms)
        else:
            outcome = conclude(intent, execution, index=index, duration_ms=duration_ms)
        return await self._ledger.settle(outcome, performed=intent)

    async def _too_large(self, intent: ToolCalled, value: bytes, *, index: str, duration_ms: int) -> ToolReturned:
        """Give the error that the agent gets; the value is kept where a person finds it."""
        fault = TooLargeError(
            "the tool's result is too large for a message",
            where="result",
            expected=f"at most {INLINE_LIMIT_BYTES} bytes",
            got=str(len(value)),
            fix="keep it behind the tool and return its name and digest",
        ).fault()
        outcome = returned(intent, index, error=fault, duration_ms=duration_ms)
        if len(value) > _BLOB_MOST_BYTES:
            return outcome
        try:
            return msgspec.structs.replace(outcome, value_ref=await self._blobs.put(value))
        except (RetryableError, ExceptionGroup) as error:
            log.warning("result.dropped", tool=intent.tool, size_bytes=len(value), error=str(error))
            return outcome

    async def _resolved(self, request: Request, intent: ToolCalled, resolution: Resolution) -> ToolReturned:
        if resolution.decision == "done":
            try:
                decode_any(request.tool.returns, resolution.value)
            except MalformedMessageError as error:
                error.where = f"resolution of position {resolution.position}: {error.where}"
                raise
        return await self._ledger.settle(resolve(intent, intent.position, resolution), performed=intent)

    # --- what a call is made of ------------------------------------------------------------------

    def _intent(self, request: Request, index: str) -> ToolCalled:
        now = self._clock()
        policy.check_time(request.lease, now)
        approval = policy.approval(request)
        return ToolCalled(
            run_id=request.call.run_id,
            step=request.call.step,
            epoch=request.call.epoch,
            position=index,
            tool=request.tool.name,
            request=request.digest,
            arguments=request.sent,
            agent=request.agent,
            gateway=self._gateway,
            risk=request.rule.risk,
            effect=request.tool.effect,
            review_id=approval.review_id if approval else "",
            key=_known_key(request),
            deadline_at=min(now + timedelta(seconds=request.rule.timeout_s), request.lease.until_at),
        )

    def _arguments(self, request: Request, *, deadline_at: datetime) -> dict[str, object]:
        tool, call = request.tool, request.call
        arguments: dict[str, object] = {
            name: getattr(request.arguments, name) for name in request.arguments.__struct_fields__
        }
        key = _known_key(request) or intent_key(call.run_id, call.step, call.position)
        if tool.wants_intent:
            arguments["intent"] = key
        if tool.wants_scope:
            arguments["scope"] = ToolScope(
                run_id=call.run_id,
                step=call.step,
                role=request.lease.role,
                intent=key,
                scratch=_folder(self._scratch / call.run_id),
                deadline_at=deadline_at,
                data={item.name: item.value for item in request.lease.grant.data},
            )
        return arguments


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _resolution(request: Request, index: str) -> Resolution | None:
    return next((item for item in request.lease.grant.resolutions if item.position == index), None)


def _known_key(request: Request) -> str:
    """Give the key under which the origin of a fork began this very call; empty if it did not."""
    return next((item.key for item in request.lease.grant.keys if item.position == request.call.position), "")
