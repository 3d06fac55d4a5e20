"""A tool that runs a long program, which tells the effect server at the port in EFFECTS_PORT that it still does."""

import os
import sys
from pathlib import Path

from remit import Context, Message, Role, Team, ToolScope, run_program, tool


class Job(Message, tag="mill.job.v1"):
    number: int


class Done(Message, tag="mill.done.v1"):
    number: int


@tool(risk="low", effect="at_most_once")
def grind(number: int, *, scope: ToolScope) -> str:
    """Run the program; it does not end by itself."""
    program = Path(__file__).with_name("program.py")
    command = (sys.executable, str(program), os.environ["EFFECTS_PORT"], scope.run_id, "first")
    return run_program(command, folder=scope.scratch).output.decode()


class Miller(Role[Job, Done]):
    async def handle(self, work: Job, ctx: Context) -> Done:
        await ctx.call(grind, number=work.number)
        return Done(number=work.number)


team = Team("mill", roles=[Miller], tools=[grind], workflows={"job": Miller})
