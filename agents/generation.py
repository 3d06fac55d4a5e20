"""What a model writes, as a value: asked through the gateway, and asked again with the reason where it does not fit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from remit.agents.meter import spend
from remit.contracts.errors import MalformedMessageError, ModelOutputError, UsageError
from remit.contracts.model import Completion, ModelMessage

if TYPE_CHECKING:
    from remit.agents.answer_form import AnswerForm

T = TypeVar("T")

Call: TypeAlias = Callable[[Mapping[str, object]], Awaitable[Completion]]
"""Calls the model's tool once, at the next position."""

REPAIRS_MOST: Final = 5
_SHOWN: Final = 4000
"""So much of an answer that does not fit is shown to the model again."""
_SAID: Final = 200


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One thing asked of a model, in whatever many calls it takes: at most one and the repairs."""

    prompt: str
    system: str
    model: str
    max_tokens: int
    temperature: float | None
    repairs: int

    async def run(self, call: Call, form: AnswerForm[T]) -> T:
        """Give what the model says, in its form.

        Raises:
            UsageError: an argument does not fit; nothing was asked.
            RefusedError: the gateway or the model's server refuses the call; nothing was generated.
            ToolFailedError: the call failed; recorded.
            ModelOutputError: the model declines, or its answer does not fit; every answer is recorded.
        """
        self._check()
        asked = self._messages(form)
        turns, why = asked, MalformedMessageError("nothing was asked")
        for _number in range(self.repairs + 1):
            completion = await self._completion(call, turns, form)
            if completion.stop == "refusal":
                raise ModelOutputError(
                    "the model declines to answer", got=(completion.refusal or completion.text)[:_SAID]
                )
            try:
                return form.read(completion)
            except MalformedMessageError as error:
                why = error
            turns = (*asked, *_complaint(completion, why))
        raise ModelOutputError(
            f"the answer of the model does not fit after {self.repairs + 1} times: {why.message}",
            where=why.where,
            expected=why.expected,
            got=why.got,
        ) from why

    async def _completion(self, call: Call, turns: tuple[ModelMessage, ...], form: AnswerForm[T]) -> Completion:
        arguments: dict[str, object] = {"messages": turns}
        if self.model:
            arguments["model"] = self.model
        if form.schema is not None:
            arguments["schema"] = form.schema
        if self.max_tokens:
            arguments["max_tokens"] = self.max_tokens
        if self.temperature is not None:
            arguments["temperature"] = self.temperature
        completion = await call(arguments)
        spend(completion.cost)
        return completion

    def _messages(self, form: AnswerForm[T]) -> tuple[ModelMessage, ...]:
        system = "\n\n".join(part for part in (self.system, form.words()) if part)
        first = (ModelMessage(role="system", content=system),) if system else ()
        return (*first, ModelMessage(role="user", content=self.prompt))

    def _check(self) -> None:
        if not self.prompt.strip():
            raise UsageError(
                "nothing is asked of the model", where="ctx.generate(prompt)", expected="words", got="none"
            )
        if isinstance(self.repairs, bool) or not 0 <= self.repairs <= REPAIRS_MOST:
            raise UsageError(
                "this is no number of repairs",
                where="ctx.generate(repairs)",
                expected=f"0 to {REPAIRS_MOST}",
                got=repr(self.repairs),
            )


def _complaint(completion: Completion, why: MalformedMessageError) -> tuple[ModelMessage, ...]:
    """Give the turns that show a model what it said and what is wrong with it."""
    at = f" at {why.where}" if why.where not in {"", "$"} else ""
    wrong = f"{why.message}{at}"
    if why.expected:
        wrong += f": expected {why.expected}" + (f", got {why.got}" if why.got else "")
    if completion.stop == "length":
        wrong = "it was cut off at its limit; be shorter"
    shown = (ModelMessage(role="assistant", content=completion.text[:_SHOWN]),) if completion.text.strip() else ()
    return (*shown, ModelMessage(role="user", content=f"Your answer does not fit: {wrong}. Answer again, in full."))
