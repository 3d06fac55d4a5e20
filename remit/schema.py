"""JSON Schema of contracts, also of those that embed undecoded JSON; and what clients of any language meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_type_hints

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


def _open(kind: type[Message]) -> type[msgspec.Struct]:
    """Give the message without defaults that are undecoded JSON: they cannot be written into a schema."""
    hints = get_type_hints(kind)
    if msgspec.Raw not in hints.values():
        return kind
    fields = [_field(field, hints[field.name]) for field in msgspec.structs.fields(kind)]
    return msgspec.defstruct(kind.__name__, fields, bases=(Message,), tag=tag_of(kind), kw_only=True, frozen=True)


def _field(field: msgspec.structs.FieldInfo, hint: type) -> tuple[str, type] | tuple[str, type, object]:
    if field.required:
        return field.name, hint
    default = field.default
    return field.name, hint, msgspec.json.decode(default) if isinstance(default, msgspec.Raw) else default
