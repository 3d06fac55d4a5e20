"""An example of a message, made from its schema: what a person pastes and then changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from remit.contracts.errors import MalformedMessageError
from remit.contracts.message import convert
from remit.schema import schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remit.contracts.message import Message

_FORMATS = {"date-time": "2030-01-01T00:00:00Z", "date": "2030-01-01", "uuid": "00000000-0000-0000-0000-000000000000"}
_DEEPEST = 6


def example_of(kind: type[Message]) -> dict[str, object]:
    """Give the fields that a message must have, with values that it takes; without what cannot be guessed."""
    whole = schema(kind)
    found = _value(whole, cast("Mapping[str, Mapping[str, object]]", whole.get("$defs", {})), name="", depth=0)
    made = found if isinstance(found, dict) else {}
    made.pop("type", None)  # the tag: a task's input from outside needs none
    try:
        convert(kind, made)
    except MalformedMessageError:
        return {name: value for name, value in made.items() if isinstance(value, str)}
    return made


def _value(rules: Mapping[str, object], defs: Mapping[str, Mapping[str, object]], *, name: str, depth: int) -> object:
    if depth > _DEEPEST:
        return None
    for key in ("const", "default"):
        if key in rules:
            return rules[key]
    match rules:
        case {"$ref": str(path)}:
            return _value(defs[path.rsplit("/", 1)[1]], defs, name=name, depth=depth + 1)
        case {"enum": [first, *_]} | {"examples": [first, *_]}:
            return first
        case {"anyOf": [*options]}:
            typed = [item for item in options if isinstance(item, dict) and item.get("type") != "null"]
            return _value(typed[0], defs, name=name, depth=depth + 1) if typed else None
        case {"properties": dict(properties)}:
            required = cast("list[str]", rules.get("required", []))
            return {item: _value(properties[item], defs, name=item, depth=depth + 1) for item in required}
        case {"type": "array", "items": dict(items)} if rules.get("minItems"):
            return [_value(items, defs, name=name, depth=depth + 1)]
    return _plain(rules, name)


def _plain(rules: Mapping[str, object], name: str) -> object:
    match rules.get("type"):
        case "string":
            return _FORMATS.get(str(rules.get("format", "")), name or "text")
        case "integer" | "number":
            return rules.get("minimum", 1)
        case "boolean":
            return False
        case "array":
            return []
        case "object":
            return {}
        case _:
            return None
