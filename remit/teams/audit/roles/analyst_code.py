"""The code analyst: complexity, size, syntax and ruff's defects in a shard; duplicates, cycles and gaps in the tree."""

from remit import Context, Role
from remit.teams.audit.message import Analysis, Assignment
from remit.teams.audit.model.risk import risks
from remit.teams.audit.roles.analysis import analysis, looked_again
from remit.teams.audit.tools.ruff import proc_ruff
from remit.teams.audit.tools.scanner import py_ast


class AnalystCode(Role[Assignment, Analysis]):
    """Says where the code is hard to change."""

    pool = 2

    async def handle(self, work: Assignment, ctx: Context) -> Analysis:
        """Give the findings of an assignment, or what a second look at doubted findings shows."""
        match work.kind:
            case "doubts":
                return await looked_again(work, ctx, skill="code")
            case "tree":
                scan = await ctx.call(py_ast, view="structure", files=work.files)
                return await analysis(work, ctx, skill="structure", scans=[scan])
            case "files":
                scan, linted = await ctx.gather(
                    ctx.call(py_ast, view="code", files=work.files), ctx.call(proc_ruff, files=work.files)
                )
                return await analysis(work, ctx, skill="code", scans=[scan, linted], ask=risks)
