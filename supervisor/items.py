"""Items of lists that are merged: how an item is named in a path, in which order items stand, what a list gained."""

from __future__ import annotations

from collections import Counter
from operator import itemgetter
from typing import TYPE_CHECKING, Final, cast

from remit.contracts.plain import order_of, same
from remit.contracts.policy import MISSING

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDS: Final = frozenset({"true", "false", "null"})
_BEGINNINGS: Final = frozenset('-0123456789[{"')


def items_of(side: object) -> list[object] | None:
    """Give the items of a list; one that is null or missing has none; None if this is no list."""
    if side is None or side is MISSING:
        return []
    return list(side) if isinstance(side, list | tuple) else None


def name_of(item: object, by: str) -> str:
    """Give an item's name in a path: `id=F1` by its field `id`, and by its content if it has none.

    The name alone tells the item, so the text "7" is `id="7"` beside the number `id=7`.
    """
    named = _named(item, by)
    if named is MISSING:
        return order_of(item).decode()
    return f"{by}={named if _is_plain(named) else order_of(named).decode()}"


def by_name(side: object, by: str) -> dict[str, object] | None:
    """Give items by their names; None if this is no list, or holds two versions of one item."""
    if (items := items_of(side)) is None:
        return None
    names = _names(items, by)
    found = dict(zip(names, items, strict=True))
    is_clear = len(found) == len(items) or all(same(found[name], item) for name, item in zip(names, items, strict=True))
    return found if is_clear else None


def in_order(items: Sequence[object], by: str) -> list[object]:
    """Give items sorted by a field of theirs, and by their content where they have none or the same."""
    texts = _texts(items, by)
    if texts is not None and len(set(texts)) == len(texts):
        return [item for _text, item in sorted(zip(texts, items, strict=True), key=itemgetter(0))]
    return sorted(items, key=lambda item: _place(item, by))


def gained(items: Sequence[object], before: Sequence[object]) -> list[object] | None:
    """Give what a list has beyond another one, equal items counted; None if it lacks something of it."""
    left = Counter(map(order_of, before))
    found: list[object] = []
    for item in items:
        if left[spelled := order_of(item)] > 0:
            left[spelled] -= 1
        else:
            found.append(item)
    return found if not left.total() else None


def _named(item: object, by: str) -> object:
    return item.get(by, MISSING) if by and isinstance(item, dict) else MISSING


def _texts(items: Sequence[object], by: str) -> list[str] | None:
    """Give what names the items of the usual list, where each has a text; a long one is looked through for little."""
    try:
        named = [item[by] for item in cast("Sequence[dict[str, str]]", items)] if by else []
    except (KeyError, TypeError):
        return None
    return named if len(named) == len(items) and {*map(type, named)} <= {str} else None


def _names(items: Sequence[object], by: str) -> list[str]:
    if not by:
        return [order_of(item).decode() for item in items]
    texts = _texts(items, by)
    if texts is None or not _WORDS.isdisjoint(texts) or not _BEGINNINGS.isdisjoint({text[:1] for text in texts}):
        return [name_of(item, by) for item in items]
    return [f"{by}={text}" for text in texts]


def _is_plain(named: object) -> bool:
    """A text that is no other value's spelling stands in a path as it is."""
    return isinstance(named, str) and named[:1] not in _BEGINNINGS and named not in _WORDS


def _place(item: object, by: str) -> tuple[bool, int, object, bytes]:
    named, spelled = _named(item, by), order_of(item)
    if named is not MISSING:
        return True, *_rank(named, order_of(named)), spelled
    return False, *_rank(item, spelled), spelled


def _rank(value: object, spelled: bytes) -> tuple[int, object]:
    match value:
        case None:
            return 0, 0
        case bool():
            return 1, value
        case int() | float():
            return 2, value
        case str():
            return 3, value
        case _:
            return 4, spelled
