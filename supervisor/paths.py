"""The parts of documents by their paths: what a part holds, what differs, what stands at a path."""

from __future__ import annotations

from typing import Final

from remit.contracts.part import Entries, Fields, Leaf, Node
from remit.contracts.plain import differing, names_in, pointer, same
from remit.contracts.policy import MISSING, Policy
from remit.supervisor.items import by_name, in_order, name_of

Parts = dict[str, object]
"""What a part holds, by names in a path."""
MOST_PATHS: Final = 1000
"""Parts below one part that are named each; of more it is said that the whole of it changed."""
_BY_AUTHOR: Final = frozenset({"owner", "last_writer"})
_IN_ORDER: Final = frozenset({"append", "union"})
_VALUE: Final = Leaf(Policy(kind="reject", name="reject"))


def parts_of(node: Node, side: object) -> Parts | None:
    """Give what a side holds, a field that nobody wrote at its default; None if it is one value."""
    if isinstance(node, Leaf):
        return by_name(side, node.policy.by) if node.policy.kind == "union" and node.policy.by else None
    unwritten = node.defaults if isinstance(node, Fields) else {}
    if side is MISSING:
        return dict(sorted(unwritten.items()))
    if not isinstance(side, dict) or unwritten.keys() <= side.keys():
        return side if isinstance(side, dict) else None
    return dict(sorted({**unwritten, **side}.items()))


def child_of(node: Node, name: str) -> Node:
    """Give how a part is merged that another one holds."""
    if isinstance(node, Leaf):
        return node.item or _VALUE
    return node.each if isinstance(node, Entries) else node.fields.get(name, _VALUE)


def formed(node: Node, side: object) -> object:
    """Give a side as it stands once it is accepted: lists in the order, and items as often, as their policies say."""
    if not node.kinds & _IN_ORDER:
        return side
    if isinstance(node, Leaf):
        return _formed_list(node, side) if isinstance(side, list | tuple) else side
    if not isinstance(side, dict):
        return side
    return {name: formed(child_of(node, name), value) for name, value in side.items()}


def _formed_list(leaf: Leaf, side: list[object] | tuple[object, ...]) -> object:
    if leaf.policy.kind == "append":
        return in_order(side, leaf.policy.by)
    items = by_name(side, leaf.policy.by) if leaf.policy.kind == "union" else None
    if items is None:
        return side
    child = child_of(leaf, "")
    kept = [formed(child, item) for item in items.values()] if child.kinds & _IN_ORDER else [*items.values()]
    return in_order(kept, leaf.policy.by)


def changed(node: Node, before: object, after: object, *, path: str = "") -> list[str]:
    """Give the paths of the parts that differ, in order. Whoever makes a document wrote what is not at its default."""
    if same(before, after):
        return []
    one, other = parts_of(node, before), parts_of(node, after)
    if one is None or other is None or after is MISSING:
        return [path]
    names = differing(one, other)
    if len(names) > MOST_PATHS and not node.kinds & _BY_AUTHOR:
        return [path]
    found = [
        below
        for name in names
        for below in changed(
            child_of(node, name), one.get(name, MISSING), other.get(name, MISSING), path=pointer(path, name)
        )
    ]
    is_completed = isinstance(node, Fields) and before is not MISSING
    return found or ([] if is_completed else [path])


def value_at(document: object, path: str) -> object:
    """Give the part of a document at a path, or MISSING."""
    here = document
    for name in names_in(path):
        here = here.get(name, MISSING) if isinstance(here, dict) else _item(here, name)
    return here


def put_at(document: object, path: str, value: object) -> object:
    """Give a document with another value at a path; what the path leads through is made where it is missing."""
    if not path:
        return value
    name, *rest = names_in(path)
    below_path = "".join(pointer("", part) for part in rest)
    if isinstance(document, list | tuple):
        item = _item(document, name)
        below = put_at(item, below_path, value)
        kept = [each for each in document if each is not item]
        return kept if below is MISSING else [*kept, below]
    held = document if isinstance(document, dict) else {}
    below = put_at(held.get(name, MISSING), below_path, value)
    others = {key: each for key, each in held.items() if key != name}
    return others if below is MISSING else {**others, name: below}


def _item(side: object, name: str) -> object:
    by = name.partition("=")[0]
    items = side if isinstance(side, list | tuple) else ()
    return next((item for item in items if name_of(item, by) == name), MISSING)
