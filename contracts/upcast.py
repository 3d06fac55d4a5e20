"""Bring messages of an older version forward: functions from a plain document to the next version's, in a chain.

An upcast is named by the tag that it takes, and gives the document under the next tag: `support.ticket.v1` becomes
`support.ticket.v2`, so a chain has one order and an end. A message of today is decoded as it is, and costs nothing
more. Whatever else comes is brought forward whole: first the messages inside it, then itself; and counts only if the
result fits. What an upcast does not know stays where it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final, TypeVar, cast

from remit.contracts.errors import MalformedMessageError
from remit.contracts.message import decode, decode_any, encode, malformed, tag_of
from remit.contracts.plain import plain_of

if TYPE_CHECKING:
    import msgspec

    from remit.contracts.document import Document
    from remit.contracts.message import Message

T = TypeVar("T", bound="Message")

Upcast = Callable[[dict[str, object]], dict[str, object]]
"""Gives a plain document as the next version of its message."""
Upcasts = Mapping[str, Upcast]
"""By the tag of the older version."""
NO_UPCASTS: Final[Upcasts] = {}

_TAG_FIELD: Final = "type"
_VERSION: Final = re.compile(r"(?P<stem>.+\.v)(?P<number>[1-9][0-9]*)")


def next_tag(tag: str) -> str:
    """Give the tag of a message's next version; empty for what is no tag."""
    found = _VERSION.fullmatch(tag)
    return f"{found['stem']}{int(found['number']) + 1}" if found else ""


def chain(tag: str, upcasts: Collection[str]) -> tuple[str, ...]:
    """Give the tags that a document goes through, from its own to the last that it is brought forward to."""
    found = [tag]
    while found[-1] in upcasts:
        found.append(next_tag(found[-1]))
    return tuple(found)


def decode_forward(
    kind: type[T], data: bytes | msgspec.Raw, *, contract_tag: str = "", upcasts: Upcasts = NO_UPCASTS
) -> T:
    """Decode bytes strictly as one message, brought forward if they are of an older version.

    Raises:
        MalformedMessageError: the bytes do not fit, an upcast failed, or what it gave does not fit; nothing changed.
    """
    return decode(kind, forwarded(kind, data, contract_tag=contract_tag, upcasts=upcasts))


def forwarded(
    kind: type[Message], data: bytes | msgspec.Raw, *, contract_tag: str = "", upcasts: Upcasts = NO_UPCASTS
) -> bytes | msgspec.Raw:
    """Give bytes that decode as a message: as they came, or brought forward.

    `contract_tag` is the version that the bytes are said to be of, where they do not say so themselves.

    Raises:
        MalformedMessageError: the bytes do not fit, an upcast failed, or what it gave does not fit; nothing changed.
    """
    is_older = contract_tag in upcasts and contract_tag != tag_of(kind)
    if not is_older:
        try:
            decode(kind, data)
        except MalformedMessageError:
            if not upcasts:
                raise
        else:
            return data
    plain = decode_any(object, data)
    if is_older and isinstance(plain, dict):
        plain.setdefault(_TAG_FIELD, contract_tag)
    try:
        made = encode(_forward(plain, "$", upcasts=upcasts, ends_at=tag_of(kind)))
    except RecursionError as error:
        raise malformed(error) from error
    decode(kind, made)
    return made


def _forward(plain: object, where: str, *, upcasts: Upcasts, ends_at: str = "") -> object:
    """Give a value with every older message in it brought forward, from the inside out."""
    if isinstance(plain, list):
        return [_forward(item, f"{where}[{index}]", upcasts=upcasts) for index, item in enumerate(plain)]
    if not isinstance(plain, dict):
        return plain
    inside = {name: _forward(value, f"{where}.{name}", upcasts=upcasts) for name, value in plain.items()}
    while (tag := inside.get(_TAG_FIELD)) != ends_at and isinstance(tag, str) and tag in upcasts:
        inside = _next(upcasts[tag], inside, tag=tag, where=where)
    return inside


def _next(upcast: Upcast, plain: Document, *, tag: str, where: str) -> Document:
    expected = f"an object with type {next_tag(tag)}"
    try:
        made = plain_of(upcast(plain))
    except Exception as error:  # whatever an author's function raises is the author's to see
        raise MalformedMessageError(
            f"the upcast from {tag} failed: {type(error).__name__}: {error}", where=where, expected=expected
        ) from error
    if not isinstance(made, dict) or made.get(_TAG_FIELD) != next_tag(tag):
        got = str(cast("Document", made).get(_TAG_FIELD)) if isinstance(made, dict) else type(made).__name__
        raise MalformedMessageError(
            f"the upcast from {tag} gave something else than the next version",
            where=where,
            expected=expected,
            got=got,
            fix=f'return {{"type": "{next_tag(tag)}", …}}',
        )
    return made
