"""Paths into messages: `report.findings` in a type, and which fields there are instead."""

from __future__ import annotations

from types import UnionType
from typing import TYPE_CHECKING, Union, get_args, get_origin, get_type_hints

import msgspec

if TYPE_CHECKING:
    from remit.contracts.message import Message


class FieldMissingError(Exception):
    """The path ends before its end: `part` is unknown, `known` are the fields at that place."""

    def __init__(self, part: str, known: list[str]) -> None:
        super().__init__(part)
        self.part = part
        self.known = known


def type_at(kind: type[Message], path: str) -> object:
    """Give the type of the field at a dotted path.

    Raises:
        FieldMissingError: there is none.
    """
    here: object = kind
    for part in path.split("."):
        struct = _struct(here)
        hints = get_type_hints(struct) if struct is not None else {}
        fields = {item.name for item in msgspec.structs.fields(struct)} if struct is not None else set[str]()
        if part not in fields:
            raise FieldMissingError(part, sorted(fields))
        here = hints[part]
    return here


def _struct(kind: object) -> type[msgspec.Struct] | None:
    """Give the message in a type: `Answer`, or `Answer | None`."""
    options = get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)
    return next((item for item in options if isinstance(item, type) and issubclass(item, msgspec.Struct)), None)
