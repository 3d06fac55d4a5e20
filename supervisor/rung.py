"""What a policy gives that looks at the two sides alone: the same whichever of them was first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from remit.contracts.errors import StateInvalidError
from remit.contracts.plain import order_of, plain_of
from remit.contracts.policy import MISSING, UNDECIDED, Nothing
from remit.supervisor.items import items_of

if TYPE_CHECKING:
    from remit.contracts.policy import Policy

Sides = tuple[object, object]


def is_nothing(side: object) -> bool:
    """Say whether a side is null or missing."""
    return side is None or side is MISSING


def number_of(side: object) -> int | float | None:
    """Give a number; of what is null or missing, 0; None if it is something else."""
    if is_nothing(side):
        return 0
    return side if isinstance(side, int | float) and not isinstance(side, bool) else None


def extreme(policy: Policy, sides: Sides) -> object:
    """Give the larger or the smaller number; null or missing only where no side is one."""
    numbers = [side for side in sides if isinstance(side, int | float)]
    if not numbers:
        return min(sides, key=order_of)
    # 1 and 1.0 are equal and spelled differently: the spelling decides, in both orders.
    return (max if policy.kind == "max" else min)(numbers, key=lambda number: (number, order_of(number)))


def strongest(policy: Policy, sides: Sides) -> object:
    """Give the side with more different sources, then the higher score, then the first in a stable order."""
    return max(sides, key=lambda side: _strength(policy, side))


def asked(policy: Policy, base: object, sides: Sides, *, path: str) -> object:
    """Give what a team's own function says of the sides in a stable order; raises as `called`."""
    one, other = sorted(sides, key=order_of)
    return called(policy, base, (one, other), path=path)


def called(policy: Policy, base: object, sides: Sides, *, path: str = "") -> object:
    """Give what a team's own function says of its own copies of the sides, in this order.

    Raises:
        StateInvalidError: it raised, or gave something that is no JSON value.
    """
    if policy.decide is None:
        return UNDECIDED
    try:
        result = policy.decide(_copy(base), *map(_copy, sides))
        return result if result is MISSING or result is UNDECIDED else _json(result)
    except Exception as error:
        raise StateInvalidError(
            f"the policy {policy.name} failed: {type(error).__name__}: {error}",
            where=path or "/",
            expected="a JSON value, MISSING or UNDECIDED",
            fix="remit.testing.check_policy tries a policy on values of yours",
        ) from error


def _strength(policy: Policy, side: object) -> tuple[int, float, list[int]]:
    told = side if isinstance(side, dict) else {}
    sources = {order_of(item) for item in items_of(told.get(policy.sources)) or ()}
    stable = [-byte for byte in order_of(side)] + [1]  # the first in the stable order is the strongest
    return len(sources), number_of(told.get(policy.score)) or 0, stable


def _copy(side: object) -> object:
    return side if side is MISSING else plain_of(side)


def _json(result: object) -> object:
    if not _has_spelling(result):
        raise ValueError("it gave what JSON cannot say")
    return plain_of(result)


def _has_spelling(value: object) -> bool:
    """What msgspec spells as something else is no value: a number without end is null to it."""
    match value:
        case float():
            return math.isfinite(value)
        case dict():
            return all(map(_has_spelling, value.values()))
        case list() | tuple():
            return all(map(_has_spelling, value))
        case msgspec.Struct():
            return all(_has_spelling(getattr(value, name)) for name in value.__struct_fields__)
        case _:
            return not isinstance(value, Nothing)
