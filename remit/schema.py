"""JSON Schema of contracts, also of those that embed undecoded JSON; and what clients of any language meet."""

from __future__ import annotations

from types import UnionType
from typing import TYPE_CHECKING, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from remit.contracts.blob import BlobRef
from remit.contracts.errors import Fault
from remit.contracts.message import Message, schema_of, tag_of
from remit.contracts.task import Criterion, RunFinished, TaskRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

PUBLIC: Final[Mapping[str, type[Message]]] = {
    tag_of(kind): kind for kind in (TaskRequest, RunFinished, Criterion, Fault, BlobRef)
}
"""What a client publishes and gets back."""
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema(kind: type[Message]) -> dict[str, object]:
    """Give the JSON Schema of a message; embedded JSON may be anything."""
    return {"$schema": DIALECT} | schema_of(_open(kind))


def _open(kind: type[Message], *, inside: tuple[object, ...] = ()) -> type[Message]:
    """Give the message without defaults that are undecoded JSON, in what it holds, too: no schema can say them."""
    hints = get_type_hints(kind)
    opened = {name: _opened(hint, inside=(*inside, kind)) for name, hint in hints.items()}
    if msgspec.Raw not in hints.values() and opened == hints:
        return kind
    fields = [_field(field, opened[field.name]) for field in msgspec.structs.fields(kind)]
    return msgspec.defstruct(kind.__name__, fields, bases=(Message,), tag=tag_of(kind), kw_only=True, frozen=True)  # type: ignore[return-value]  # as its bases say


def _opened(hint: object, *, inside: tuple[object, ...]) -> object:
    if isinstance(hint, type) and issubclass(hint, Message):
        return hint if hint in inside else _open(hint, inside=inside)
    if not (parts := get_args(hint)) or get_origin(hint) is Literal:
        return hint
    opened = tuple(_opened(part, inside=inside) for part in parts)
    return hint if opened == parts else _rebuilt(hint, opened)


def _rebuilt(hint: object, parts: tuple[object, ...]) -> object:
    origin = get_origin(hint)
    if origin in {Union, UnionType}:
        return Union[parts]  # noqa: UP007  # as many as there are
    return origin[parts]  # type: ignore[index]  # a type of parts, such as tuple


def _field(field: msgspec.structs.FieldInfo, hint: object) -> tuple[str, object] | tuple[str, object, object]:
    if field.required:
        return field.name, hint
    default = field.default
    return field.name, hint, msgspec.json.decode(default) if isinstance(default, msgspec.Raw) else default
