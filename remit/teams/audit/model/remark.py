"""What a model said about one thing, and what it was not asked or did not say; data from outside, wherever it goes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, TypeVar

import msgspec

T = TypeVar("T")
Kind = Literal["summary", "component", "risk", "reachability", "prose"]
LONGEST = 500
"""Characters of one remark."""
BYTES = 96 * 1024
"""Of what all roles had of a model, as JSON, and as much again of what they had not."""
SAYS = "a model says"
"""Stands before every word of a model in a report."""
ARGUES = "a model argues"
"""Stands before every reason of a model to make less of a finding."""
_WHAT: Mapping[Kind, str] = {
    "summary": "what the repository is",
    "component": "what its parts are for",
    "risk": "why files are risky",
    "reachability": "whether findings can be reached from outside",
    "prose": "the report in a few sentences",
}


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """One text of a model: who asked for it, and what it is about."""

    role: str
    kind: Kind
    about: str = ""
    """A path or a fingerprint; empty if it is about everything."""
    text: str


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """A text that there is not, although a model was to write it."""

    role: str
    what: str
    about: str = ""
    cause: str


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What one step had of a model, and what it had not."""

    remarks: tuple[Remark, ...] = ()
    missing: tuple[Missing, ...] = ()

    def plus(self, *others: "Words") -> "Words":
        """Give this and what others had."""
        every = (self, *others)
        return Words(
            remarks=tuple(item for words in every for item in words.remarks),
            missing=tuple(item for words in every for item in words.missing),
        )


def few(words: Words, first: Collection[str], most_bytes: int = BYTES) -> Words:
    """Give so many words as fit a message, those about something of `first` before the others; say how many do not."""
    ordered = sorted(words.remarks, key=lambda item: item.about not in first)
    remarks, missing = _fitting(ordered, most_bytes), _fitting(words.missing, most_bytes)
    left = len(ordered) - len(remarks), len(words.missing) - len(missing)
    more = (Missing(role="critic", what=f"{sum(left)} more texts", cause="there are too many to name"),)
    return Words(remarks=remarks, missing=(*missing, *(more if any(left) else ())))


def _fitting(items: Sequence[T], most_bytes: int) -> tuple[T, ...]:
    for index, item in enumerate(items):
        most_bytes -= len(msgspec.json.encode(item))
        if most_bytes < 0:
            return tuple(items[:index])
    return tuple(items)


def what(kind: Kind) -> str:
    """Say what a remark of a kind is about, in the words of the report."""
    return _WHAT[kind]


def one_line(text: str, limit: int = LONGEST) -> str:
    """Give a text of a model on one line, cut; nothing if it is empty."""
    said = " ".join(text.split()).encode(errors="backslashreplace").decode()
    return said if len(said) <= limit else f"{said[: limit - 1]}…"


def about(remarks: Iterable[Remark], kind: Kind) -> dict[str, str]:
    """Give the texts of a kind by what they are about."""
    return {item.about: item.text for item in remarks if item.kind == kind}
