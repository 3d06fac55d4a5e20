"""How an analyst turns sightings into findings, and what it says about a file to the others."""

from collections.abc import Iterable

import msgspec

from remit import Context
from remit.teams.audit.finding import SEVERITIES, WEIGHT, Finding, Severity, Skill, fingerprint, worst_first
from remit.teams.audit.message import Analysis, Assignment
from remit.teams.audit.place import place_of
from remit.teams.audit.rule import Rule, rule_named
from remit.teams.audit.ruff import SECOND_OPINIONS
from remit.teams.audit.scratch import put
from remit.teams.audit.sighting import Doubt, Scan, Sighting

_MILD = ("constant command", "subprocess.")
"""Details that make a finding of its rule a small one."""
SHARED = frozenset(SECOND_OPINIONS.values())
"""Rules that the code view and the security view both look for, with tools of their own."""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What one skill says about one file."""

    skill: Skill
    risk: int
    reason: str


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
    if item.tool == "ast" and item.detail.startswith(_MILD):
        return "low"
    steps = [severity for measure, severity in rule.raises if item.measure >= measure]
    return min((rule.severity, *steps), key=SEVERITIES.index)


def message(rule: Rule, item: Sighting) -> str:
    """Say a sighting in the words of its rule."""
    symbol = item.symbol or "the module"
    return rule.phrase.format(symbol=symbol, line=item.line, measure=item.measure, detail=item.detail)


def risk_of(findings: Iterable[Finding]) -> int:
    """Give the risk that some findings make together, at most 100."""
    return min(100, sum(WEIGHT[finding.severity] for finding in findings))


def judgements(findings: Iterable[Finding], skill: Skill, quota: int) -> dict[str, Judgement]:
    """Give what a skill says about the files it worries about most: shipped ones with a finding above low."""
    by_path: dict[str, list[Finding]] = {}
    for finding in findings:
        if place_of(finding.path) == "shipped":
            by_path.setdefault(finding.path, []).append(finding)
    said = {
        path: Judgement(skill=skill, risk=risk_of(group), reason=min(group, key=worst_first).message)
        for path, group in by_path.items()
        if any(finding.severity in {"high", "medium"} for finding in group)
    }
    worst = sorted(said, key=lambda path: (-said[path].risk, path))[:quota]
    return {path: said[path] for path in sorted(worst)}


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What one skill says about one finding that another skill may see too."""

    skill: Skill
    tool: str
    severity: Severity


async def share(ctx: Context, findings: list[Finding], skill: Skill, *, quota: int) -> None:
    """The shared state holds what this skill says about its worst files.

    Every proposal starts from the inventory's state, in which nobody had said anything: analysts judge
    independently, so two of them on one file are a conflict, which the rule of the key decides.
    """
    said = judgements(findings, skill, quota)
    both = [item for item in findings if item.path in said and item.rule in SHARED][:quota]
    await ctx.gather(
        *(ctx.state.propose(f"file-risk.{path}", item.risk) for path, item in said.items()),
        *(ctx.state.propose(f"file-reason.{path}", (item,)) for path, item in said.items()),
        *(
            ctx.state.propose(
                f"finding.{item.fingerprint}", (Said(skill=skill, tool=item.tools[0], severity=item.severity),)
            )
            for item in both
        ),
    )


async def analysis(work: Assignment, ctx: Context, *, skill: Skill, scans: Iterable[Scan]) -> Analysis:
    """Judge scans, share the judgement, store the findings, and give the reply that names them."""
    scans = tuple(scans)
    findings = [finding for scan in scans for finding in judge(scan, skill)]
    await share(ctx, findings, skill, quota=work.quota)
    skipped = tuple(item for scan in scans for item in scan.skipped)
    return Analysis(
        skill=skill,
        kind=work.kind,
        requirement=ctx.goal_hash,
        files=scans[0].files,
        lines=scans[0].lines,
        raised=len(findings),
        findings=await put(ctx, f"findings/{ctx.step_id}.json", findings),
        skipped=skipped,
    )


def doubts(findings: Iterable[Finding]) -> tuple[Doubt, ...]:
    """Give findings as the doubts that a tool looks at again."""
    return tuple(
        Doubt(
            fingerprint=item.fingerprint,
            rule=item.rule,
            path=item.path,
            line=item.line,
            symbol=item.symbol,
            snippet=item.snippet,
        )
        for item in findings
    )
