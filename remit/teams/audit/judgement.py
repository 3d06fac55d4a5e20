"""What an analyst says about a whole file, put into the shared state where others say something too."""

from collections.abc import Iterable, Sequence

import msgspec

from remit import Context, RefusedError, StateRejected
from remit.teams.audit.finding import WEIGHT, Finding, Severity, Skill, worst_first
from remit.teams.audit.place import place_of
from remit.teams.audit.ruff import SECOND_OPINIONS

PATH_BYTES = 150
"""A longer path makes no key."""
SHARED = frozenset(SECOND_OPINIONS.values())
"""Rules that the code view and the security view both look for, with tools of their own."""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What one skill says about one file."""

    skill: Skill
    risk: int
    reason: str


def risk_of(findings: Iterable[Finding]) -> int:
    """Give the risk that some findings make together, at most 100."""
    return min(100, sum(WEIGHT[finding.severity] for finding in findings))


def judgements(findings: Iterable[Finding], skill: Skill, quota: int) -> dict[str, Judgement]:
    """Give what a skill says about the files it worries about most: shipped ones with a finding above low."""
    by_path: dict[str, list[Finding]] = {}
    for finding in findings:
        if place_of(finding.path) == "shipped" and len(finding.path.encode()) <= PATH_BYTES:
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


async def share(ctx: Context, findings: Sequence[Finding], skill: Skill, *, quota: int) -> None:
    """The shared state holds what this skill says about its worst files.

    Every proposal starts from the inventory's state, in which nobody had said anything: analysts judge
    independently, so two of them on one file are a conflict, which the rule of the key decides.

    Raises:
        RefusedError: the state took a judgement for what it is not; what others wrote stands.
    """
    said = judgements(findings, skill, quota)
    both = [item for item in findings if item.path in said and item.rule in SHARED][:quota]
    verdicts = await ctx.gather(
        *(ctx.state.propose(f"file-risk.{path}", item.risk) for path, item in said.items()),
        *(ctx.state.propose(f"file-reason.{path}", (item,)) for path, item in said.items()),
        *(
            ctx.state.propose(
                f"finding.{item.fingerprint}", (Said(skill=skill, tool=item.tools[0], severity=item.severity),)
            )
            for item in both
        ),
    )
    for verdict in verdicts:
        if isinstance(verdict, StateRejected):
            raise RefusedError("a judgement was not taken", where=verdict.key, got=verdict.reason)
