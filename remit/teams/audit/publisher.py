"""The publisher: writes the report where it was asked for, after a person agreed to exactly these files."""

from remit import Context, RefusedError, Role
from remit.teams.audit.editor import FOLDER, REPORT
from remit.teams.audit.message import Published, Report
from remit.teams.audit.publication import fs_publish
from remit.teams.audit.source import blob_digest


class Publisher(Role[Report, Published]):
    """Asks for one call. The charter puts a review before it, so the step waits here until somebody decided."""

    pool = 1

    async def handle(self, work: Report, ctx: Context) -> Published:
        """Give where the report stands.

        Raises:
            RefusedError: the report is not what the shared state holds; nobody was asked and nothing was written.
            ReviewRejectedError: a person said no; nothing was written.
        """
        await self._compare(work, ctx)
        done = await ctx.call(fs_publish, out=work.out, base=FOLDER, tree=work.files, digest=work.digest)
        return Published(
            folder=done.folder,
            report=f"{done.folder}/report.md",
            files=len(work.files),
            verdict=work.verdict,
            score=work.score,
            fix_first=work.fix_first,
            conflicts=work.conflicts,
            kept=work.kept,
            rejected=work.rejected,
            patches=work.patches,
            way=work.way,
            since=work.since,
            explain=work.explain,
        )

    async def _compare(self, work: Report, ctx: Context) -> None:
        sections = [await ctx.state.at(ref, str) for ref in work.sections]
        shared = blob_digest("\n".join(item.value or "" for item in sections).encode())
        drafted = next((item.digest for item in work.files if item.name == FOLDER + REPORT), "")
        if shared != drafted:
            raise RefusedError("the report is not what its sections say", where=REPORT, expected=shared, got=drafted)
