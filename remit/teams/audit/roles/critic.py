"""The critic: opens every cited line, throws out what does not hold, and asks for second looks, twice at most."""

from collections.abc import Iterable, Sequence

import msgspec

from remit import Context, RefusedError, Role
from remit.teams.audit.finding import Finding, Skill, by_path
from remit.teams.audit.judge.docket import ROUNDS, doubted, heard, merged, settled
from remit.teams.audit.judge.judgement import last_word
from remit.teams.audit.judge.opinion import Opinion, first_opinion, is_cited
from remit.teams.audit.memory import FILES, FileNote, agreed
from remit.teams.audit.message import Analysis, Assignment, Critique, Hearing
from remit.teams.audit.model.argument import argued
from remit.teams.audit.model.remark import Words
from remit.teams.audit.model.remark import few as few_words
from remit.teams.audit.place import HEAD_LINES
from remit.teams.audit.roles.analyst_code import AnalystCode
from remit.teams.audit.roles.analyst_docs import AnalystDocs
from remit.teams.audit.roles.analyst_history import AnalystHistory
from remit.teams.audit.roles.analyst_security import AnalystSecurity
from remit.teams.audit.roles.analyst_supply import AnalystSupply
from remit.teams.audit.sighting import SKIPPED_BYTES, Look, Skipped, few
from remit.teams.audit.tools.files import PASSAGES, Excerpt, Passage, fs_read
from remit.teams.audit.tools.scratch import get, put

DOUBTS_PER_ASK = 150
ANALYSTS: dict[Skill, type[Role[Assignment, Analysis]]] = {
    "code": AnalystCode,
    "structure": AnalystCode,
    "security": AnalystSecurity,
    "history": AnalystHistory,
    "supply": AnalystSupply,
    "docs": AnalystDocs,
}
"""Who looks again at what a skill has found."""


class Critic(Role[Hearing, Critique]):
    """Decides on every finding, and says why."""

    pool = 1

    async def handle(self, work: Hearing, ctx: Context) -> Critique:
        """Give what became of every finding that was raised.

        Raises:
            RefusedError: an analyst answered another requirement than this run's.
        """
        analyses = work.analyses
        await ctx.checkpoint("cp2")  # the analyses are there, and nobody has judged them
        findings = merged(await self._raised(analyses, ctx))
        opinions, rounds = await self._deliberate(await self._open(findings, ctx), work, ctx)
        opinions, words = await self._argued(settled(opinions), work, ctx)
        final = await self._verified(opinions, ctx)
        await self._rule(final, ctx)
        by_files = [item for item in work.code if item.kind == "files"]
        return Critique(
            opinions=await put(ctx, "opinions.json", final),
            requirement=ctx.goal_hash,
            raised=len(findings),
            kept=_count(final, "keep"),
            demoted=_count(final, "demote"),
            rejected=_count(final, "reject"),
            uncriticised=_count(final, "doubt") + len(findings) - len(final),
            unverified=sum(item.decision == "keep" and not item.cited for item in final),
            rounds=rounds,
            looked_again=sum(item.looked for item in final),
            files=sum(item.files for item in by_files),
            lines=sum(item.lines for item in by_files),
            skipped=_distinct(analyses),
            measures=tuple(item.measures for item in analyses if item.measures is not None),
            words=_worded(work, words, final),
        )

    async def _argued(self, opinions: list[Opinion], work: Hearing, ctx: Context) -> tuple[list[Opinion], Words]:
        """Hear what a model has against what is kept, if the task names one; our own rules have the last word."""
        if not work.inventory.model:
            return opinions, Words()
        return await argued(opinions, model=work.inventory.model, ctx=ctx)

    async def _rule(self, opinions: Sequence[Opinion], ctx: Context) -> None:
        """What to do about a judged file is what the critic says: it saw all sides, and what does not hold is out."""
        kept = by_path(item.finding for item in opinions if item.decision == "keep")
        notes = await ctx.state.list(FILES.prefix, FileNote)
        words = [last_word(note, kept.get(note.key.removeprefix(FILES.prefix), [])) for note in notes]
        await agreed(ctx, [word for word in words if word is not None])

    async def _raised(self, analyses: Sequence[Analysis], ctx: Context) -> list[Finding]:
        found: list[Finding] = []
        for analysis in analyses:
            _same_requirement(analysis, ctx)
            if analysis.findings is not None:
                found.extend(await get(ctx, analysis.findings, tuple[Finding, ...]))
        return found

    async def _open(self, findings: Sequence[Finding], ctx: Context) -> list[Opinion]:
        """Form a first opinion of every finding from its line and the head of its file."""
        paths = sorted({finding.path for finding in findings})
        heads = await _read(ctx, [Passage(path=path, count=HEAD_LINES) for path in paths])
        said = {excerpt.path: "\n".join(excerpt.lines) for excerpt in heads}
        lines = await _read(ctx, [Passage(path=item.path, first=item.line) for item in findings])
        pairs = zip(findings, lines, strict=True)
        return [first_opinion(finding, line, said[finding.path]) for finding, line in pairs]

    async def _deliberate(self, opinions: list[Opinion], work: Hearing, ctx: Context) -> tuple[list[Opinion], int]:
        """Ask for second looks until nothing is doubted or the rounds are used up."""
        for number in range(1, ROUNDS + 1):
            asked = doubted(opinions, number)
            if not asked:
                return opinions, number - 1
            ctx.progress(f"round {number}: {len(asked)} findings are looked at again", done=number, total=ROUNDS)
            opinions = heard(opinions, await self._rework(asked, work, ctx))
        return opinions, ROUNDS

    async def _rework(self, asked: Sequence[Finding], work: Hearing, ctx: Context) -> list[Look]:
        """Give what the analysts see at a second look, each at its own findings."""
        tree = work.inventory.shards[0]
        beside: dict[object, tuple[Assignment, ...]] = {
            AnalystSupply: work.inventory.supply
        }  # what is looked at again with more than the code

        def assignment(role: type[Role[Assignment, Analysis]], part: Sequence[Finding]) -> Assignment:
            files = next(iter(beside.get(role, ())), tree).files
            return Assignment(
                kind="doubts", files=files, count=len(part), doubts=tuple(part), requirement=ctx.goal_hash
            )

        by_role: dict[type[Role[Assignment, Analysis]], list[Finding]] = {}
        for finding in asked:
            by_role.setdefault(ANALYSTS[finding.skill], []).append(finding)
        answers = await ctx.gather(
            *(ctx.ask(role, assignment(role, part)) for role, found in by_role.items() for part in _parts(found))
        )
        for answer in answers:
            _same_requirement(answer, ctx)
        return [look for answer in answers for look in answer.looks]

    async def _verified(self, opinions: Sequence[Opinion], ctx: Context) -> list[Opinion]:
        """Open every kept line once more: a second look may have moved it, or the file may have changed."""
        kept = [item for item in opinions if item.decision == "keep"]
        lines = await _read(ctx, [Passage(path=item.finding.path, first=item.finding.line) for item in kept])
        fallen = {
            item.finding.fingerprint for item, line in zip(kept, lines, strict=True) if not is_cited(item.finding, line)
        }
        return [
            msgspec.structs.replace(
                item, decision="reject", cited=False, reason="the cited line does not say so any more"
            )
            if item.finding.fingerprint in fallen
            else item
            for item in opinions
        ]


