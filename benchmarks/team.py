"""The team that is measured: one trivial role, a run of three recorded steps, and one role that asks another."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from remit import Context, Message, Role, Team, tool

FAULTS: Final = "REMIT_BENCH_FAULTS"
"""Names the file in which a crash run says which of its steps begins, and in which process."""
BLOCKED_S: Final = 60.0


class Task(Message, tag="bench.task.v1"):
    """About 500 bytes as JSON."""

    id: int
    run: str
    kind: str
    body: str
    meta: dict[str, str]


class Result(Message, tag="bench.result.v1"):
    """What a trivial handler makes of a task."""

    id: int
    run: str
    ok: bool
    size: int
    pid: int


class Run(Message, tag="bench.run.v1"):
    """A run of three steps, by name."""

    name: str


class Done(Message, tag="bench.done.v1"):
    """What came of three steps."""

    value: str


class Talk(Message, tag="bench.talk.v1"):
    """How often the other role is to be asked, one question after the other."""

    first: int
    asks: int


class Heard(Message, tag="bench.heard.v1"):
    """How many questions were answered."""

    answers: int


def task(number: int, run: str = "w1") -> Task:
    """Give a task of the measured size."""
    return Task(number, run, "task", "x" * 400, {"trace": f"{number:032x}", "agent": "bench"})


def result(work: Task) -> Result:
    """Give what the trivial handlers reply."""
    return Result(work.id, work.run, ok=True, size=len(work.body), pid=os.getpid())


@tool(risk="low", effect="pure")
async def tool_step(plan: str) -> str:
    """Make 200 bytes of a plan."""
    return f"tool:{len(plan)}:" + "t" * 200


class Trivial(Role[Task, Result]):
    """W1: touches nothing."""

    pool = 1

    async def handle(self, work: Task, ctx: Context) -> Result:
        """Reply at once."""
        return result(work)


class Thinker(Role[Run, Done]):
    """W2: each result is persisted before the next step begins."""

    pool = 1

    async def handle(self, work: Run, ctx: Context) -> Done:
        """Plan, call a tool through the gateway, reflect."""
        plan = await ctx.step("plan", lambda: f"plan:{work.name}:" + "p" * 200, returns=str)
        made = await ctx.call(tool_step, plan=plan)
        return Done(await ctx.step("reflect", lambda: f"done:{len(made)}", returns=str))


class Asker(Role[Talk, Heard]):
    """W3, the one who asks."""

    pool = 1

    async def handle(self, work: Talk, ctx: Context) -> Heard:
        """Ask the other role again and again; every ask is a durable child step."""
        for number in range(work.first, work.first + work.asks):
            answer = await ctx.ask(Answerer, task(number, "w3"))
            assert answer.id == number, answer  # noqa: S101  # a wrong answer must not be counted
        return Heard(work.asks)


class Answerer(Role[Task, Result]):
    """W3, the one who answers, in a process of its own."""

    isolated = True
    pool = 1

    async def handle(self, work: Task, ctx: Context) -> Result:
        """Reply at once."""
        return result(work)


class Fragile(Role[Run, Done]):
    """W4: its process is killed inside the second step."""

    async def handle(self, work: Run, ctx: Context) -> Done:
        """Plan, block in the second step the first time, reflect."""
        plan = await ctx.step("plan", lambda: said(work.name, "plan"), returns=str)
        made = await ctx.step("tool", lambda: blocked(work.name, plan), returns=str)
        return Done(await ctx.step("reflect", lambda: said(work.name, f"reflect {len(made)}"), returns=str))


def said(run: str, step: str) -> str:
    """The step is in the file of faults."""
    with Path(os.environ[FAULTS]).open("a") as file:
        file.write(f"{run} {step.split(maxsplit=1)[0]} {os.getpid()} {time.time()}\n")
    return f"{step}:{run}"


def blocked(run: str, plan: str) -> str:
    """Block the whole process if this is the first attempt: it ends by SIGKILL only."""
    before = Path(os.environ[FAULTS]).read_text()
    said(run, "tool")
    if f"{run} tool " not in before:
        time.sleep(BLOCKED_S)  # noqa: TID251  # the hang is what is measured
    return f"tool:{len(plan)}"


team = Team(
    "bench",
    roles=[Trivial, Thinker, Asker, Answerer, Fragile],
    tools=[tool_step],
    workflows={"task": Trivial, "run": Thinker, "talk": Asker, "crash": Fragile},
)
