"""The fixer: makes the patch of one file, and says in the shared state what it does for it."""

import msgspec

from remit import Change, Context, RefusedError, Role, StateRejected, Versioned
from remit.teams.audit.judge.judgement import PATH_BYTES
from remit.teams.audit.memory import FILES, PATCHED, FileNote, agreed
from remit.teams.audit.mending import Dropped, Mended, Mending, Patch
from remit.teams.audit.model.mend import mended
from remit.teams.audit.patch import drill_patch, patch_name, spoilt
from remit.teams.audit.roles.editor import FOLDER
from remit.teams.audit.tools.ruff_fix import Attempt, proc_ruff_fix
from remit.teams.audit.tools.scratch import put_text


class Fixer(Role[Mending, Mended]):
    """Mends what a tool mends safely, and, if the task names a model, what that proposes.

    A patch is a file beside the report: the repository stays as it is.
    """

    pool = 1

    async def handle(self, work: Mending, ctx: Context) -> Mended:
        """Give the patch of a file, which nobody has verified yet, or why there is none.

        Raises:
            RefusedError: the state did not take what the fixer says about the file.
        """
        made, name = await self._made(work, ctx), patch_name(work)
        if made.problem:
            return Mended(dropped=Dropped(name=name, reason=made.problem))
        file = await put_text(ctx, FOLDER + name, made.text)
        await self._say(work, name, ctx)
        return Mended(
            patch=Patch(name=name, rules=work.rules, path=work.path, blob=work.blob, findings=work.findings, file=file)
        )

    async def _made(self, work: Mending, ctx: Context) -> Attempt:
        if not work.rules:
            return Attempt(text=drill_patch(work.path))
        if work.model:
            return await mended(work, ctx=ctx)
        made = await ctx.call(proc_ruff_fix, path=work.path, rules=work.rules, blob=work.blob)
        return Attempt(text=spoilt(made.text)) if work.is_spoilt and made.text else made

    async def _say(self, work: Mending, name: str, ctx: Context) -> None:
        """The note of the file names the patch; if that mends all that was kept there, it is `patched`."""
        if len(work.path.encode()) > PATH_BYTES:
            return
        note = await ctx.state.read(FILES.key(path=work.path), FileNote)
        said = msgspec.structs.replace(note.value or FileNote(), patch=name)
        if not work.left and await self._is_taken(note, msgspec.structs.replace(said, action=PATCHED), ctx):
            return
        await agreed(ctx, [Change(note.key, said, note.version)])

    async def _is_taken(self, note: Versioned[FileNote], said: FileNote, ctx: Context) -> bool:
        """Say whether this stands now; what the critic said about the file outweighs the fixer."""
        match await ctx.state.propose(note.key, said, base=note.version):
            case StateRejected(reason="owned"):
                return False
            case StateRejected(key=key, reason=reason):
                raise RefusedError("the shared state did not take this", where=key, got=reason)
        return True
