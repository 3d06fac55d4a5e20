"""The score: 100 without findings, halved when a thousand lines carry the weight of two high ones."""

from collections.abc import Iterable

from remit.teams.audit.finding import WEIGHT, Finding

FEW = 2500
"""Lines. Below, a single finding would say more about the size of a tree than about the tree."""
HALVED_AT = 20
"""Weight of findings in a thousand lines at which the score is 50."""


def score(kept: Iterable[Finding], lines: int) -> int:
    """Give the score of a tree from its kept findings and its lines."""
    return round(100 / (1 + density(kept, lines) / HALVED_AT))


def density(kept: Iterable[Finding], lines: int) -> float:
    """Give the weight of findings that a thousand lines carry; a smaller tree counts as one of `FEW` lines."""
    return sum(WEIGHT[finding.severity] for finding in kept) * 1000 / max(lines, FEW)
