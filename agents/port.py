"""What a context needs of the world: implemented over NATS by a host, and scripted by `remit.testing`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from remit.agents.replay import Replay
    from remit.contracts.proposal import ProposeState, ReadState, StateDecided, StateRead
    from remit.contracts.review import RequestReview, ReviewOutcome
    from remit.contracts.rollback import MarkCheckpoint
    from remit.contracts.step import AskAnswered, AskRole, Marked, Recorded, SleepStep, Slept
    from remit.contracts.tool import CallNeedsReview, CallTool, ToolAnswered


class StepPort(Protocol):
    """The doors of one step. Every method may raise SupersededError: the step is held by somebody else.

    A method that asks repeats its question under the same position until it is answered.
    """

    @property
    def epoch(self) -> int:
        """The epoch of the dispatch that is being handled."""

    async def hold(self) -> Replay:
        """Hold the step (once; later calls answer at once) and give what was recorded before."""

    async def record(self, recorded: Recorded) -> None:
        """The record is durable."""

    async def call(self, call: CallTool) -> ToolAnswered | CallNeedsReview:
        """The tool's outcome is journaled and answered."""

    async def ask(self, role: str, ask: AskRole) -> AskAnswered:
        """The child step ended."""

    async def review(self, request: RequestReview) -> ReviewOutcome:
        """A person decided. While nobody has, the step is parked: raises `ParkedSignal`."""

    async def sleep(self, request: SleepStep) -> Slept:
        """It is time. Before that, the step is parked: raises `ParkedSignal`."""

    async def mark(self, request: MarkCheckpoint) -> Marked:
        """The checkpoint is in the journal."""

    async def read(self, request: ReadState) -> StateRead:
        """The state at one point in time. While a dispute over it is open, raises `ParkedSignal`."""

    async def propose(self, proposal: ProposeState) -> StateDecided:
        """The proposal is decided, or parked as a dispute."""

    def progress(self, text: str, *, done: int, total: int) -> None:
        """Tell whoever watches; nothing is stored."""


class ParkedSignal(BaseException):  # not an error: unwinds a handler past `except Exception`
    """The step waits for a person or a dispute; the handler ends here and is run again afterwards, with its records."""
