"""A completion asked of a model: messages in, text out, with what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec

from remit.contracts.message import Message

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


Messages = Annotated[tuple[ModelMessage, ...], msgspec.Meta(min_length=1)]


@dataclass(frozen=True)
class ModelRef:
    """A model's tool by its name: all that an agent knows of it."""

    name: str = "model.complete"
    returns: type[Completion] = Completion


MODEL: Final = ModelRef()
"""The tool that `ctx.generate` calls unless it is told another."""
