"""The history analyst: says what changes often, who knows it, and what is forgotten in it."""

from remit import Context, Role
from remit.teams.audit.message import Analysis, Assignment
from remit.teams.audit.roles.analysis import analysis, looked_again
from remit.teams.audit.tools.git_blame import git_blame
from remit.teams.audit.tools.git_log import git_log


class AnalystHistory(Role[Assignment, Analysis]):
    """Says what changes often, who knows it, and what is forgotten in it."""

    pool = 1

    async def handle(self, work: Assignment, ctx: Context) -> Analysis:
        """Give the findings of an assignment, or what a second look at doubted findings shows."""
        if work.kind == "doubts":
            return await looked_again(work, ctx, skill="history")
        past, waiting = await ctx.gather(ctx.call(git_log, files=work.files), ctx.call(git_blame, files=work.files))
        return await analysis(work, ctx, skill="history", scans=[past, waiting])