async def _read(ctx: Context, passages: Sequence[Passage]) -> list[Excerpt]:
    calls = [tuple(passages[at : at + PASSAGES]) for at in range(0, len(passages), PASSAGES)]
    answers = await ctx.gather(*(_read_all(ctx, part) for part in calls))
    return [excerpt for answer in answers for excerpt in answer]


async def _read_all(ctx: Context, passages: Sequence[Passage]) -> list[Excerpt]:
    """Ask again for what did not fit the answer."""
    found: list[Excerpt] = []
    while len(found) < len(passages):
        found += await ctx.call(fs_read, passages=tuple(passages[len(found) :]))
    return found


def _parts(findings: Sequence[Finding]) -> list[Sequence[Finding]]:
    return [findings[at : at + DOUBTS_PER_ASK] for at in range(0, len(findings), DOUBTS_PER_ASK)]


def _same_requirement(analysis: Analysis, ctx: Context) -> None:
    if analysis.requirement != ctx.goal_hash:
        raise RefusedError(
            "an analyst answered another requirement",
            where=f"{analysis.skill} {analysis.kind}",
            expected=ctx.goal_hash,
            got=analysis.requirement,
        )


def _worded(work: Hearing, words: Words, final: Sequence[Opinion]) -> Words:
    """Give what every role had of a model, first what is about something that was kept."""
    kept = [item.finding for item in final if item.decision == "keep"]
    about = {name for finding in kept for name in (finding.path, finding.fingerprint)} | {""}
    return few_words(work.inventory.words.plus(*(item.words for item in work.analyses), words), about)


def _count(opinions: Iterable[Opinion], decision: str) -> int:
    return sum(item.decision == decision for item in opinions)


def _distinct(analyses: Iterable[Analysis]) -> tuple[Skipped, ...]:
    found = {(item.what, item.cause): item for analysis in analyses for item in analysis.skipped}
    return few((found[key] for key in sorted(found)), 2 * SKIPPED_BYTES)
