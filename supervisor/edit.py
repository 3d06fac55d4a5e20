"""Plain documents with values put in at dotted paths. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.contracts.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


def edited(document: object, wanted: Mapping[str, object]) -> object:
    """Give the document with these values at these paths: `a.b` of an object, `a.0` of a list.

    Raises:
        UsageError: a path leads through something that has no parts, or beyond the end of a list.
    """
    for path, value in wanted.items():
        document = _put(document, path.split("."), value, where=path)
    return document


def _put(document: object, parts: list[str], value: object, *, where: str) -> object:
    if not parts:
        return value
    first, rest = parts[0], parts[1:]
    match document:
        case dict():
            return document | {first: _put(document.get(first, {}), rest, value, where=where)}
        case list() if first.isdecimal() and int(first) < len(document):
            at = int(first)
            return [*document[:at], _put(document[at], rest, value, where=where), *document[at + 1 :]]
        case _:
            raise UsageError(
                "there is nothing at this path",
                where=where,
                expected="a field of an object, or the number of an item",
                got=first,
            )
