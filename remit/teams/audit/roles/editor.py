"""The editor: writes the report from what the others said; every number in it is counted there."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from remit import Change, Context, Role, StateRef, Versioned
from remit.teams.audit.finding import Finding, by_path, worst_first
from remit.teams.audit.judge.judgement import TEXT_LIMIT, action_of
from remit.teams.audit.judge.opinion import Opinion
from remit.teams.audit.memory import FILES, FINDINGS, SECTIONS, Action, FileNote, FindingNote, agreed
from remit.teams.audit.mending import Drafting
from remit.teams.audit.message import Lead, Report
from remit.teams.audit.model.prose import prose
from remit.teams.audit.report import markdown, page, patch_section, sarif, since, wording
from remit.teams.audit.report.baseline import BASELINE
from remit.teams.audit.report.conflict import Card, by_rule, cards, decided, judged
from remit.teams.audit.report.evidence import citations, conflicts_file, findings_file, pretty
from remit.teams.audit.report.gathered import gathered
from remit.teams.audit.report.hotspot import hotspots
from remit.teams.audit.report.markdown import Draft
from remit.teams.audit.report.model_words import MODEL_FILE, Told, unsaid
from remit.teams.audit.report.past import Past, comparison, remembered
from remit.teams.audit.report.quoted import quoted
from remit.teams.audit.report.score import score
from remit.teams.audit.report.selection import CONFLICTS_FILE, FINDINGS_FILE, PAGE, SKIPPED_FILE
from remit.teams.audit.sighting import Measure
from remit.teams.audit.tools.publication import tree_digest
from remit.teams.audit.tools.scratch import Stored, get, put_text

T = TypeVar("T")
FOLDER = "report/"
"""Where the report is drafted, in the scratch folder."""
REPORT = "report.md"


class Editor(Role[Drafting, Report]):
    """Drafts the report in the scratch folder. The same findings give the same bytes: no times, names or costs."""

    pool = 1

    async def handle(self, work: Drafting, ctx: Context) -> Report:
        """Give the report's files with what is said about them on a terminal.

        Raises:
            RefusedError: somebody else wrote a section of the report; their text stands.
        """
        opinions = await get(ctx, work.critique.opinions, tuple[Opinion, ...])
        past = await remembered(work.inventory, ctx)
        draft = await self._draft(work, opinions, past=past, ctx=ctx)
        if work.inventory.model:
            draft = await self._told(draft, ctx)
        sections = markdown.sections(draft)
        log = sarif.text(opinions, draft.since)
        texts = {
            REPORT: "\n".join(sections.values()),
            PAGE: page.text(draft, draft.trend),
            "findings.sarif": log,
            FINDINGS_FILE: findings_file(opinions),
            "evidence/citations.json": citations(opinions),
            CONFLICTS_FILE: conflicts_file(draft.conflicts),
            SKIPPED_FILE: pretty(draft.skipped),
            "evidence/measures.json": pretty(draft.measures),
            "evidence/patches.json": pretty(work.verify),
            BASELINE: pretty(past.renewed(opinions, draft.score)),
            **({MODEL_FILE: pretty(draft.told)} if draft.told is not None else {}),
        }
        drafted = [await put_text(ctx, FOLDER + name, text) for name, text in texts.items()]
        files = (*drafted, *(patch.file for patch in work.verify.patches))
        shared = await self._share(sections, ctx)
        return _report(draft, files, shared, sarif_problems=len(sarif.problems(log)))

    async def _draft(self, work: Drafting, opinions: tuple[Opinion, ...], *, past: Past, ctx: Context) -> Draft:
        files = _standing(await ctx.state.list(FILES.prefix, FileNote))
        findings = _standing(await ctx.state.list(FINDINGS.prefix, FindingNote))
        found = [*await ctx.state.conflicts(FILES.prefix), *await ctx.state.conflicts(FINDINGS.prefix)]
        kept = sorted((item.finding for item in opinions if item.decision == "keep"), key=worst_first)
        spots = gathered(hotspots(kept), kept)
        points = score(kept, work.critique.lines)
        skipped = (*work.inventory.skipped, *work.critique.skipped, *past.skipped)
        return Draft(
            inventory=work.inventory,
            critique=work.critique,
            opinions=opinions,
            conflicts=_judged(cards(found, {**files, **findings}), kept),
            actions=_actions(kept, files),
            hotspots=tuple(spots),
            score=points,
            skipped=skipped,
            measures=await _measures(work.critique.measures, ctx),
            verification=work.verify,
            trend=past.renewed(opinions, points).points,
            since=await comparison(past, work.inventory, opinions, score=points, skipped=skipped, ctx=ctx),
            no_baseline=past.problem,
            quotes=await quoted(kept, [name for spot in spots for name in spot.findings], ctx),
        )

    async def _told(self, draft: Draft, ctx: Context) -> Draft:
        """Put in what a model said on the way, and have it say the report in a few sentences; none of it is a fact."""
        model = draft.inventory.model
        facts = [markdown.verdict(draft), *(spot.sentence() for spot in draft.hotspots)]
        words = draft.critique.words.plus(await prose(facts, model=model, ctx=ctx))
        told = Told(model=model, remarks=words.remarks, missing=words.missing)
        return msgspec.structs.replace(draft, told=told, skipped=(*draft.skipped, *unsaid(told)))

    async def _share(self, sections: dict[str, str], ctx: Context) -> tuple[StateRef, ...]:
        """Every section is in the shared state, and named exactly; an edit of an older text is a conflict."""
        keys = {SECTIONS.key(section=name): text for name, text in sections.items()}
        before = await ctx.state.read_all([*keys], str)
        versions = await agreed(ctx, [Change(item.key, keys[item.key], item.version) for item in before])
        refs = {
            item.key: StateRef(key=item.key, version=item.version, hash=item.hash, scope=item.scope)
            for item in versions
        }
        return tuple(refs[key] for key in keys)


def _judged(found: Iterable[Card], kept: Sequence[Finding]) -> tuple[Card, ...]:
    said = {path: {finding.message[:TEXT_LIMIT] for finding in group} for path, group in by_path(kept).items()}
    return judged(found, said, {finding.fingerprint for finding in kept})


def _actions(kept: Sequence[Finding], notes: Mapping[str, FileNote]) -> dict[str, Action]:
    """Give what is to be done about every file, the shared state first: not every file was judged there."""
    found = {path: action_of(group, sure=True) for path, group in by_path(kept).items()}
    return found | {key.removeprefix(FILES.prefix): note.action for key, note in notes.items() if note.action}


def _standing(found: Iterable[Versioned[T]]) -> dict[str, T]:
    return {item.key: item.value for item in found if item.value is not None}


async def _measures(stored: Iterable[Stored], ctx: Context) -> tuple[Measure, ...]:
    found = [item for file in stored for item in await get(ctx, file, tuple[Measure, ...])]
    return tuple(sorted(found, key=lambda item: (item.path, item.name)))


def _lead(finding: Finding) -> Lead:
    return Lead(severity=finding.severity, path=finding.path, line=finding.line)


def _report(draft: Draft, files: tuple[Stored, ...], sections: tuple[StateRef, ...], *, sarif_problems: int) -> Report:
    inventory, critique = draft.inventory, draft.critique
    return Report(
        out=inventory.out,
        branch=inventory.branch,
        base=inventory.head.commit,
        files=files,
        digest=tree_digest(files),
        sections=sections,
        verdict=markdown.verdict(draft),
        unread=draft.unread,
        leads=tuple(_lead(draft.cited(spot)[0]) for spot in draft.hotspots),
        contradictions=decided(draft.conflicts),
        agreements=sum(not item.is_contested for item in draft.conflicts),
        example=wording.example(draft.conflicts),
        score=draft.score,
        fix_first=tuple(spot.sentence(draft.fresh) for spot in draft.hotspots),
        conflicts=by_rule(draft.conflicts),
        open_conflicts=sum(item.is_open for item in draft.conflicts),
        kept=critique.kept,
        rejected=critique.rejected,
        unaccounted=inventory.python_files - critique.files,
        sarif_problems=sarif_problems,
        patches=patch_section.said(draft.verification),
        way=patch_section.way(draft.verification.setback),
        since=since.told(draft.since, draft.no_baseline) if inventory.since else "",
        explain=next((name for spot in draft.hotspots for name in spot.findings), ""),
    )
