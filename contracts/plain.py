"""Plain values, what JSON decodes to: when two are the same, in which order they come, how their parts are named."""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING, Final

import msgspec

from remit.contracts.policy import MISSING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCALARS: Final = (str, int, bool, type(None))
_spell = msgspec.json.Encoder(order="deterministic").encode


def plain_of(value: object) -> object:
    """Give a value as the plain data that its JSON decodes to: a tuple is a list, a message an object with its tag.

    Names are in order, so that what is said of a value has one spelling, too.
    """
    return msgspec.json.decode(msgspec.json.encode(value, order="sorted"))


def order_of(value: object) -> bytes:
    """Give what plain values are sorted by where an order is needed; a missing one is first."""
    return b"" if value is MISSING else _spell(value)


def same(one: object, other: object) -> bool:
    """Say whether two plain values are the same JSON: 1 is not true, and not 1.0; missing is not null."""
    if one is other:
        return True
    if type(one) is type(other) and isinstance(one, _SCALARS):
        return one == other
    if isinstance(one, Sized) and isinstance(other, Sized) and len(one) != len(other):
        return False
    return order_of(one) == order_of(other)


def differing(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    """Give all names under which two objects do not hold the same, sorted, and hardly any others."""
    found = (one.keys() ^ other.keys()) | {name for name in one.keys() & other.keys() if one[name] != other[name]}
    equal = [name for name in one if name not in found]
    # To Python, 1, 1.0 and true are equal; spelled all at once, they are told apart at the price of one look.
    if order_of([one[name] for name in equal]) != order_of([other[name] for name in equal]):
        found |= {name for name in equal if not same(one[name], other[name])}
    return sorted(found)


def pointer(path: str, name: str) -> str:
    """Give the JSON Pointer (RFC 6901) of a part below another; the whole document is the empty one."""
    return f"{path}/{name.replace('~', '~0').replace('/', '~1')}"


def names_in(path: str) -> list[str]:
    """Give the names that a JSON Pointer leads through."""
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
