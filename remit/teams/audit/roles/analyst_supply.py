"""The supply analyst: says what the repository depends on, and whether it says so itself."""

from remit import Context, Role
from remit.teams.audit.message import Analysis, Assignment
from remit.teams.audit.roles.analysis import analysis, looked_again
from remit.teams.audit.tools.scanner import py_ast


class AnalystSupply(Role[Assignment, Analysis]):
    """Says what the repository depends on, and whether it says so itself."""

    pool = 1

    async def handle(self, work: Assignment, ctx: Context) -> Analysis:
        """Give the findings of an assignment, or what a second look at doubted findings shows."""
        if work.kind == "doubts":
            return await looked_again(work, ctx, skill="supply")
        scan = await ctx.call(py_ast, view="supply", files=work.files)
        return await analysis(work, ctx, skill="supply", scans=[scan])
