"""The doors of one dispatched step over NATS: claims its lease, records, asks, calls; all in its agent's name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal, NoReturn, TypeVar, cast

import msgspec

from remit.agents.fault import raise_fault
from remit.agents.port import ParkedSignal
from remit.agents.progress import Progress
from remit.agents.replay import Replay
from remit.bus import subject
from remit.contracts.errors import LeaseLostError
from remit.contracts.message import Message, decode_any, encode
from remit.contracts.proposal import DECIDED, ProposeState, ReadState, StateDecided, StateRead
from remit.contracts.review import RequestReview, ReviewOutcome
from remit.contracts.step import (
    AskAnswered,
    AskRole,
    ClaimRefused,
    ClaimStep,
    Marked,
    Parked,
    Recorded,
    Refused,
    RunStep,
    SleepStep,
    Slept,
    StepLeased,
    Superseded,
)
from remit.contracts.tool import CallNeedsReview, CallTool, ToolAnswered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remit.agents.asker import Asker
    from remit.bus.consumer import Delivery
    from remit.contracts.rollback import MarkCheckpoint

Answer = TypeVar("Answer", bound=Message)

Ended = Literal["", "parked", "superseded"]

# A union of structs is a type to msgspec; mypy wants to be told.
_CALLED: Final = cast("type[ToolAnswered | CallNeedsReview]", ToolAnswered | CallNeedsReview)
_ASK_AGAIN: Final = "RM-1"
"""Codes of what may pass by itself; nothing is known to have changed."""
_AGAIN_S: Final = 0.3
_TURNS, _LOOK_S = 5, 0.02


class BusStepPort:
    """A `StepPort` for one delivery. Once it is parked or superseded, every door says so again."""

    def __init__(
        self, asker: Asker, work: RunStep, *, delivery: Delivery, on_lost: Callable[[], None] = lambda: None
    ) -> None:
        self.ended: Ended = ""
        """Set when nothing may be said about this step any more, whatever its handler makes of it."""
        self._asker = asker
        self._work = work
        self._delivery = delivery
        self._is_handed_over = False
        self._lease: StepLeased | None = None
        self._replay: Replay | None = None
        self._claiming: asyncio.Task[Replay] | None = None
        self._waiting = 0
        self._calling = 0
        self._progress: Progress | None = None
        self._on_lost = on_lost

    @property
    def epoch(self) -> int:
        """The epoch of the dispatch that is being handled."""
        return self._work.epoch

    # --- the hand-over ---------------------------------------------------------------------------

    async def hold(self) -> Replay:
        """Hold the step (once; later calls answer at once) and give what was recorded before.

        Raises:
            LeaseLostError: the step is settled or somebody else's; nothing may be said about it.
        """
        self._check()
        if self._replay is None:
            self._waiting += 1
            try:
                # Shielded: a branch of a gather that is cancelled must not take the lease from its siblings.
                await asyncio.shield(self.claim())
            finally:
                self._waiting -= 1
            self._check()
        return self._replay or Replay()

    def claim(self) -> asyncio.Task[Replay]:
        """The claim is under way; `release` ends it."""
        if self._claiming is None:
            self._claiming = asyncio.get_running_loop().create_task(self._claim())
            self._claiming.add_done_callback(self._on_claimed)
        return self._claiming

    def settle(self) -> None:
        """The delivery is acked: the hand-over, or the outcome, is in the journal. It keeps its slot."""
        self._is_handed_over = True
        self._delivery.ack(keep_place=True)

    def adopt(self, delivery: Delivery) -> None:
        """A second delivery of the same step stands for the first, which the server has given up."""
        self._delivery.release()
        self._delivery = delivery
        if self._is_handed_over:
            self.settle()

    def revoke(self) -> None:
        """The supervisor took the step: every door is closed, whatever its handler makes of that."""
        self.ended = self.ended or "superseded"

    def leave(self) -> None:
        """The slot is free. What was not handed over goes to another agent at once, unless that one has it already."""
        if self._is_handed_over or self.ended:
            self._delivery.release()
        else:
            self._delivery.nak()

    async def release(self) -> None:
        """No claim is under way and nothing waits to be told."""
        if self._progress is not None:
            self._progress.close()
        if self._claiming is not None and not self._claiming.done():
            self._claiming.cancel()
            await asyncio.wait((self._claiming,))

    # --- StepPort --------------------------------------------------------------------------------

    async def record(self, recorded: Recorded) -> None:
        """The record is durable."""
        self._check()
        if not await self._append(recorded.position, recorded):
            # An earlier epoch of this very agent wrote there, after it had lost the step: that one does not count.
            await self._append(f"{recorded.position}_{self.epoch}", recorded)

    async def call(self, call: CallTool) -> ToolAnswered | CallNeedsReview:
        """The tool's outcome is journaled and answered."""
        await self.hold()
        gateway = "" if self._lease is None else self._lease.lease.gateway
        target = subject.tool(gateway, call.tool, self._asker.agent)
        self._calling += 1
        try:
            return await self._ask(target, call, _CALLED, on_silence=self._confirm_lease)
        finally:
            self._calling -= 1

    async def ask(self, role: str, ask: AskRole) -> AskAnswered:
        """The child step ended. If that takes long, and nothing else goes on, the step is parked: `ParkedSignal`."""
        asked = msgspec.structs.replace(ask, may_park=ask.may_park and not self._calling)
        return await self._ask(subject.ask(role, self._asker.agent), asked, AskAnswered)

    async def review(self, request: RequestReview) -> ReviewOutcome:
        """A person decided. While nobody has, the step is parked: raises `ParkedSignal`."""
        await self._quiet()
        return await self._ask(subject.review(self._asker.agent), request, ReviewOutcome)

    async def sleep(self, request: SleepStep) -> Slept:
        """It is time. Before that, the step is parked: raises `ParkedSignal`."""
        await self._quiet()
        return await self._ask(subject.sleep(self._asker.agent), request, Slept)

    async def mark(self, request: MarkCheckpoint) -> Marked:
        """The checkpoint is in the journal."""
        return await self._ask(subject.checkpoint(self._asker.agent), request, Marked)

    async def read(self, request: ReadState) -> StateRead:
        """The state at one point in time. While a dispute over it is open, the step is parked: `ParkedSignal`."""
        return await self._ask(subject.state_read(self._asker.agent), request, StateRead)

    async def propose(self, proposal: ProposeState) -> StateDecided:
        """The proposal is decided, or parked as a dispute."""
        return await self._ask(subject.propose(self._asker.agent), proposal, DECIDED)

    def progress(self, text: str, *, done: int, total: int) -> None:
        """Tell whoever watches; nothing is stored."""
        if self.ended:
            return
        if self._progress is None:
            self._progress = Progress(self._asker.bus, self._work, self._asker.agent)
        self._progress.tell(text, done=done, total=total)

    # --- how -------------------------------------------------------------------------------------

    async def _claim(self) -> Replay:
        body = encode(ClaimStep(run_id=self._work.run_id, step=self._work.step, epoch=self._work.epoch))
        target = subject.claim(self._work.role, self._asker.agent)
        answer: StepLeased | ClaimRefused = decode_any(
            StepLeased | ClaimRefused, await self._asker.ask(target, body, on_silence=self._keep_delivery)
        )
        if isinstance(answer, ClaimRefused):
            self._refuse_claim(answer)
        self._lease = answer
        self._replay = self._replay or Replay.of(answer.recorded, answer.lease.grant)
        self.settle()
        return self._replay

    def _on_claimed(self, claiming: asyncio.Task[Replay]) -> None:
        is_lost = not claiming.cancelled() and isinstance(claiming.exception(), LeaseLostError)
        if is_lost and not self._waiting:  # else it is raised where the handler waits
            self._on_lost()

    def _refuse_claim(self, answer: ClaimRefused) -> NoReturn:
        self.ended = "superseded"
        # `held`: the delivery is another agent's by now, and an ack of ours would settle it.
        if answer.reason != "held":
            self.settle()
        raise LeaseLostError(
            f"the step is {answer.reason}", where=f"{self._work.run_id} {self._work.step} epoch {self.epoch}"
        )

    async def _keep_delivery(self) -> None:
        # A supervisor that restarts may take longer than the server waits for an ack.
        self._delivery.in_progress()

    async def _confirm_lease(self) -> None:
        # A gateway that is silent may be gone, and the step already be somebody else's.
        await self._claim()

    async def _quiet(self) -> None:
        """No call of another branch is on its way: parking the step would cut it off."""
        while True:
            for _ in range(_TURNS):  # a branch that was just woken begins its call within these
                await asyncio.sleep(0)
            if not self._calling:
                return
            await asyncio.sleep(_LOOK_S)

    async def _ask(
        self,
        target: str,
        message: Message,
        kind: type[Answer],
        *,
        on_silence: Callable[[], Awaitable[None]] | None = None,
    ) -> Answer:
        answer = await self._answer(target, encode(message), kind, on_silence=on_silence)
        match answer:
            case Refused(error=fault):
                raise_fault(fault)
            case Superseded(reason=reason):
                self.ended = "superseded"
                raise LeaseLostError("the step is somebody else's", got=reason)
            case Parked():
                self.ended = "parked"
                raise ParkedSignal
        return answer

    async def _answer(
        self, target: str, body: bytes, kind: type[Answer], *, on_silence: Callable[[], Awaitable[None]] | None
    ) -> Answer | Refused | Superseded | Parked:
        """Give the last word; "ask again", which a gateway says while the bus or a lookup is away, is none."""
        while True:
            self._check()
            data = await self._asker.ask(target, body, on_silence=on_silence)
            answer: Answer | Refused | Superseded | Parked = decode_any(kind | Refused | Superseded | Parked, data)
            if not (isinstance(answer, Refused) and answer.error.code.startswith(_ASK_AGAIN)):
                return answer
            await asyncio.sleep(_AGAIN_S)

    async def _append(self, index: str, recorded: Recorded) -> bool:
        work = self._work
        target = subject.agent_entry(work.run_id, work.step, agent=self._asker.agent, index=index, kind="recorded")
        return await self._asker.append(target, encode(recorded))

    def _check(self) -> None:
        if self.ended == "parked":
            raise ParkedSignal
        if self.ended:
            raise LeaseLostError("the step is somebody else's", where=f"{self._work.run_id} {self._work.step}")
