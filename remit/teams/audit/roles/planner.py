"""The planner: says which files are mended by which patches, and after a rollback leaves out what failed."""

from collections.abc import Sequence

import msgspec

from remit import Context, RefusedError, Role, ToolFailedError
from remit.teams.audit.finding import WEIGHT, Finding, by_path, worst_first
from remit.teams.audit.judge.opinion import Opinion
from remit.teams.audit.memory import FILES, FileNote
from remit.teams.audit.mending import Lesson, Mending, MendingPlan, Planning, Setback
from remit.teams.audit.patch import MECHANICAL, PROPOSED, patch_name
from remit.teams.audit.place import place_of
from remit.teams.audit.tools.scratch import get, look_up

PATCHES = 20
"""More of them nobody applies in one go."""
PROPOSALS = 5
"""Files for which a model is asked for a patch."""
LESSON = "lesson.json"
"""In the scratch folder, which a rollback leaves as it is."""


class Planner(Role[Planning, MendingPlan]):
    """Plans the mending of mechanical findings; anew after a rollback, and the first plan stays on record."""

    pool = 1

    async def handle(self, work: Planning, ctx: Context) -> MendingPlan:
        """Give the plan.

        Raises:
            RefusedError: the state still holds what the rollback should have taken back.
        """
        opinions = await get(ctx, work.critique.opinions, tuple[Opinion, ...])
        kept = [item.finding for item in opinions if item.decision == "keep"]
        works, more = mendings(kept)
        if work.task.inject == "bad-patch":
            works = await self._spoilt(works, work, ctx)
        if work.inventory.model:
            works = [*works, *proposals(kept, works, model=work.inventory.model)]
        setback = await self._setback(ctx)
        failed = setback.failed if setback is not None else ()
        names = {item.name for item in failed}
        return MendingPlan(
            files=tuple(item for item in works if patch_name(item) not in names),
            left_out=failed,
            more=more,
            setback=setback,
        )

    async def _spoilt(self, works: Sequence[Mending], work: Planning, ctx: Context) -> list[Mending]:
        """Spoil the first patch; where there is none, plan one that mends nothing."""
        if works:
            first, *others = works
            return [msgspec.structs.replace(first, is_spoilt=True), *others]
        paths = await get(ctx, work.inventory.shards[0].files, list[str])
        return [Mending(number=1, path=paths[0], blob="", rules=(), findings=(), left=1, is_spoilt=True)]

    async def _setback(self, ctx: Context) -> Setback | None:
        """Read what failed before the rollback, and see for ourselves that the state is as it was."""
        if ctx.rolled_back is None:
            return None
        try:
            lesson = await look_up(ctx, LESSON, Lesson)
        except ToolFailedError:  # a person rolled back before anything was verified
            lesson = Lesson(failed=(), patches=(), paths=())
        notes = await ctx.state.read_all([FILES.key(path=path) for path in lesson.paths], FileNote)
        if standing := [item.key for item in notes if item.value is not None and item.value.patch]:
            raise RefusedError("the rollback left what the fixer said", where=", ".join(standing))
        return Setback(to=ctx.rolled_back.to, failed=lesson.failed, patches=lesson.patches, paths=lesson.paths)


def mendings(kept: Sequence[Finding]) -> tuple[list[Mending], int]:
    """Give what is to be mended, numbered in the order of files; and how many files are left for another time."""
    paths = {item.path: None for item in sorted(kept, key=worst_first) if item.rule in MECHANICAL}
    chosen = sorted([*paths][:PATCHES])
    groups = by_path(kept)
    return [_mending(number, groups[path]) for number, path in enumerate(chosen, 1)], len(paths) - len(chosen)


def proposals(kept: Sequence[Finding], made: Sequence[Mending], *, model: str) -> list[Mending]:
    """Give what a model is asked to mend: of some files that no tool mends, the worst finding that is fit for it."""
    paths, groups = {item.path for item in made}, by_path(kept)
    fit = [item for item in sorted(kept, key=worst_first) if is_proposed(item) and item.path not in paths]
    worst = {item.path: item for item in reversed(fit)}
    chosen = sorted([*dict.fromkeys(item.path for item in fit)][:PROPOSALS])
    return [
        Mending(
            number=number,
            path=path,
            blob=worst[path].blob,
            rules=(worst[path].rule,),
            findings=(worst[path].fingerprint,),
            left=len(groups[path]),  # nothing is mended before a person has read it
            model=model,
            asked=(worst[path],),
        )
        for number, path in enumerate(chosen, len(made) + 1)
    ]


def is_proposed(finding: Finding) -> bool:
    """Say whether a model is asked to mend a finding: a detector can tell afterwards whether it is gone."""
    return finding.severity == "medium" and finding.rule in PROPOSED and place_of(finding.path) == "shipped"


def _mending(number: int, kept: Sequence[Finding]) -> Mending:
    mended = [item for item in kept if item.rule in MECHANICAL]
    return Mending(
        number=number,
        path=mended[0].path,
        blob=mended[0].blob,
        rules=tuple(sorted({item.rule for item in mended})),
        findings=tuple(item.fingerprint for item in mended),
        left=sum(bool(WEIGHT[item.severity]) for item in kept if item not in mended),
    )
