"""The verifier: tries every patch on a copy, so that no patch is believed because of who made it."""

import shlex

from remit import Context, ReviewRejectedError, Role, ToolFailedError
from remit.teams.audit.judge.judgement import PATH_BYTES
from remit.teams.audit.mending import Dropped, Lesson, Patch, Verification, Verifying
from remit.teams.audit.patch import is_by_model
from remit.teams.audit.roles.planner import LESSON
from remit.teams.audit.tools.git_apply_check import proc_git_apply_check
from remit.teams.audit.tools.own_tests import Tested, proc_tests
from remit.teams.audit.tools.scratch import put

_BROKEN = "the repository's own tests pass without the patches and fail with them"


class Verifier(Role[Verifying, Verification]):
    """Its reply is what the plan rolls back on."""

    pool = 1

    async def handle(self, work: Verifying, ctx: Context) -> Verification:
        """Give the patches that hold, and why the others do not."""
        made = tuple(mended.patch for mended in work.fix if mended.patch is not None)
        try:
            checked = await ctx.call(proc_git_apply_check, patches=made) if made else ()
        except ToolFailedError as error:  # such as a machine without git: nothing is wrong with the plan
            return _unverified(work, made, reason=f"it could not be tried: {error.message}")
        failed = tuple(Dropped(name=item.name, reason=item.problem) for item in checked if item.problem)
        said = ""
        if not failed and made and work.task is not None and work.task.tests:
            runnable = tuple(patch for patch in made if not is_by_model(patch.name))
            failed, said = await self._tested(runnable, tuple(shlex.split(work.task.tests)), ctx)
        if failed:
            await self._remember(made, failed, ctx)
        unfit = {item.name for item in failed}
        return Verification(
            patches=tuple(patch for patch in made if patch.name not in unfit),
            dropped=_dropped(work, failed),
            failed=len(failed),
            more=work.plan.more,
            setback=work.plan.setback,
            tests=said,
        )

    async def _tested(
        self, made: tuple[Patch, ...], command: tuple[str, ...], ctx: Context
    ) -> tuple[tuple[Dropped, ...], str]:
        """Give the patches with which the repository's own tests fail, and what the tests say of them.

        What a model wrote is not among them: nothing of a model is run, not even after a person agreed to the command.
        """
        if not made:
            return (), "were not run: every patch is a model's, and nothing that a model wrote is run"
        try:
            tested = await ctx.call(proc_tests, command=command, patches=made)
        except ReviewRejectedError:
            return (), "were not run: a person said no"
        except ToolFailedError as error:
            return (), f"could not be run: {error.message}"
        if tested.is_broken_by_patches:
            return tuple(Dropped(name=patch.name, reason=_BROKEN) for patch in made), ""
        return (), _words(tested)

    async def _remember(self, made: tuple[Patch, ...], failed: tuple[Dropped, ...], ctx: Context) -> None:
        """What failed is written down where a rollback leaves it, so that the next plan can know."""
        paths = tuple(sorted({patch.path for patch in made if len(patch.path.encode()) <= PATH_BYTES}))
        await put(ctx, LESSON, Lesson(failed=failed, patches=tuple(patch.name for patch in made), paths=paths))


def _words(tested: Tested) -> str:
    if tested.problem:
        return f"could not be run: {tested.problem}"
    if tested.before:
        return f"fail without the patches, too (exit code {tested.before}), so they say nothing of them"
    return "pass with all of these patches, as they do without"


def _unverified(work: Verifying, made: tuple[Patch, ...], *, reason: str) -> Verification:
    dropped = _dropped(work, tuple(Dropped(name=patch.name, reason=reason) for patch in made))
    return Verification(patches=(), dropped=dropped, failed=0, more=work.plan.more, setback=work.plan.setback)


def _dropped(work: Verifying, unfit: tuple[Dropped, ...]) -> tuple[Dropped, ...]:
    """Give every patch that there is not: left out by the plan, not made by the fixer, or not fit."""
    unmade = (mended.dropped for mended in work.fix if mended.dropped is not None)
    return tuple(sorted((*work.plan.left_out, *unmade, *unfit), key=lambda item: item.name))
