"""What a context thinks with: a model that answers, and drafts that are judged and made better."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar, overload

from remit.agents.answer_form import AnswerForm
from remit.agents.generation import Generation
from remit.contracts.model import MODEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remit.contracts.model import Completion
    from remit.contracts.tool import ToolRef

T = TypeVar("T")


class Thinking(ABC):
    """The part of a context that asks models."""

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
            ToolFailedError: the call failed; recorded.
            RefusedError: an argument, the grant or the model's server refuses it; nothing was generated.
        """
        wish = Generation(
            prompt=prompt, system=system, model=model, max_tokens=max_tokens, temperature=temperature, repairs=repairs
        )
        return await wish.run(lambda arguments: self._completed(tool, arguments), AnswerForm(returns))
