"""The security analyst: what an attacker or an outage would use."""

from remit import Context, Role
from remit.teams.audit.message import Analysis, Assignment
from remit.teams.audit.model.reach import reachability
from remit.teams.audit.roles.analysis import analysis, looked_again
from remit.teams.audit.tools.scanner import py_ast


class AnalystSecurity(Role[Assignment, Analysis]):
    """Says what is unsafe in each file; it has nothing to say about the tree as a whole."""

    pool = 1

    async def handle(self, work: Assignment, ctx: Context) -> Analysis:
        """Give the findings of an assignment, or what a second look at doubted findings shows."""
        match work.kind:
            case "doubts":
                return await looked_again(work, ctx, skill="security")
            case "tree":
                return Analysis(skill="security", kind="tree", requirement=ctx.goal_hash)
            case "files":
                scan = await ctx.call(py_ast, view="security", files=work.files)
                return await analysis(work, ctx, skill="security", scans=[scan], ask=reachability)
