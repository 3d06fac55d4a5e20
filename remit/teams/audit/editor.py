"""The editor: writes the report from what the others said; every number in it is counted there."""

from remit import Context, RefusedError, Role, StateRejected
from remit.teams.audit import markdown, sarif
from remit.teams.audit.conflict import Conflict, by_rule, conflicts
from remit.teams.audit.evidence import citations, findings_file, pretty
from remit.teams.audit.hotspot import hotspots
from remit.teams.audit.judgement import Judgement, Said
from remit.teams.audit.markdown import Draft
from remit.teams.audit.message import Drafting, Report
from remit.teams.audit.opinion import Opinion
from remit.teams.audit.publication import tree_digest
from remit.teams.audit.score import score
from remit.teams.audit.scratch import Stored, get, put_text
from remit.teams.audit.sighting import Skipped

FOLDER = "report/"
"""Where the report is drafted, in the scratch folder."""


class Editor(Role[Drafting, Report]):
    """Drafts the report in the scratch folder. The same findings give the same bytes: no times, names or costs."""

    pool = 1

    async def handle(self, work: Drafting, ctx: Context) -> Report:
        """Give the report's files with what is said about them on a terminal."""
        opinions = await get(ctx, work.critique.opinions, tuple[Opinion, ...])
        draft = _draft(work, opinions, await self._conflicts(opinions, ctx))
        sections = markdown.sections(draft)
        await self._share(sections, ctx)
        log = sarif.text(opinions)
        texts = {
            "report.md": "\n".join(sections.values()),
            "findings.sarif": log,
            "findings.json": findings_file(opinions),
            "evidence/citations.json": citations(opinions),
            "evidence/conflicts.json": pretty(draft.conflicts),
            "evidence/not-checked.json": pretty(draft.skipped),
        }
        files = tuple([await put_text(ctx, FOLDER + name, text) for name, text in texts.items()])
        return _report(draft, files, sarif_problems=len(sarif.problems(log)))

    async def _conflicts(self, opinions: tuple[Opinion, ...], ctx: Context) -> list[Conflict]:
        risks = await ctx.state.list("file-risk.", int)
        reasons = await ctx.state.list("file-reason.", tuple[Judgement, ...])
        said = await ctx.state.list("finding.", tuple[Said, ...])
        return conflicts(
            {item.key.removeprefix("file-risk."): item.value or 0 for item in risks},
            {item.key.removeprefix("file-reason."): item.value or () for item in reasons},
            findings={item.key.removeprefix("finding."): item.value or () for item in said},
            severities={item.finding.fingerprint: item.finding.severity for item in opinions},
        )

    async def _share(self, sections: dict[str, str], ctx: Context) -> None:
        """Every section is in the shared state: an edit of an older text is a conflict, never a silent merge."""
        for name, text in sections.items():
            before = await ctx.state.read(f"report.{name}", str)
            if before.value == text:
                continue
            verdict = await ctx.state.propose(f"report.{name}", text, base=before.version)
            if isinstance(verdict, StateRejected):
                raise RefusedError("somebody else wrote this section", where=verdict.key, got=verdict.reason)


def _draft(work: Drafting, opinions: tuple[Opinion, ...], found: list[Conflict]) -> Draft:
    kept = [item.finding for item in opinions if item.decision == "keep"]
    return Draft(
        inventory=work.inventory,
        critique=work.critique,
        opinions=opinions,
        conflicts=tuple(found),
        hotspots=tuple(hotspots(kept)),
        score=score(kept, work.critique.lines),
        skipped=_skipped(work),
    )


def _skipped(work: Drafting) -> tuple[Skipped, ...]:
    history = "no analyst reads it" if work.inventory.is_git else "this is no git repository"
    never = (
        Skipped(what="history: churn, owners, files that change together", cause=history),
        Skipped(what="dependencies: declared, pinned, licensed", cause="no analyst reads them"),
        Skipped(what="documentation: snippets, links, names", cause="no analyst reads it"),
    )
    return (*work.inventory.skipped, *work.critique.skipped, *never)


def _report(draft: Draft, files: tuple[Stored, ...], *, sarif_problems: int) -> Report:
    inventory, critique = draft.inventory, draft.critique
    return Report(
        out=inventory.out,
        files=files,
        digest=tree_digest(files),
        verdict=markdown.verdict(draft),
        score=draft.score,
        fix_first=tuple(spot.sentence() for spot in draft.hotspots),
        conflicts=by_rule(draft.conflicts),
        open_conflicts=sum(not item.decided for item in draft.conflicts),
        kept=critique.kept,
        rejected=critique.rejected,
        unaccounted=inventory.python_files - critique.files,
        sarif_problems=sarif_problems,
    )
