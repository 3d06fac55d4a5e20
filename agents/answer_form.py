"""The form of a typed answer: the schema that a model is told, and the strict reading of what it says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

import msgspec

from remit.contracts.errors import ContractInvalidError, MalformedMessageError
from remit.contracts.message import Json, decode_any, encode, schema_of
from remit.contracts.model import Completion

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

_THOUGHT: Final = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FENCED: Final = re.compile(r"```[a-zA-Z0-9_-]*\n(.*?)```", re.DOTALL)
_FENCES_READ: Final = 5


class AnswerForm(Generic[T]):
    """Text as it is, a completion as it came, or one JSON value of a type."""

    def __init__(self, kind: type[T]) -> None:
        self.kind = kind
        self.is_typed = kind not in (str, Completion)
        self.schema: dict[str, object] | None = None
        self._wrapped: type[msgspec.Struct] | None = None
        if self.is_typed:
            self._declare()

    def words(self) -> str:
        """Say the form to a model; its server may ignore the schema."""
        if self.schema is None:
            return ""
        return (
            "Answer with one JSON value that fits this JSON Schema, and with nothing else: no words around it, no code "
            f"fence.\n{encode(self.schema).decode()}"
        )

    def read(self, completion: Completion) -> T:
        """Give the answer.

        Raises:
            MalformedMessageError: it is empty, or no value of the type.
        """
        if self.kind is Completion:
            return cast("T", completion)
        if not completion.text.strip():
            raise MalformedMessageError("the answer is empty", where="$", expected=self._name(), got="nothing")
        if not self.is_typed:
            return cast("T", completion.text)
        return self._decoded(completion.text)

    def _decoded(self, text: str) -> T:
        why: MalformedMessageError | None = None
        is_json = False
        for candidate in _candidates(text):
            try:
                return self._value(candidate)
            except MalformedMessageError as error:
                if why is None or (not is_json and _is_json(candidate)):
                    why, is_json = error, _is_json(candidate)
        if why is None or not is_json:
            raise MalformedMessageError(
                "the answer is no JSON", where="$", expected=self._name(), got=text.strip()[:80]
            ) from why
        raise why

    def _value(self, candidate: bytes) -> T:
        if self._wrapped is None:
            return cast("T", decode_any(self.kind, candidate))
        try:
            return cast("T", decode_any(self._wrapped, candidate).value)
        except MalformedMessageError:
            return cast("T", decode_any(self.kind, candidate))

    def _declare(self) -> None:
        try:
            found = schema_of(self.kind)
        except (TypeError, NotImplementedError) as error:
            raise ContractInvalidError(
                f"{self._name()} is no type of an answer", where="returns", expected="a Message, or plain data"
            ) from error
        defs: dict[str, Json] = found.pop("$defs", {})
        root: dict[str, Json] = found
        if "$ref" in found:  # servers want to see an object at the root
            root = dict(defs[found["$ref"].rsplit("/", 1)[1]])
        if root.get("type") != "object":
            self._wrapped = msgspec.defstruct("Answer", [("value", self.kind)])
            root = {"type": "object", "properties": {"value": found}, "required": ["value"]}
        if b'"#/$defs/' in encode([root, defs]):
            root["$defs"] = defs
        self.schema = root

    def _name(self) -> str:
        return getattr(self.kind, "__name__", str(self.kind))


def _candidates(text: str) -> Iterator[bytes]:
    """Give what may be the JSON value: all of it, what stands in code fences, and what stands between brackets."""
    said = _THOUGHT.sub("", text).strip()
    found = [said, *_FENCED.findall(said)[:_FENCES_READ]]
    for first, last in ("{}", "[]"):
        begin, end = said.find(first), said.rfind(last)
        if 0 <= begin < end:
            found.append(said[begin : end + 1])
    yield from (item.strip().encode("utf-8", "replace") for item in dict.fromkeys(found))


def _is_json(candidate: bytes) -> bool:
    try:
        msgspec.json.decode(candidate)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
