"""A model that says what a test tells it to."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from remit.contracts.errors import RefusedError
from remit.contracts.message import encode
from remit.contracts.model import Completion

if TYPE_CHECKING:
    from collections.abc import Callable

    from remit.contracts.model import ModelMessage

Said: TypeAlias = object
"""A text, a completion, or any other value: said as JSON."""


class ScriptedModel:
    """What a model says, one after the other, or by what it is asked."""

    def __init__(self, says: tuple[Said | Callable[[tuple[ModelMessage, ...]], Said], ...]) -> None:
        if not says:
            raise RefusedError(
                "the model has nothing to say", fix='bench.model("…") or bench.model(lambda messages: "…")'
            )
        self._left = list(says)

    def answer(self, messages: tuple[ModelMessage, ...], **_options: object) -> Completion:
        """Give the next completion."""
        said = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        said = said(messages) if callable(said) else said
        if isinstance(said, Completion):
            return said
        return Completion(text=said if isinstance(said, str) else encode(said).decode(), model="bench")
