"""What the report shows of what there is: chosen, grouped and counted once, whatever form it takes."""

from collections.abc import Iterable
from itertools import groupby

import msgspec

from remit.teams.audit.finding import SEVERITIES, Finding, Severity
from remit.teams.audit.judge.opinion import Opinion
from remit.teams.audit.report.conflict import Card

PAGE = "report.html"
CONFLICTS_FILE = "evidence/conflicts.json"
FINDINGS_FILE = "findings.json"
SKIPPED_FILE = "evidence/not-checked.json"
CONFLICTS_SHOWN = 20
FINDINGS_SHOWN = 150
THROWN_SHOWN = 25


class Thrown(msgspec.Struct, frozen=True, kw_only=True):
    """Findings that are out for one reason."""

    word: str
    reason: str
    findings: tuple[Finding, ...]


class RuleTally(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the findings of one rule."""

    rule: str
    kept: int
    demoted: int
    rejected: int


def contested(found: Iterable[Card]) -> list[tuple[Card, ...]]:
    """Give the conflicts in which sides contradict one another, by the key that they are about.

    Those of which the critic kept nothing are left out: they are about what is no finding any more.
    """
    groups = groupby((card for card in found if card.is_contested), lambda card: card.key)
    by_key = [tuple(group) for _key, group in groups]
    return [cards for cards in by_key if not all(card.is_thrown_out for card in cards)]


def thrown_out(opinions: Iterable[Opinion]) -> list[Thrown]:
    """Give what the critic threw out, by the reason: what happened most often first."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for item in opinions:
        if item.decision in {"reject", "demote"}:
            groups.setdefault((item.decision, item.reason), []).append(item.finding)
    ordered = sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return [
        Thrown(word="rejected" if decision == "reject" else "demoted", reason=reason, findings=tuple(findings))
        for (decision, reason), findings in ordered
    ]


def tallies(opinions: Iterable[Opinion]) -> list[RuleTally]:
    """Count what became of the findings, by rule."""
    counts: dict[tuple[str, str], int] = {}
    for item in opinions:
        key = (item.finding.rule, item.decision)
        counts[key] = counts.get(key, 0) + 1
    return [
        RuleTally(
            rule=rule,
            kept=counts.get((rule, "keep"), 0),
            demoted=counts.get((rule, "demote"), 0),
            rejected=counts.get((rule, "reject"), 0),
        )
        for rule in sorted({rule for rule, _decision in counts})
    ]


def by_severity(found: Iterable[Finding]) -> dict[Severity, int]:
    """Count findings by severity, the worst first."""
    levels = [finding.severity for finding in found]
    return {severity: levels.count(severity) for severity in SEVERITIES}
