"""A person at a terminal beside a whole team in one process, and the team that is steered."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from remit import Context, Message, Plan, Role, Team, Undo, places, policy, state, step, tool, undo, when
from remit.bus.identity import Credentials, NKey
from remit.cli.main import main
from tests.integration.durable.house import House

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from remit.contracts.message import Json


class Ticket(Message, frozen=True, kw_only=True, tag="desk.ticket.v1"):
    text: str
    number: int = 0


class Answer(Message, frozen=True, kw_only=True, tag="desk.answer.v1"):
    text: str
    number: int = 0


class Undone(Message, frozen=True, kw_only=True, tag="desk.undone.v1"):
    undone: bool


class Outside:
    """The world, and how it behaves."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.closing = asyncio.Event()
        self.breaks = 0
        self.read = 0


WORLD = Outside()


@tool(risk="low", effect="idempotent")
async def send(to: str, *, intent: str) -> str:
    """Send something, once for every intent; it takes until the test says so."""
    WORLD.began.set()
    await WORLD.may_end.wait()
    WORLD.sent[f"send {to} {intent}"] += 1
    return intent


@tool(risk="low", effect="idempotent")
async def recall(what: str, *, intent: str) -> str:
    """Take back what was sent, once."""
    WORLD.sent[f"recall {what}"] += 1
    return intent


class Reader(Role[Ticket, Answer]):
    async def handle(self, work: Ticket, ctx: Context) -> Answer:
        WORLD.read += 1
        await ctx.state.propose("note", work.text, base=0)
        return Answer(text=work.text, number=work.number + 1)


class Sender(Role[Answer, Answer]):
    async def handle(self, work: Answer, ctx: Context) -> Answer:
        await ctx.call(send, to="first")
        seen = await ctx.state.read("note", str)
        await ctx.state.propose("note", f"{work.text} sent", base=seen.version)
        return work


class Closer(Role[Answer, Answer]):
    async def handle(self, work: Answer, ctx: Context) -> Answer:
        if WORLD.breaks:
            WORLD.breaks -= 1
            raise OSError("it is broken")
        WORLD.closing.set()
        if work.text == "ask":
            await ctx.review("may it end?", {"text": work.text})
        seen = await ctx.state.read("note", str)
        return Answer(text=f"{work.text}: {seen.value}", number=work.number)


class Recaller(Role[Undo, Undone]):
    async def handle(self, work: Undo, ctx: Context) -> Undone:
        for effect in work.effects:
            await ctx.call(recall, what=effect.intent)
        return Undone(undone=True)


team = Team(
    "desk",
    roles=[Reader, Sender, Closer, Recaller],
    tools=[send, recall],
    state=[state("note", str, policy=policy.reject())],
    workflows={
        "ticket": Plan(
            step("read", Reader, checkpoint="read"),
            step("send", Sender, after="read", undo=undo(Recaller, when("undo.undone")), checkpoint="sent"),
            step("close", Closer, after="send"),
        ),
        "bare": Plan(step("read", Reader, checkpoint="read"), step("send", Sender, after="read")),
    },
)


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def data(self) -> Json:
        return json.loads(self.out)


class Desk(House):
    """The house of the team, and a person who types."""

    capture: pytest.CaptureFixture[str]
    world: Outside

    async def remit(self, *words: str) -> Said:
        """Type a command."""
        code = await asyncio.to_thread(main, list(words))
        return Said(code, *self.capture.readouterr())

    async def begun(self, text: str = "hello", workflow: str = "ticket") -> str:
        """Give a run whose call is under way."""
        run = await self.submit(workflow, Ticket(text=text))
        await self.world.began.wait()
        return run

    async def asking(self) -> tuple[str, str]:
        """Give a run that has sent, and waits for a person; and the review."""
        self.world.may_end.set()
        run = await self.submit("ticket", Ticket(text="ask"))
        return run, (await self.opened(run)).review_id


def place(url: str, folder: Path) -> places.Place:
    """The current deployment is the one at this address; it asks nobody who they are."""
    file = folder / "any.creds"
    Credentials(jwt="x", seed=NKey.generate().seed).write(file)
    made = places.Place(
        name="desk",
        url=url,
        team="desk",
        team_ref="desk",
        data=str(folder / "data"),
        publisher=str(file),
        operator=str(file),
    )
    places.write(made)
    return made
