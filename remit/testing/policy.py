"""Hold a merge policy to what the arbiter relies on: total, the same in every order, and once is as good as twice."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product
from typing import TYPE_CHECKING

from remit.contracts.errors import RemitError
from remit.contracts.part import Leaf
from remit.contracts.plain import order_of, plain_of, same
from remit.contracts.policy import MISSING, UNDECIDED
from remit.supervisor.merge import Author, Merge
from remit.testing.board import WHENEVER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remit.contracts.policy import Policy

_AUTHOR = Author("bench", "bench", "r1", "bench", "0", proposed_at=WHENEVER)


def check_policy(policy: Policy, values: Iterable[object], *, bases: Iterable[object] = (MISSING,)) -> None:
    """A policy decides all of these values as the arbiter needs it, alone, in pairs and in threes.

    Every base is combined with every two and three of the values, so a handful of telling values is enough: the
    smallest, the largest, equal ones, one that is missing. Draw them with Hypothesis to try many handfuls.

    Raises:
        AssertionError: it raises or gives what is no value (`total`), prefers the one that came first (`order`), takes
            the same value twice for two (`idempotent`), or depends on which two were merged before the third
            (`grouping`); names the smallest values that show it.
    """
    tried = sorted({order_of(item): item for item in map(_plain, values)}.values(), key=order_of)
    for base in map(_plain, bases):
        trial = _Trial(policy, base)
        for one, other in product(tried, repeat=2):
            trial.try_two(one, other)
        for sides in product(tried, repeat=3):
            trial.try_three(sides)


@dataclass(frozen=True)
class _Trial:
    """One policy from one base."""

    policy: Policy
    base: object

    def try_two(self, one: object, other: object) -> None:
        forth, back = self._merged(one, other), self._merged(other, one)
        if not same(forth, back):
            self._fail("order", (one, other), f"{forth!r} when the first came first, else {back!r}")
        if forth is UNDECIDED or self.policy.kind in {"counter", "append"}:
            return  # two equal changes are two
        if not same(again := self._merged(forth, other), forth):
            self._fail("idempotent", (one, other), f"{forth!r}, and {again!r} when one is merged again")

    def try_three(self, sides: tuple[object, ...]) -> None:
        found: list[object] = []
        for one, two, three in permutations(sides):
            merged = self._merged(one, two)
            result = UNDECIDED if merged is UNDECIDED else self._merged(merged, three)
            if result is UNDECIDED:
                return  # the next rung decides
            if found and not same(result, found[0]):
                self._fail("grouping", sides, f"{found[0]!r}, and {result!r} when {one!r} and {two!r} met first")
            found.append(result)

    def _merged(self, current: object, proposed: object) -> object:
        """Give what stands after two changes; UNDECIDED where it is left to a rung, a role or a person."""
        work = Merge(_AUTHOR)
        try:
            result = work.run(Leaf(self.policy), self.base, current, proposed)
        except RemitError as error:
            raise self._broken("total", (current, proposed), error.message) from error
        return UNDECIDED if work.lost or work.opened else result

    def _fail(self, law: str, sides: tuple[object, ...], said: str) -> None:
        raise self._broken(law, sides, said)

    def _broken(self, law: str, sides: tuple[object, ...], said: str) -> AssertionError:
        told = ", ".join(map(repr, sides))
        return AssertionError(
            f"policy {self.policy.name} is not what it must be ({law}): from base {self.base!r}, {told} give {said}"
        )


def _plain(value: object) -> object:
    return MISSING if value is MISSING else plain_of(value)
