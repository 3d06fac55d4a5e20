"""Tools whose effects another process counts, and a gateway process that can be killed."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import structlog

from remit.bus.connection import Bus
from remit.contracts.charter import Charter, CompletionCheck, ReviewPath, Rollback, RunLimits, ToolCharter
from remit.contracts.errors import ToolNotDoneError
from remit.contracts.ids import GatewayId
from remit.contracts.team import TeamSpec
from remit.tools.gateway import Gateway
from remit.tools.program import run_program
from remit.tools.tool import Tool, ToolScope, tool

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST = "127.0.0.1"


async def say(port: int, verb: str, key: str = "") -> str:
    """Give the effect process's answer."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(f"{verb} {key}\n".encode())
        return (await reader.readline()).decode().strip()
    finally:
        writer.close()


def tools(port: int) -> dict[str, Tool[object]]:  # noqa: C901  # many small functions, not a long one
    """Give one tool of every class of effect, and tools that misbehave."""

    async def act(what: str) -> str:
        await say(port, "arrive", what)
        await say(port, "hit", what)
        await say(port, "depart", what)
        return what.upper()

    @tool(risk="low", effect="pure")
    async def look(what: str, times: int = 1) -> str:
        return await act(what) * times

    @tool(risk="medium", effect="idempotent")
    async def charge(what: str, *, intent: str) -> str:
        # The receiver knows the key: a second request with it changes nothing.
        await say(port, "arrive", what)
        if await say(port, "count", f"{what}@{intent}") == "0":
            await say(port, "hit", f"{what}@{intent}")
        await say(port, "depart", what)
        return what.upper()

    async def was_mailed(what: str) -> str | None:
        await say(port, "lookup", what)
        return what.upper() if await say(port, "count", what) != "0" else None

    @tool(risk="medium", effect="lookup", lookup=was_mailed)
    async def mail(what: str) -> str:
        return await act(what)

    @tool(risk="medium", effect="at_most_once")
    async def fax(what: str) -> str:
        return await act(what)

    @tool(risk="high", effect="at_most_once")
    async def wire(what: str) -> str:
        return await act(what)

    @tool(risk="low", effect="at_most_once", name="fax.broken")
    async def fax_broken(what: str) -> str:
        await say(port, "hit", what)
        raise ConnectionError("line " + what)

    @tool(risk="low", effect="at_most_once", name="fax.unplugged")
    async def fax_unplugged(what: str) -> str:
        raise ToolNotDoneError("no line")

    @tool(risk="low", effect="lookup", name="mail.cut", lookup=was_mailed)
    async def mail_cut(what: str) -> str:
        await say(port, "hit", what)
        raise ConnectionError("cut after sending")

    @tool(risk="low", effect="pure", name="big.text")
    def big_text(size: int) -> str:
        return "x" * size

    @tool(risk="low", effect="pure", name="wrong.type")
    def wrong_type(what: str) -> list[int]:
        return cast("list[int]", [1, what])

    @tool(risk="low", effect="pure", name="slow.look")
    async def slow_look(what: str) -> str:
        await asyncio.Event().wait()
        return what

    @tool(risk="low", effect="at_most_once", name="run.program")
    def run_it(code: str, *, scope: ToolScope) -> str:
        return run_program([sys.executable, "-c", code], folder=scope.scratch).output.decode()

    @tool(risk="low", effect="pure", name="who.am_i")
    def who_am_i(source: str, *, scope: ToolScope) -> tuple[str, str, str, str]:
        (scope.scratch / "seen").write_text(scope.run_id)
        return scope.role, scope.intent, str(scope.scratch), scope.source(source)

    every = (
        look, charge, mail, fax, wire, fax_broken, fax_unplugged, mail_cut, big_text, wrong_type, slow_look, who_am_i,
        run_it,
    )  # fmt: skip
    return {item.name: item for item in cast("Sequence[Tool[object]]", every)}


def team(port: int) -> TeamSpec:
    """Give a team that has these tools; `wire` needs a person, `slow.look` gets no time."""
    bodies = tools(port)
    rules = {
        name: ToolCharter(
            risk=item.risk,
            review="person" if name == "wire" else "none",
            timeout_s=0.05 if name == "slow.look" else 30.0,
        )
        for name, item in bodies.items()
    }
    charter = Charter(
        charter=1,
        team="workshop",
        owner="ops@example.org",
        purpose="Prove that no effect happens twice.",
        roles={},
        tools=rules,
        data_sources={},
        limits=RunLimits(wall_clock_s=60.0, steps=10),
        completion=(CompletionCheck(name="done", check="steps_completed"),),
        review_path=ReviewPath(reviewers=("ops",)),
        rollback=Rollback(procedure="none needed", tested=True),
    )
    specs = {name: item.spec() for name, item in bodies.items()}
    return TeamSpec(name="workshop", roles={}, workflows={}, tools=specs, state=(), charter=charter)


async def serve_gateway(url: str, name: str, port: int, data_dir: Path) -> None:
    """A gateway serves until its process is killed."""
    journal_bus, answer_bus = await Bus.connect(url, name=name), await Bus.connect(url, name=f"{name}-answer")
    await Gateway.start(
        journal_bus,
        answer_bus,
        team=team(port),
        tools=tools(port),
        name=GatewayId(name),
        data_dir=data_dir,
        on_bug=lambda _: os._exit(70),
    )
    await answer_bus.flush()
    print("ready", flush=True)  # noqa: T201  # how its parent learns that it listens
    await asyncio.Event().wait()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    url, name, port, data_dir = sys.argv[1:]
    asyncio.run(serve_gateway(url, name, int(port), Path(data_dir)))
