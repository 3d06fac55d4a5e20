"""Read a charter from YAML: every mistake with its line, what was expected, and the nearest key that exists."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import TYPE_CHECKING

import yaml
from pydantic import BaseModel, ValidationError

from remit.contracts.charter import Charter
from remit.contracts.errors import CharterInvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic_core import ErrorDetails

Location = tuple[int | str, ...]


def read_charter(path: Path) -> Charter:
    """Give the charter of a file.

    Raises:
        CharterInvalidError: no such file, no YAML, or the first of its mistakes; `mistakes` gives all.
    """
    found = mistakes(path)
    if found:
        raise found[0]
    return _validate(path.read_text())


def mistakes(path: Path) -> list[CharterInvalidError]:
    """Give every mistake of a charter's file, in the order of its lines; none if it is in order."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return [
            CharterInvalidError(f"cannot read the charter: {why}", where=str(path), fix="remit init NAME writes one")
        ]
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        return [CharterInvalidError(f"not valid YAML: {getattr(error, 'problem', error)}", where=where)]
    try:
        _validate(text)
    except ValidationError as error:
        known = dict(_lines(tree)) if tree is not None else {}
        return sorted(
            (_mistake(path, detail, known) for detail in error.errors()), key=lambda item: _line_of(item.where)
        )
    return []


def lines(path: Path) -> dict[Location, int]:
    """Give the line of every key and item of a charter's file that can be read."""
    tree = yaml.compose(path.read_text(), Loader=yaml.SafeLoader)
    return dict(_lines(tree)) if tree is not None else {}


def _validate(text: str) -> Charter:
    """Validate strictly: by way of JSON, where a list may be a tuple and nothing else changes its type."""
    return Charter.model_validate_json(json.dumps(yaml.safe_load(text), default=str))


def _line_of(where: str) -> int:
    return int(where.rsplit(":", 1)[1])


def _lines(node: yaml.Node, at: Location = ()) -> Iterator[tuple[Location, int]]:
    yield at, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, str(key.value))
            yield from _lines(value, here)
            yield here, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _lines(item, (*at, index))


def _mistake(path: Path, detail: ErrorDetails, lines: dict[Location, int]) -> CharterInvalidError:
    location: Location = detail["loc"]
    line = next((lines[location[:end]] for end in range(len(location), -1, -1) if location[:end] in lines), 1)
    dotted = ".".join(str(part) for part in location)
    where = f"{path}:{line}"
    match detail["type"]:
        case "missing":
            return CharterInvalidError(f"the key {dotted} is missing", where=where, fix=f"add {location[-1]}: …")
        case "extra_forbidden":
            known = _keys(location[:-1])
            near = get_close_matches(str(location[-1]), known, n=1)
            fix = f"did you mean {near[0]}?" if near else f"remove {location[-1]}"
            return CharterInvalidError(f"unknown key {dotted}", where=where, expected=", ".join(known), fix=fix)
        case _:
            return CharterInvalidError(f"{dotted}: {detail['msg']}", where=where, got=repr(detail["input"])[:80])


def _keys(location: Location) -> list[str]:
    """Give the keys that are known at a place, by walking the model down."""
    model: type[BaseModel] | None = Charter
    for part in location:
        if model is None:
            return []
        field = model.model_fields.get(str(part))
        model = _model_in(field.annotation) if field is not None else model
    return sorted(model.model_fields) if model is not None else []


def _model_in(kind: object) -> type[BaseModel] | None:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    for argument in getattr(kind, "__args__", ()):
        if (found := _model_in(argument)) is not None:
            return found
    return None
