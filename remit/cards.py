"""Conflicts that were decided, each as one card: with all who wrote the field from one base, in whatever order."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from remit.contracts.plain import same
from remit.supervisor.versions import joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remit.contracts.proposal import StateCommitted, StateDecision


class Card(NamedTuple):
    """One conflict that was decided, with all who wrote the field from one base."""

    scope: str
    key: str
    version: int
    """The last version that it led to."""
    decision: StateDecision


def cards(versions: Iterable[StateCommitted]) -> list[Card]:
    """Give every conflict that was decided over versions, by key and path, of one field in their order."""
    found: dict[tuple[str, str, str], list[Card]] = defaultdict(list)
    for version in versions:
        for decision in version.decisions:
            known = found[version.scope, version.key, decision.path]
            before = known[-1].decision if known else None
            if before is not None and _is_one(before, decision):
                known.pop()
            known.append(Card(version.scope, version.key, version.version, _together(before, decision)))
    return [card for _place, known in sorted(found.items()) for card in known]


class Meetings:
    """How many changes of a field met another one, by the rule that decided: one less than sides, for each conflict."""

    def __init__(self) -> None:
        self.by_rule: Counter[str] = Counter()
        self._newest: dict[tuple[str, str, str], StateDecision] = {}
        self._taken = 0

    def take(self, versions: Sequence[StateCommitted]) -> None:
        """Count what was added since the last time."""
        for version in versions[self._taken :]:
            for decision in version.decisions:
                self._count((version.scope, version.key, decision.path), decision)
        self._taken = len(versions)

    def _count(self, place: tuple[str, str, str], decision: StateDecision) -> None:
        before = self._newest.get(place)
        now = self._newest[place] = joined(before, decision)
        counted = _met(before) if before is not None and _is_one(before, decision) else 0
        if met := _met(now) - counted:
            self.by_rule[decision.rule] += met


def _met(decision: StateDecision) -> int:
    return max(len(decision.sides) - 1, 0)


def _together(before: StateDecision | None, decision: StateDecision) -> StateDecision:
    """A side that the later decision did not look at may be told by the earlier one."""
    found = joined(before, decision)
    known = len(found.sides) - len(decision.sides)
    return msgspec.structs.replace(found, sides_omitted=max(decision.sides_omitted - known, 0))


def _is_one(one: StateDecision, other: StateDecision) -> bool:
    """Whoever wrote a field from another base met another conflict."""
    return one.base_is_missing == other.base_is_missing and same(one.base, other.base)
