"""Conflicts of judgement, derived from the shared state: who said what from the same base, and which rule decided.

Which analyst came second differs from run to run, so the order of arrival is not told. What is told is the same
every time: all sides, sorted, the base that they had in common, the rule, and the value that stands.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from remit.teams.audit.finding import SEVERITIES
from remit.teams.audit.judgement import Judgement, Said
from remit.teams.audit.message import RuleCount

BASE = 0
"""The version from which analysts propose: the inventory is there, and nobody has judged yet."""


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """One key on which several analysts wrote from the same base."""

    key: str
    rule: str
    base_version: int
    sides: tuple[str, ...]
    result: str
    decided: bool
    """The value that stands is the one that the rule gives."""


def conflicts(
    risks: Mapping[str, int],
    reasons: Mapping[str, Sequence[Judgement]],
    *,
    findings: Mapping[str, Sequence[Said]],
    severities: Mapping[str, str],
) -> list[Conflict]:
    """Give every conflict, sorted by key. `severities` are those that the critic let stand, by fingerprint."""
    found: list[Conflict] = []
    for path, said in reasons.items():
        if len(said) > 1:
            found.append(_by_max(path, said, risks.get(path, -1)))
            found.append(_by_union(path, said))
    for name, both in findings.items():
        if len(both) > 1:
            found.append(_by_evidence(name, both, severities.get(name, "")))
    return sorted(found, key=lambda item: (item.key, item.rule))


def by_rule(found: Iterable[Conflict]) -> tuple[RuleCount, ...]:
    """Count conflicts by the rule that decided them: one for each writer after the first."""
    counts: dict[str, int] = {}
    for conflict in found:
        counts[conflict.rule] = counts.get(conflict.rule, 0) + len(conflict.sides) - 1
    return tuple(RuleCount(rule=rule, count=count) for rule, count in sorted(counts.items()))


def _by_max(path: str, said: Sequence[Judgement], stands: int) -> Conflict:
    sides = tuple(sorted(f"{item.skill}: {item.risk}" for item in said))
    decided = stands == max(item.risk for item in said)
    return Conflict(
        key=f"file-risk.{path}", rule="max", base_version=BASE, sides=sides, result=str(stands), decided=decided
    )


def _by_union(path: str, said: Sequence[Judgement]) -> Conflict:
    sides = tuple(sorted(f"{item.skill}: {item.reason}" for item in said))
    worst = min(said, key=lambda item: (-item.risk, item.skill))
    return Conflict(
        key=f"file-reason.{path}",
        rule="union",
        base_version=BASE,
        sides=sides,
        result=f"all {len(sides)} reasons stand; the first is {worst.skill}'s",
        decided=len({item.skill for item in said}) == len(said),
    )


def _by_evidence(name: str, said: Sequence[Said], stands: str) -> Conflict:
    sides = tuple(sorted(f"{item.skill} with {item.tool}: {item.severity}" for item in said))
    return Conflict(
        key=f"finding.{name}",
        rule="evidence",
        base_version=BASE,
        sides=sides,
        result=f"{stands}, seen by {len(sides)} tools",
        decided=stands in SEVERITIES,
    )
