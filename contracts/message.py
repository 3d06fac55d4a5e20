"""Frozen tagged base of every message, and the strict codec: one encoder, one decoder per type."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from typing import Any, TypeVar, dataclass_transform, get_origin

import msgspec

T = TypeVar("T")

Json = Any
"""Any JSON value, decoded: null, a bool, a number, a text, a list or a dict of such."""

_TAG = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+\.v[1-9][0-9]*")
_PATH = re.compile(r"^(?P<what>.*?)(?: - at `(?P<where>[^`]*)`)?$", re.DOTALL)
_EXPECTED = re.compile(r"^Expected (?P<expected>.*?), got (?P<got>.*)$", re.DOTALL)


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Message(msgspec.Struct, frozen=True, tag_field="type"):
    """A frozen, tagged, versioned message; subclasses name their tag: `tag="support.ticket.v1"`."""


NULL = msgspec.Raw(b"null")
"""No value. A field `Raw | None` decodes nothing but null, so what may be absent is null instead."""

_encoder = msgspec.json.Encoder()


def encode(message: object) -> bytes:
    """Give the JSON bytes of a message, or of any value that msgspec can encode."""
    return _encoder.encode(message)


def raw(value: object) -> msgspec.Raw:
    """Give a value as embedded JSON, to be put into another message undecoded later."""
    return msgspec.Raw(_encoder.encode(value))


def canonical(value: object) -> bytes:
    """Give the one JSON spelling of a value: keys sorted, no spaces. Used for digests."""
    return msgspec.json.encode(msgspec.to_builtins(value, str_keys=True, order="deterministic"), order="deterministic")


def digest(data: bytes) -> str:
    """Give the SHA-256 of bytes as `sha256:<hex>`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest_of(value: object) -> str:
    """Give the digest of a value's canonical JSON."""
    return digest(canonical(value))


@cache
def decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """Give the one strict decoder of a type (a struct, a union of tagged structs, a builtin type)."""
    return msgspec.json.Decoder(kind, strict=True)


def decode(kind: type[T], data: bytes | msgspec.Raw) -> T:
    """Decode bytes strictly as one type.

    Raises:
        MalformedMessageError: the bytes do not fit; says where, what was expected and what came.
    """
    return decode_any(kind, data)  # type: ignore[no-any-return]  # the decoder is cached by an untyped key


def decode_any(kind: Any, data: bytes | msgspec.Raw) -> Any:
    """Decode bytes strictly as any type form, unions included.

    Raises:
        MalformedMessageError: the bytes do not fit.
    """
    try:
        if not (text := bytes(data)).isascii():
            text.decode()  # msgspec skips over what it does not decode: unknown fields, and embedded JSON
        return decoder(kind).decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error) from error


def convert(kind: type[T], value: object) -> T:
    """Give builtin values (dicts, lists) as a type, strictly.

    Raises:
        MalformedMessageError: the value does not fit.
    """
    try:
        return msgspec.convert(value, kind, strict=True)
    except (msgspec.ValidationError, RecursionError) as error:
        raise malformed(error) from error


def malformed(error: Exception) -> Exception:
    """Say a decoder's complaint with its path, what was expected and what came."""
    from remit.contracts.errors import MalformedMessageError  # errors build on messages

    if isinstance(error, UnicodeDecodeError):
        return MalformedMessageError("not valid UTF-8", where=f"byte {error.start}", expected="UTF-8 text")
    if isinstance(error, RecursionError):
        return MalformedMessageError("nested too deep", where="$", expected="fewer levels")
    found = _PATH.match(str(error))
    what, where = (found["what"], found["where"]) if found else (str(error), None)
    if pair := _EXPECTED.match(what):
        return MalformedMessageError(
            "the message does not fit its contract",
            where=where or "$",
            expected=pair["expected"].strip("`"),
            got=pair["got"].strip("`"),
        )
    said = what if what[1:2].isupper() else what[:1].lower() + what[1:]
    return MalformedMessageError(said, where=where or "$")


def tag_of(kind: type) -> str:
    """Give the versioned tag of a message type.

    Raises:
        ContractInvalidError: the type is no `Message`, or its tag is not `<noun>.<noun>.v<n>`.
    """
    from remit.contracts.errors import ContractInvalidError  # errors build on messages

    config = getattr(kind, "__struct_config__", None)
    tag = getattr(config, "tag", None)
    if not (issubclass(kind, Message) and isinstance(tag, str) and _TAG.fullmatch(tag)):
        name = getattr(kind, "__qualname__", str(get_origin(kind) or kind))
        raise ContractInvalidError(
            f"{name} is no contract",
            where=name,
            expected='a Message with a versioned tag, such as tag="support.ticket.v1"',
            got=repr(tag),
            fix=f'class {name}(Message, tag="<team>.<noun>.v1")',
        )
    return tag


def schema_of(kind: type) -> dict[str, Any]:
    """Give the JSON Schema of a message type."""
    return msgspec.json.schema(kind, schema_hook=_schema_of_object)


def _schema_of_object(kind: type) -> dict[str, Any]:
    """Give the schema of `object`, which is any JSON value."""
    if kind is not object:
        raise NotImplementedError
    return {"description": "any JSON value"}
