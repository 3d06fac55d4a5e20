"""What an analyst says about one place, known by a fingerprint that survives shifted lines."""

import hashlib
from collections.abc import Iterable
from typing import Literal

import msgspec

Severity = Literal["high", "medium", "low", "note"]
Skill = Literal["code", "structure", "security", "history", "supply", "docs"]
"""code: one file at a time · structure: the whole tree · security: what an attacker or an outage would use ·
history: who changed what, how often · supply: what it depends on · docs: whether what is written is so."""

SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low", "note")
WEIGHT: dict[Severity, int] = {"high": 10, "medium": 4, "low": 1, "note": 0}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One finding with its evidence: the line it cites, and the digest of the file in which it was seen."""

    fingerprint: str
    rule: str
    severity: Severity
    path: str
    line: int
    symbol: str
    """Function or class around the line; empty at module level."""
    snippet: str
    message: str
    skill: Skill
    tools: tuple[str, ...]
    blob: str
    measure: int = 0
    """The number behind a measured finding: complexity, lines, modules."""


def fingerprint(rule: str, path: str, *, symbol: str, snippet: str, nth: int = 0) -> str:
    """Name a finding: the same wherever its lines move; `nth` counts equal snippets in one symbol."""
    parts = (rule, path, symbol, " ".join(snippet.split()), str(nth))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def worst_first(finding: Finding) -> tuple[int, int, str, int, str]:
    """Sort key: severity, then measure, then place."""
    return (SEVERITIES.index(finding.severity), -finding.measure, finding.path, finding.line, finding.fingerprint)


def in_file_order(finding: Finding) -> tuple[str, int, str, str]:
    """Sort key: path, line, rule."""
    return (finding.path, finding.line, finding.rule, finding.fingerprint)


def by_path(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Give findings by the file in which they are."""
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.path, []).append(finding)
    return found
