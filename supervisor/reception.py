"""Where the requests of agents and operators arrive: each is decoded, done by who knows how, and answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from remit.bus import subject
from remit.contracts.errors import RefusedError, RetryableError
from remit.contracts.message import decode
from remit.contracts.proposal import ProposeState, ReadState
from remit.contracts.review import RequestReview
from remit.contracts.rollback import MarkCheckpoint
from remit.contracts.step import AskRole, ClaimStep, Refused, SleepStep

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import msgspec

    from remit.bus.wire import Incoming
    from remit.supervisor.control import Control
    from remit.supervisor.holders import Holders
    from remit.supervisor.waits import Waits

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Desks:
    """Who does what is asked."""

    holders: Holders
    waits: Waits
    control: Control


class Reception:
    """Hands every request to its desk, and what the desk says to who asked."""

    def __init__(
        self,
        desks: Desks,
        *,
        answer: Callable[[str, msgspec.Struct], None],
        spawn: Callable[[Coroutine[object, object, None]], None],
    ) -> None:
        self._desks = desks
        self._answer = answer
        self._spawn = spawn

    def listeners(self) -> dict[str, Callable[[Incoming], None]]:
        """Give what is to be called for each subject of requests."""
        handlers: dict[str, Callable[[Incoming], Coroutine[object, object, None]]] = {
            subject.CLAIMS: self._on_claim,
            subject.ASKS: self._on_ask,
            subject.REVIEWS: self._on_review,
            subject.SLEEPS: self._on_sleep,
            subject.CHECKPOINTS: self._on_checkpoint,
            subject.STATE_READS: self._on_read,
            subject.PROPOSALS: self._on_propose,
            subject.CONTROLS: self._on_control,
        }
        return {name: self._guarded(handler) for name, handler in handlers.items()}

    def _guarded(self, handler: Callable[[Incoming], Coroutine[object, object, None]]) -> Callable[[Incoming], None]:
        async def guarded(message: Incoming) -> None:
            try:
                await handler(message)
            except RefusedError as error:
                self._answer(message.reply, Refused(error=error.fault()))
            except RetryableError as error:  # who asked asks again
                log.warning("request.unanswered", subject=message.subject, error=str(error))

        return lambda message: self._spawn(guarded(message))

    async def _on_claim(self, message: Incoming) -> None:
        agent = subject.last_token(message.subject)
        self._reply(message, await self._desks.holders.claim(agent, decode(ClaimStep, message.data)))

    async def _on_ask(self, message: Incoming) -> None:
        *_, role, agent = message.subject.split(".")
        self._reply(
            message, await self._desks.holders.ask(agent, role, decode(AskRole, message.data), reply=message.reply)
        )

    async def _on_review(self, message: Incoming) -> None:
        agent = subject.last_token(message.subject)
        self._reply(message, await self._desks.holders.review(agent, decode(RequestReview, message.data)))

    async def _on_sleep(self, message: Incoming) -> None:
        agent = subject.last_token(message.subject)
        self._reply(message, await self._desks.waits.sleep(agent, decode(SleepStep, message.data)))

    async def _on_checkpoint(self, message: Incoming) -> None:
        agent = subject.last_token(message.subject)
        self._reply(message, await self._desks.waits.mark(agent, decode(MarkCheckpoint, message.data)))

    async def _on_read(self, message: Incoming) -> None:
        agent = subject.last_token(message.subject)
        self._reply(message, await self._desks.holders.read(agent, decode(ReadState, message.data)))

    async def _on_propose(self, message: Incoming) -> None:
        agent = subject.last_token(message.subject)
        self._reply(message, await self._desks.holders.propose(agent, decode(ProposeState, message.data)))

    async def _on_control(self, message: Incoming) -> None:
        *_, verb, operator = message.subject.split(".")
        self._reply(message, await self._desks.control.answer(verb, operator, message.data))

    def _reply(self, message: Incoming, answer: msgspec.Struct | None) -> None:
        if answer is not None:
            self._answer(message.reply, answer)
