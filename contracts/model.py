"""A completion asked of a model: messages in, text out, with what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from remit.contracts.errors import BudgetSpentError
from remit.contracts.message import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

_BYTES_A_TOKEN: Final = 4
Stop = Literal["stop", "length", "refusal", "other"]
"""Why the model ended: it was done · the answer was cut at its limit · it, or a filter before it, declined · what else
a server says."""

Tokens = Annotated[int, msgspec.Meta(ge=0)]


class ModelMessage(Message, frozen=True, kw_only=True, tag="model.message.v1"):
    """One turn of a conversation with a model."""

    role: Literal["system", "user", "assistant"]
    content: str


class Completion(Message, frozen=True, kw_only=True, tag="model.completion.v1"):
    """What a model answered, as the gateway journaled it: paid for once, and given again on replay."""

    text: str
    model: str = ""
    """The model that answered, in the server's words."""
    stop: Stop = "stop"
    refusal: str = ""
    """What the model said instead of an answer, where its server tells the two apart."""
    tokens_in: Tokens = 0
    tokens_out: Tokens = 0
    cost: float = 0.0
    """In the currency of the tool's prices; 0 where the model has no price, or the server does not count tokens."""


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a step had of models so far."""

    tokens: int = 0
    cost: float = 0.0

    def plus(self, completion: Completion) -> Spent:
        """Give this and what one more answer took."""
        return Spent(
            tokens=self.tokens + completion.tokens_in + completion.tokens_out,
            cost=round(self.cost + completion.cost, 9),
        )

    def check(self, *, reserve: int, tokens: int, cost: float, where: str) -> None:
        """One more answer, for which so many tokens are set aside, stays within the bounds; a bound of 0 is none.

        Raises:
            BudgetSpentError: it may not; nothing was asked.
        """
        if tokens and self.tokens + reserve > tokens:
            raise BudgetSpentError(
                "the step has asked of models as much as it may",
                where=f"{where}.tokens",
                expected=f"at most {tokens} tokens",
                got=f"{self.tokens} and up to {reserve} more",
            )
        if cost and self.cost >= cost:
            raise BudgetSpentError(
                "the step has spent on models as much as it may",
                where=f"{where}.cost",
                expected=f"at most {cost:g}",
                got=f"{self.cost:g}",
            )


def reserve_of(messages: Sequence[ModelMessage], max_tokens: int) -> int:
    """Give how many tokens are set aside for an answer: what is said, four bytes a token, and the longest answer."""
    said = sum(len(item.content.encode()) for item in messages)
    return -(-said // _BYTES_A_TOKEN) + max_tokens


Messages = Annotated[tuple[ModelMessage, ...], msgspec.Meta(min_length=1)]


@dataclass(frozen=True)
class ModelRef:
    """A model's tool by its name: all that an agent knows of it."""

    name: str = "model.complete"
    returns: type[Completion] = Completion


MODEL: Final = ModelRef()
"""The tool that `ctx.generate` calls unless it is told another."""
