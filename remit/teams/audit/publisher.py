"""The publisher: writes the report where it was asked for, after a person agreed to exactly these files."""

from remit import Context, Role
from remit.teams.audit.editor import FOLDER
from remit.teams.audit.message import Published, Report
from remit.teams.audit.publication import fs_publish


class Publisher(Role[Report, Published]):
    """Asks for one call. The charter puts a review before it, so the step waits here until somebody decided."""

    pool = 1

    async def handle(self, work: Report, ctx: Context) -> Published:
        """Give where the report stands.

        Raises:
            ReviewRejectedError: a person said no; nothing was written.
        """
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
        )
