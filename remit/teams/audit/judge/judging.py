"""From what a tool saw to what an analyst says: severity, words and a fingerprint."""

from remit.teams.audit.finding import SEVERITIES, Finding, Severity, Skill, fingerprint
from remit.teams.audit.judge.rule import Rule
from remit.teams.audit.judge.rules import rule_named
from remit.teams.audit.sighting import Scan, Sighting

_MILD = (("shell-injection", "constant command"), ("missing-timeout", "`subprocess."))
"""Rules and details that make a small finding: nobody else writes the command; what is waited for is a program."""


def judge(scan: Scan, skill: Skill) -> list[Finding]:
    """Give every sighting of a scan as a finding."""
    blobs = {blob.path: blob.digest for blob in scan.blobs}
    seen: dict[tuple[str, str, str, str], int] = {}
    found: list[Finding] = []
    for item in sorted(scan.sightings, key=lambda item: (item.path, item.line, item.rule)):
        key = (item.rule, item.path, item.symbol, " ".join(item.text.split()))
        seen[key] = seen.get(key, -1) + 1
        found.append(_finding(item, skill, nth=seen[key], blob=blobs.get(item.path, "")))
    return found


def _finding(item: Sighting, skill: Skill, *, nth: int, blob: str) -> Finding:
    rule = rule_named(item.rule)
    return Finding(
        fingerprint=fingerprint(item.rule, item.path, symbol=item.symbol, snippet=item.text, nth=nth),
        rule=item.rule,
        severity=severity(rule, item),
        path=item.path,
        line=item.line,
        symbol=item.symbol,
        snippet=item.text,
        message=message(rule, item),
        skill=skill,
        tools=(item.tool,),
        blob=blob,
        measure=item.measure,
    )


def severity(rule: Rule, item: Sighting) -> Severity:
    """Say how bad a sighting is: by its rule, its measure, and what it is about."""
    if item.tool == "ast" and any(item.rule == name and item.detail.startswith(detail) for name, detail in _MILD):
        return "low"
    steps = [severity for measure, severity in rule.raises if item.measure >= measure]
    return min((rule.severity, *steps), key=SEVERITIES.index)


def message(rule: Rule, item: Sighting) -> str:
    """Say a sighting in the words of its rule."""
    symbol = item.symbol or "the module"
    return rule.phrase.format(symbol=symbol, line=item.line, measure=item.measure, detail=item.detail)
