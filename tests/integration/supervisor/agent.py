"""An agent that a test drives by hand: it speaks the real messages and does nothing by itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar, cast

import msgspec

from remit.bus import subject
from remit.bus.consumer import PullLoop
from remit.bus.journal import Journal
from remit.contracts.errors import Fault
from remit.contracts.ids import new_agent, role_in
from remit.contracts.message import Message, decode, decode_any, digest_of, encode, raw
from remit.contracts.proposal import (
    DECIDED,
    ProposeState,
    ReadState,
    StateChange,
    StateDecided,
    StateRead,
)
from remit.contracts.review import RequestReview, ReviewOutcome
from remit.contracts.step import (
    AskAnswered,
    AskRole,
    ClaimRefused,
    ClaimStep,
    Parked,
    Recorded,
    Refused,
    RunStep,
    StepCompleted,
    StepFailed,
    StepLeased,
    Superseded,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from remit.bus.connection import Bus
    from remit.bus.delivery import Delivery
    from remit.contracts.review import ReviewKind

T = TypeVar("T")

SOON_S = 15.0
BROKEN = Fault(code="RM-511", message="it broke")


async def soon(awaited: Awaitable[T]) -> T:
    """Give what comes soon, or fail."""
    return await asyncio.wait_for(awaited, SOON_S)


class Agent:
    """One agent that does nothing by itself."""

    def __init__(self, bus: Bus, pool: str) -> None:
        self.bus = bus
        self.pool = pool
        self.role = role_in(pool)
        self.name = str(new_agent(pool))
        self.given: asyncio.Queue[Delivery] = asyncio.Queue()
        self.held: list[RunStep] = []
        self._pull: PullLoop | None = None

    async def pull(self) -> None:
        self._pull = await PullLoop.start(self.bus, subject.JOURNAL, self.pool, self.given.put_nowait)

    async def leave(self) -> None:
        if self._pull is not None:
            await self._pull.stop()
        await self.bus.close()

    # --- steps -----------------------------------------------------------------------------------

    async def take(self) -> RunStep:
        """Take the next step that is dispatched to the role; the hand-over is settled."""
        delivery = await self.delivery()
        delivery.ack()
        return decode(RunStep, delivery.data)

    async def delivery(self) -> Delivery:
        """Take the next delivery, which is the test's to settle."""
        return await soon(self.given.get())

    @property
    def has_work(self) -> bool:
        return not self.given.empty()

    async def claim(self, work: RunStep) -> StepLeased | ClaimRefused:
        claim = ClaimStep(run_id=work.run_id, step=work.step, epoch=work.epoch)
        body = await self._ask(subject.claim(self.role, self.name), claim)
        return cast("StepLeased | ClaimRefused", decode_any(StepLeased | ClaimRefused, body))

    async def hold(self) -> RunStep:
        """Take the next step and claim it."""
        work = await self.take()
        answer = await self.claim(work)
        assert isinstance(answer, StepLeased), answer
        self.held.append(work)
        return work

    async def complete(self, work: RunStep, reply: object) -> None:
        """Say that a step is done; `reply` is a message, or anything that is none."""
        done = StepCompleted(
            run_id=work.run_id, step=work.step, epoch=work.epoch, reply=raw(reply), contract="shop.reply.v1"
        )
        await self._say(work, "completed", str(work.epoch), encode(done))

    async def fail(self, work: RunStep, error: Fault = BROKEN, *, retryable: bool = True) -> None:
        failed = StepFailed(run_id=work.run_id, step=work.step, epoch=work.epoch, error=error, retryable=retryable)
        await self._say(work, "failed", str(work.epoch), encode(failed))

    async def record(self, work: RunStep, position: str, value: object) -> None:
        recorded = Recorded(
            run_id=work.run_id,
            step=work.step,
            epoch=work.epoch,
            position=position,
            kind="step",
            name="think",
            request="",
            value=raw(value),
        )
        await self._say(work, "recorded", position, encode(recorded))

    async def _say(self, work: RunStep, kind: str, index: str, body: bytes) -> None:
        name = subject.agent_entry(work.run_id, work.step, agent=self.name, index=index, kind=kind)
        await Journal(self.bus).append(name, body)

    # --- requests --------------------------------------------------------------------------------

    async def ask(
        self, work: RunStep, role: str, body: Message, position: str = "0"
    ) -> AskAnswered | Refused | Superseded:
        asked = AskRole(
            run_id=work.run_id,
            step=work.step,
            epoch=work.epoch,
            position=position,
            contract="shop.any.v1",
            body=raw(body),
        )
        answer = await self._ask(subject.ask(role, self.name), asked, timeout_s=SOON_S)
        return cast("AskAnswered | Refused | Superseded", decode_any(AskAnswered | Refused | Superseded, answer))

    async def review(
        self, work: RunStep, body: object, *, kind: ReviewKind = "question", position: str = "0"
    ) -> ReviewOutcome | Parked | Refused | Superseded:
        request = RequestReview(
            run_id=work.run_id,
            step=work.step,
            epoch=work.epoch,
            position=position,
            kind=kind,
            title="may it?",
            subject=digest_of(body),
            body=raw(body),
        )
        answer = await self._ask(subject.review(self.name), request)
        return cast(
            "ReviewOutcome | Parked | Refused | Superseded",
            decode_any(ReviewOutcome | Parked | Refused | Superseded, answer),
        )

    async def propose(
        self, work: RunStep, key: str, value: object, *, base: int = 0, position: str = "0", scope: str = ""
    ) -> StateDecided | Refused | Superseded:
        return await self.propose_all(work, {key: (value, base)}, position=position, scope=scope)

    async def propose_all(
        self,
        work: RunStep,
        changes: dict[str, tuple[object, int]],
        *,
        position: str = "0",
        scope: str = "",
        at: datetime | None = None,
    ) -> StateDecided | Refused | Superseded:
        proposal = ProposeState(
            run_id=work.run_id,
            step=work.step,
            epoch=work.epoch,
            position=position,
            changes=tuple(
                StateChange(key=key, base_version=base, value=raw(value), scope=scope)
                for key, (value, base) in changes.items()
            ),
            proposed_at=at or datetime.now(UTC),
        )
        answer = await self._ask(subject.propose(self.name), proposal)
        return cast("StateDecided | Refused | Superseded", decode_any(DECIDED | Refused | Superseded, answer))

    async def read(
        self, work: RunStep, *, key: str = "", prefix: str = "", **more: object
    ) -> StateRead | Parked | Refused | Superseded:
        request = msgspec.structs.replace(
            ReadState(run_id=work.run_id, step=work.step, epoch=work.epoch, key=key, prefix=prefix), **more
        )
        answer = await self._ask(subject.state_read(self.name), request)
        return cast(
            "StateRead | Parked | Refused | Superseded", decode_any(StateRead | Parked | Refused | Superseded, answer)
        )

    async def _ask(self, name: str, message: Message, *, timeout_s: float = 5.0) -> bytes:
        return (await self.bus.request(name, encode(message), timeout_s=timeout_s)).data
