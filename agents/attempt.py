"""One delivery of one step, from its hand-over to its outcome in the journal."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import structlog

from remit.agents.fault import fault_of, is_retryable, leaf_of
from remit.agents.step_port import BusStepPort
from remit.bus import subject
from remit.contracts.errors import DeadlineError, TooLargeError
from remit.contracts.message import encode
from remit.contracts.step import StepCompleted, StepFailed

if TYPE_CHECKING:
    from remit.agents.asker import Asker
    from remit.agents.handler import Handler
    from remit.bus.consumer import Delivery
    from remit.contracts.step import RunStep

log = structlog.get_logger(__name__)

Stop = Literal["", "late", "lost"]
"""Why we cancelled the handler ourselves: its deadline passed, or somebody else holds the step."""

CLAIM_AFTER_S: Final = 0.05
"""A handler that is done by then, and touched nothing, needs no lease."""


class Attempt:
    """Runs the handler once. What the handler raises is data; what this class raises is our own bug."""

    def __init__(self, asker: Asker, handler: Handler, *, work: RunStep, delivery: Delivery) -> None:
        self._asker = asker
        self._handler = handler
        self._work = work
        # There may be records of an earlier holder, or a newer epoch: ask before the handler does anything.
        self._claims_first = work.epoch > 1 or delivery.num_delivered > 1
        self._port = BusStepPort(asker, work, delivery=delivery, on_lost=lambda: self._stop("lost"))
        self._task: asyncio.Task[object] | None = None
        self._stopped_by: Stop = ""
        self._has_begun = False
        self._ends = 0.0

    def adopt(self, delivery: Delivery) -> None:
        """The server delivered the step again while it runs here."""
        self._port.adopt(delivery)

    def revoke(self) -> None:
        """The step was taken from this agent: the handler is cancelled, its doors are closed, nothing more is said."""
        self._port.revoke()
        self._stop("lost")

    def leave(self) -> None:
        """The slot is free; a step that was never handed over, because a drain cut it off, goes to another agent."""
        self._port.leave()

    async def run(self) -> None:
        """The outcome is in the journal and the delivery settled; or nothing is said, because it is not ours to say."""
        self._task = asyncio.current_task()
        outcome = await self._outcome()
        if outcome is not None:
            await self._publish(outcome)

    async def _publish(self, outcome: StepCompleted | StepFailed) -> None:
        work = self._work
        kind = "completed" if isinstance(outcome, StepCompleted) else "failed"
        target = subject.agent_entry(work.run_id, work.step, agent=self._asker.agent, index=str(work.epoch), kind=kind)
        try:
            await self._asker.append(target, encode(outcome))
        except TooLargeError as error:  # a server that takes less than our own limit
            if kind == "failed":
                raise
            await self._publish(self._failed(error))
        self._port.settle()

    async def _outcome(self) -> StepCompleted | StepFailed | None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        left_s = (self._work.deadline_at - datetime.now(UTC)).total_seconds()
        self._ends = began + min(left_s, self._work.limit_s)
        # One timer for both: a fast step pays for neither the claim nor the deadline.
        self._timer = self._asker.bus.alarms.after(min(self._ends - began, CLAIM_AFTER_S), self._on_slow)
        try:
            if self._claims_first:
                await self._port.hold()
            self._has_begun = True
            reply = await self._handler.reply(self._work, self._port)
        except BaseException as error:  # noqa: BLE001  # what a handler raises is data; `_judge` raises the rest again
            return self._judge(error)
        finally:
            self._timer.cancel()
            await self._port.release()
        return self._completed(reply, duration_ms=int((loop.time() - began) * 1000))

    def _on_slow(self) -> None:
        left_s = self._ends - asyncio.get_running_loop().time()
        if left_s <= 0:
            self._stop("late")
            return
        self._timer = self._asker.bus.alarms.after(left_s, lambda: self._stop("late"))
        self._port.claim()

    def _stop(self, why: Stop) -> None:
        if self._task is not None and not self._stopped_by:
            self._stopped_by = why
            self._task.cancel()

    def _judge(self, error: BaseException) -> StepFailed | None:
        task = self._task
        if self._stopped_by and task is not None:
            task.uncancel()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise error
        if isinstance(error, KeyboardInterrupt | GeneratorExit):
            raise error
        if self._port.ended:
            log.info("step.left", reason=self._port.ended)
            return None
        if self._stopped_by == "late":
            return self._failed(_deadline(self._work))
        if not self._has_begun:
            raise error
        return self._failed(leaf_of(error))

    def _failed(self, error: BaseException) -> StepFailed:
        work, fault = self._work, fault_of(error, file=self._handler.file)
        log.warning("step.failed", code=fault.code, where=fault.where, error=fault.message)
        return StepFailed(
            run_id=work.run_id, step=work.step, epoch=work.epoch, error=fault, retryable=is_retryable(error)
        )

    def _completed(self, reply: bytes, *, duration_ms: int) -> StepCompleted | None:
        if self._port.ended:  # the handler caught what its context raised and went on
            log.info("step.left", reason=self._port.ended)
            return None
        return StepCompleted(
            run_id=self._work.run_id,
            step=self._work.step,
            epoch=self._work.epoch,
            reply=msgspec.Raw(reply),
            contract=self._handler.contract,
            duration_ms=duration_ms,
        )


def _deadline(work: RunStep) -> DeadlineError:
    return DeadlineError(
        f"the step of role {work.role} did not end in time",
        expected=f"at most {work.limit_s:g} s, and an end by {work.deadline_at.isoformat()}",
    )
