"""What every analyst does: judge what tools saw, share it, store it, and look again when the critic doubts."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from remit import Context, RefusedError
from remit.teams.audit.finding import Finding, Skill
from remit.teams.audit.judge.judgement import share
from remit.teams.audit.judge.judging import judge
from remit.teams.audit.message import Analysis, Assignment
from remit.teams.audit.model.remark import Words
from remit.teams.audit.sighting import Doubt, Scan
from remit.teams.audit.tools.scanner import py_look_again
from remit.teams.audit.tools.scratch import put


class Ask(Protocol):
    """Has a model say something about findings."""

    async def __call__(self, findings: Sequence[Finding], *, model: str, ctx: Context) -> Words:
        """Give what it says, and what not."""


async def analysis(
    work: Assignment, ctx: Context, *, skill: Skill, scans: Iterable[Scan], ask: Ask | None = None
) -> Analysis:
    """Judge scans, share the judgement, store the findings, and give the reply that names them.

    A model is asked last, about what is judged already: what it says changes none of that.
    """
    scans = tuple(scans)
    findings = [finding for scan in scans for finding in judge(scan, skill)]
    await share(ctx, findings, skill, quota=work.quota)
    skipped = tuple(item for scan in scans for item in scan.skipped)
    measures = [item for scan in scans for item in scan.measures]
    return Analysis(
        skill=skill,
        kind=work.kind,
        requirement=ctx.goal_hash,
        files=scans[0].files,
        lines=scans[0].lines,
        raised=len(findings),
        findings=await put(ctx, f"findings/{ctx.step_id}.json", findings),
        skipped=skipped,
        measures=await put(ctx, f"measures/{ctx.step_id}.json", measures) if measures else None,
        words=await ask(findings, model=work.model, ctx=ctx) if ask is not None and work.model else Words(),
    )


async def looked_again(work: Assignment, ctx: Context, *, skill: Skill) -> Analysis:
    """Look at doubted findings again, for the requirement of this run and no other.

    Raises:
        RefusedError: the critic asks on behalf of another requirement; nothing was looked at.
    """
    if work.requirement != ctx.goal_hash:
        raise RefusedError("the doubts are another run's", expected=ctx.goal_hash, got=work.requirement)
    looks = await ctx.call(py_look_again, doubts=tuple(_doubt(item) for item in work.doubts), files=work.files)
    return Analysis(skill=skill, kind="doubts", requirement=ctx.goal_hash, looks=looks)


def _doubt(finding: Finding) -> Doubt:
    return Doubt(
        fingerprint=finding.fingerprint,
        rule=finding.rule,
        path=finding.path,
        line=finding.line,
        symbol=finding.symbol,
        snippet=finding.snippet,
        message=finding.message,
    )
