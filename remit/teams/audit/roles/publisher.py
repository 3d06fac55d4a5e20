"""The publisher: writes the report where it was asked for, after a person agreed to exactly these files."""

from remit import Context, RefusedError, ReviewRejectedError, Role, ToolFailedError
from remit.teams.audit.message import Published, Report
from remit.teams.audit.patch import is_by_model
from remit.teams.audit.report.edit import Edit, edit_in, without
from remit.teams.audit.report.selection import FINDINGS_FILE
from remit.teams.audit.roles.editor import FOLDER, REPORT
from remit.teams.audit.source import blob_digest
from remit.teams.audit.tools.branch import git_branch_commit
from remit.teams.audit.tools.publication import PATCHES, Publication, fs_publish, tree_digest
from remit.teams.audit.tools.scratch import Stored


class Publisher(Role[Report, Published]):
    """Asks for one call. The charter puts a review before it, so the step waits here until somebody decided.

    A person who wants less written rejects that call and says what to leave out; then this asks for another one.
    """

    pool = 1

    async def handle(self, work: Report, ctx: Context) -> Published:
        """Give where the report stands.

        Raises:
            RefusedError: the report is not what the shared state holds; nobody was asked and nothing was written.
            ReviewRejectedError: a person said no; nothing was written.
        """
        await self._compare(work, ctx)
        done, tree = await self._publish(work, ctx)
        names = {item.name.removeprefix(FOLDER) for item in tree}
        return Published(
            folder=done.folder,
            report=f"{done.folder}/{REPORT}",
            files=len(tree),
            verdict=work.verdict,
            score=work.score,
            fix_first=work.fix_first,
            conflicts=work.conflicts,
            kept=work.kept,
            rejected=work.rejected,
            patches=work.patches,
            way=work.way,
            since=work.since,
            unread=work.unread,
            leads=work.leads,
            contradictions=work.contradictions,
            agreements=work.agreements,
            example=work.example,
            explain=work.explain if FINDINGS_FILE in names else "",
            left_out=tuple(name for item in work.files if (name := item.name.removeprefix(FOLDER)) not in names),
            branch=await self._commit(work, tree, ctx) if work.branch else "",
        )

    async def _publish(self, work: Report, ctx: Context) -> tuple[Publication, tuple[Stored, ...]]:
        """Ask until a person agrees to a tree, or to none; who leaves files out is asked about the rest."""
        tree, digest = work.files, work.digest
        while True:
            try:
                return await ctx.call(fs_publish, out=work.out, base=FOLDER, tree=tree, digest=digest), tree
            except ReviewRejectedError as error:
                edit = edit_in(error.got)
                if edit is None:
                    raise
                tree = _edited(tree, edit)
                digest = tree_digest(tree)

    async def _commit(self, work: Report, tree: tuple[Stored, ...], ctx: Context) -> str:
        """The patches that were written are on the branch, if a person agrees; say which it is, or why not."""
        made = (item for item in tree if item.name.startswith(f"{FOLDER}{PATCHES}/"))
        patches = tuple(item for item in made if not is_by_model(item.name))  # those a person applies, who read them
        if not (patches and work.base):
            return f"{work.branch} was not made: there is no {'patch' if work.base else 'commit to build on'}"
        try:
            done = await ctx.call(git_branch_commit, branch=work.branch, base=work.base, patches=patches)
        except ReviewRejectedError:
            return f"{work.branch} was not made: a person said no"
        except (RefusedError, ToolFailedError) as error:
            return f"{work.branch} was not made: {error.message}"
        return f"{done.branch} holds the patches as commit {done.commit[:12]}"

    async def _compare(self, work: Report, ctx: Context) -> None:
        sections = [await ctx.state.at(ref, str) for ref in work.sections]
        shared = blob_digest("\n".join(item.value or "" for item in sections).encode())
        drafted = next((item.digest for item in work.files if item.name == FOLDER + REPORT), "")
        if shared != drafted:
            raise RefusedError("the report is not what its sections say", where=REPORT, expected=shared, got=drafted)


def _edited(tree: tuple[Stored, ...], edit: Edit) -> tuple[Stored, ...]:
    """Give the tree that is asked about next, which is always smaller: so the asking ends."""
    names = {FOLDER + name for name in edit.leave_out}
    known = {item.name for item in tree} - {FOLDER + REPORT}
    if not names or not names <= known:
        raise ReviewRejectedError(
            "the report is rejected: the edit leaves out what cannot be left out",
            where="leave_out",
            expected=f"files of the tree, but not {REPORT}",
            got=", ".join(edit.leave_out),
        )
    return without(tree, names)
