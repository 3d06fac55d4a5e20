"""Concurrent writes of one key decided by its rule: pure, the same result in both orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeGuard

import msgspec

from remit.contracts.message import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remit.contracts.proposal import MergeRule, RejectReason, StateField


class Verdict(NamedTuple):
    """What becomes of a proposal: the merged value, or why there is none."""

    value: msgspec.Raw | None
    rule: str
    reason: RejectReason = "stale_version"


def field_of(fields: Sequence[StateField], key: str) -> StateField | None:
    """Give the field that governs a key: the longest prefix wins."""
    matching = [field for field in fields if key.startswith(field.prefix)]
    return max(matching, key=lambda field: len(field.prefix), default=None)


def decide(field: StateField | None, *, current: msgspec.Raw, proposed: msgspec.Raw) -> Verdict:
    """Decide a write whose base is older than the current version."""
    rule: MergeRule = field.rule if field is not None else "reject"
    match rule:
        case "reject":
            return Verdict(None, rule)
        case "write_once":
            return Verdict(None, rule, "written_once")
        case "union":
            return _union(current, proposed, field.by if field is not None else "")
        case "max":
            return _max(current, proposed)


def _union(current: msgspec.Raw, proposed: msgspec.Raw, by: str) -> Verdict:
    ours: object = msgspec.json.decode(current)
    theirs: object = msgspec.json.decode(proposed)
    if not (isinstance(ours, list) and isinstance(theirs, list)):
        return Verdict(None, "union", "wrong_type")
    items = {_identity(item, by): item for item in sorted([*ours, *theirs], key=canonical)}
    return Verdict(_raw([items[name] for name in sorted(items)]), "union")


def _identity(item: object, by: str) -> tuple[bool, bytes]:
    is_named = bool(by) and isinstance(item, dict) and by in item
    return is_named, canonical(item[by] if is_named and isinstance(item, dict) else item)


def _max(current: msgspec.Raw, proposed: msgspec.Raw) -> Verdict:
    ours: object = msgspec.json.decode(current)
    theirs: object = msgspec.json.decode(proposed)
    if not (_is_number(ours) and _is_number(theirs)):
        return Verdict(None, "max", "wrong_type")
    # 1 and 1.0 are equal and spelled differently: the spelling decides, in both orders.
    return Verdict(_raw(max(ours, theirs, key=_rank)), "max")


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rank(value: float) -> tuple[float, bytes]:
    return value, canonical(value)


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(canonical(value))
