"""What a context thinks with: a model that answers, and drafts that are judged and made better."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar, overload

from remit.agents.answer_form import AnswerForm
from remit.agents.generation import Generation
from remit.agents.reflection import REFLECT, Bounds, Reflecting, kind_of
from remit.contracts.model import MODEL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import msgspec

    from remit.agents.reflection import Critic, Drafter, Reflection, Reviser
    from remit.contracts.model import Completion
    from remit.contracts.step import RecordKind, RunStep
    from remit.contracts.tool import ToolRef

T = TypeVar("T")


class Thinking(ABC):
    """The part of a context that asks models, and reflects."""

    _work: RunStep

    @abstractmethod
    async def recorded(
        self, kind: RecordKind, name: str, *, request: str, act: Callable[[str], Awaitable[bytes]]
    ) -> msgspec.Raw:
        """Give what was recorded at the next position, or act and record it first."""

    @abstractmethod
    async def _completed(self, tool: ToolRef[Completion], arguments: Mapping[str, object]) -> Completion:
        """Give what a model answers to one call."""

    @overload
    async def generate(
        self,
        prompt: str,
        *,
        system: str = "",
        model: str = "",
        max_tokens: int = 0,
        temperature: float | None = None,
        tool: ToolRef[Completion] = MODEL,
    ) -> str: ...

    @overload
    async def generate(
        self,
        prompt: str,
        *,
        returns: type[T],
        system: str = "",
        model: str = "",
        max_tokens: int = 0,
        temperature: float | None = None,
        repairs: int = 2,
        tool: ToolRef[Completion] = MODEL,
    ) -> T: ...

    async def generate(
        self,
        prompt: str,
        *,
        returns: type[object] = str,
        system: str = "",
        model: str = "",
        max_tokens: int = 0,
        temperature: float | None = None,
        repairs: int = 2,
        tool: ToolRef[Completion] = MODEL,
    ) -> object:
        """Give what a model answers, as text or as a value of a type; each completion is recorded and paid for once.

        An answer that does not fit `returns` is told to the model with what is wrong, at most `repairs` times.

        Raises:
            ModelOutputError: the model declines, or its answers do not fit; they are recorded.
            BudgetSpentError: the step may have no more of models; nothing was asked.
            ToolFailedError: the call failed; recorded.
            RefusedError: an argument, the grant or the model's server refuses it; nothing was generated.
        """
        wish = Generation(
            prompt=prompt, system=system, model=model, max_tokens=max_tokens, temperature=temperature, repairs=repairs
        )
        return await wish.run(lambda arguments: self._completed(tool, arguments), AnswerForm(returns))

    async def reflect(  # noqa: PLR0913  # each bound has a name of its own
        self,
        draft: T | Drafter[T],
        *,
        critique: Critic[T],
        revise: Reviser[T],
        until: float | Callable[[float], bool] = 1.0,
        max_rounds: int = 5,
        max_seconds: float | None = None,
        max_cost: float | None = None,
        patience: int = 2,
        returns: type[T] | None = None,
    ) -> Reflection[T]:
        """Make a draft better until its score is good enough or a limit is reached; give the best one, not the last.

        `draft` is a first draft, or makes it. Each round judges one draft by the requirement, which is the run's goal
        and the step's work, always; and is recorded with score, reasons, time and cost. It ends on `until`, a limit,
        `patience` rounds without a better draft, or a draft that comes a second time: `stopped_by` says which. A draft
        is read again as `returns`, or as what `draft` is or says it gives.

        Raises:
            UsageError: an argument does not fit; nothing was done.
            RequirementDriftError: a draft was judged by another requirement.
            DeadlineError: no draft was judged within `max_seconds`.
        """
        bounds = Bounds(
            until=until, max_rounds=max_rounds, max_seconds=max_seconds, max_cost=max_cost, patience=patience
        )
        reflecting = Reflecting(
            self._work, draft, critique=critique, revise=revise, bounds=bounds, kind=kind_of(draft, returns)
        )
        return await reflecting.run(lambda request, act: self.recorded("step", REFLECT, request=request, act=act))
