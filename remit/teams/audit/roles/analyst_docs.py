"""The documentation analyst: says whether what is written about the code is so."""

from remit import Context, Role
from remit.teams.audit.message import Analysis, Assignment
from remit.teams.audit.roles.analysis import analysis, looked_again
from remit.teams.audit.tools.scanner import py_ast


class AnalystDocs(Role[Assignment, Analysis]):
    """Says whether what is written about the code is so."""

    pool = 1

    async def handle(self, work: Assignment, ctx: Context) -> Analysis:
        """Give the findings of an assignment, or what a second look at doubted findings shows."""
        if work.kind == "doubts":
            return await looked_again(work, ctx, skill="docs")
        scan = await ctx.call(py_ast, view="docs", files=work.files)
        return await analysis(work, ctx, skill="docs", scans=[scan])
