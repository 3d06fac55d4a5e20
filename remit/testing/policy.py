"""Hold a merge policy to what the arbiter relies on: total, the same in every order, and once is as good as twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations_with_replacement, permutations
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, NoReturn

from remit.contracts.errors import RemitError
from remit.contracts.part import Leaf
from remit.contracts.plain import order_of, plain_of, same
from remit.contracts.policy import MISSING, UNDECIDED, ladder
from remit.supervisor.merge import Author, Merge
from remit.supervisor.rung import called
from remit.testing.board import WHENEVER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from remit.contracts.policy import Policy

Law = Literal["total", "order", "idempotent", "grouping"]
_KEEP_BOTH: Final = frozenset({"append", "counter"})
"""To these, two equal changes are two."""


def check_policy(policy: Policy, values: Iterable[object], *, bases: Iterable[object] = (MISSING,)) -> None:
    """A policy decides all of these values as the arbiter needs it, in pairs and in threes, with the rungs behind it.

    Every base is combined with every two and three of the values, so a handful of telling values is enough: the
    smallest, the largest, equal ones, one that is missing. Draw them with Hypothesis to try many handfuls. Where it
    matters who wrote and when, the first of them is the owner's, and each is later than the one before.

    Raises:
        AssertionError: it raises or gives what is no value (`total`), gives something else for the two sides the other
            way round (`order`), takes the same value twice for two (`idempotent`), or depends on which two were merged
            before the third (`grouping`); names the smallest values that show it.
    """
    tried = list({order_of(item): item for item in map(_plain, values)}.values())
    for base in sorted(map(_plain, bases), key=_size):
        trial = _Trial(policy, base)
        changes = [item for item in tried if trial.is_change(item)]
        for pair in _smallest_first(changes, 2):
            trial.try_two(*pair)
        for three in _smallest_first(changes, 3):
            trial.try_three(three)


class _Said(NamedTuple):
    """A value, and by role who says so."""

    value: object
    authors: Mapping[str, Author]


@dataclass(frozen=True)
class _Trial:
    """One policy from one base."""

    policy: Policy
    base: object

    def is_change(self, value: object) -> bool:
        """Say whether a value could be proposed, if nobody else wrote."""
        work = Merge(_author("first", 0))
        work.run(Leaf(self.policy), self.base, self.base, value)
        return not work.lost and not same(value, self.base)

    def try_two(self, one: object, other: object) -> None:
        for rung in ladder(self.policy):
            self._call(rung, one, other)
        first, second = self._said(one, other)
        forth, back = self._merged(first, second), self._merged(second, first)
        if not _agree(forth.value, back.value):
            self._fail("order", (one, other), f"{forth.value!r}, and {back.value!r} the other way round")
        if forth.value is UNDECIDED or self.policy.kind in _KEEP_BOTH:
            return
        if not same(again := self._merged(forth, second).value, forth.value):
            self._fail("idempotent", (one, other), f"{forth.value!r}, and {again!r} when one is merged again")

    def try_three(self, sides: tuple[object, ...]) -> None:
        found: list[object] = []
        for one, two, three in permutations(self._said(*sides)):
            merged = self._merged(one, two)
            result = merged.value if merged.value is UNDECIDED else self._merged(merged, three).value
            if result is UNDECIDED:
                continue  # a conflict, which is left as it is
            if found and not same(result, found[0]):
                met_first = f"{result!r} when {one.value!r} and {two.value!r} met first"
                self._fail("grouping", sides, f"{found[0]!r}, and {met_first}")
            found.append(result)

    def _call(self, rung: Policy, one: object, other: object) -> None:
        """The arbiter hands over the sides in an order of its own: who counts on one is right by luck."""
        try:
            forth, back = (called(rung, self.base, sides) for sides in ((one, other), (other, one)))
        except RemitError as error:
            self._fail("total", (one, other), error.message)
        if not _agree(forth, back):
            self._fail("order", (one, other), f"{forth!r}, and {back!r} the other way round")

    def _said(self, *values: object) -> list[_Said]:
        owner = next((rung.role for rung in ladder(self.policy) if rung.kind == "owner"), "first")
        roles = zip((owner, "second", "third"), values, strict=False)
        return [_Said(value, {role: _author(role, minute)}) for minute, (role, value) in enumerate(roles)]

    def _merged(self, current: _Said, proposed: _Said) -> _Said:
        """Give what stands after two changes; UNDECIDED where it is left to a role, a person, or nobody."""
        (author,) = proposed.authors.values()
        work = Merge(author, origins={"": current.authors})
        try:
            result = work.run(Leaf(self.policy), self.base, current.value, proposed.value)
        except RemitError as error:
            self._fail("total", (current.value, proposed.value), error.message)
        if work.lost or work.opened:
            return _Said(UNDECIDED, {})
        agreed = [side for side in (current, proposed) if same(side.value, result)] or [proposed]
        return _Said(result, {role: who for side in agreed for role, who in side.authors.items()})

    def _fail(self, law: Law, sides: tuple[object, ...], said: str) -> NoReturn:
        told = ", ".join(map(repr, sides))
        raise AssertionError(
            f"policy {self.policy.name} is not what it must be ({law}): from base {self.base!r}, {told} give {said}"
        )


def _smallest_first(values: list[object], count: int) -> list[tuple[object, ...]]:
    """Give every choice of some values, each as often as there is room."""
    ordered = sorted(values, key=_size)
    chosen = combinations_with_replacement(ordered, count)
    return sorted(chosen, key=lambda items: sum(len(order_of(item)) for item in items))


def _size(value: object) -> tuple[int, bytes]:
    spelled = order_of(value)
    return len(spelled), spelled


def _plain(value: object) -> object:
    return MISSING if value is MISSING else plain_of(value)


def _agree(one: object, other: object) -> bool:
    return one is other if one is UNDECIDED or other is UNDECIDED else same(one, other)


def _author(role: str, minute: int) -> Author:
    return Author(role, role, "r1", role, "0", proposed_at=WHENEVER + timedelta(minutes=minute))
