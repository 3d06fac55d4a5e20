"""Pools of roles: their bounds hold together, and fit what the charter allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from remit.contracts.errors import CharterInvalidError, TeamInvalidError
from remit.contracts.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remit.check.case import Case
    from remit.contracts.errors import RemitError


def pool_mistakes(case: Case) -> Iterator[RemitError]:
    """Give every argument of a pool that does not hold together, and a deployment without room for its pools."""
    for name, kind in case.team.roles.items():
        for argument, expected, got in _mistakes(case, name):
            yield TeamInvalidError(
                f"the pool of role {name} does not hold together: {argument}",
                where=case.role(name),
                expected=expected,
                got=got,
                fix=f"change {argument} in `pool` of {kind.__name__}",
            )
    least: list[object] = [role.pool.min for role in case.team.roles.values() if isinstance(role.pool, Pool)]
    needed = sum(number for number in least if isinstance(number, int))
    if needed > (most := case.charter.capacity.hosts):
        yield CharterInvalidError(
            "the pools need more hosts than the charter allows",
            where=case.key("capacity", "hosts"),
            expected=f"at least {needed}, the sum of their `min`",
            got=str(most),
            fix=f"capacity: hosts: {needed}",
        )
    yield from _runs(case)


def _mistakes(case: Case, name: str) -> Iterator[tuple[str, str, str]]:
    kind = case.team.roles[name]
    chartered, pool = case.charter.roles.get(name), cast("object", kind.pool)  # an author may have written anything
    if isinstance(pool, Pool):
        yield from pool.mistakes(chartered.limits.slots if chartered is not None else pool.slots)
    elif not isinstance(pool, int) or isinstance(pool, bool) or pool < 0:
        yield "pool", "a whole number from 0, or a Pool", repr(pool)
    elif pool > kind.pool_max:
        yield "pool", f"at most pool_max={kind.pool_max}", str(pool)


def _runs(case: Case) -> Iterator[RemitError]:
    capacity = case.charter.capacity
    for small, large in (("running_per_workflow", "running"), ("running", "open_runs")):
        if getattr(capacity, small) > getattr(capacity, large):
            yield CharterInvalidError(
                f"capacity.{small} is more than capacity.{large}",
                where=case.key("capacity", small),
                expected=f"at most {getattr(capacity, large)}",
                got=str(getattr(capacity, small)),
                fix=f"lower {small}, or raise {large}",
            )
