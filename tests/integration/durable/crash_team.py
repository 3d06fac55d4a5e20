"""The team whose every instant is a crash point, and the world outside of it, which counts what was done to it.

One run has seven kinds of operation (step, state, checkpoint, ask, call, gather, review) in a plan of three nodes: one
that fans out, the shards, and their join. The world is a folder of the file system: it outlives every process of ours,
knows nothing of the journal, and cannot be told anything by who is dead.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from remit import Context, Message, Plan, Role, Team, policy, state, step, tool

if TYPE_CHECKING:
    from collections.abc import Callable

Side = Literal["before", "after"]

HOOKS: dict[str, Callable[[str, Side], bool]] = {}
"""By place: told at either side of every effect; says whether the process in which that runs is dead by now."""


class Outside:
    """What was done to one world. A line is written at once, whole and at the end, whoever writes it."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._folder = Path(place)

    def note(self, book: str, line: str) -> None:
        with (self._folder / book).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def lines(self, book: str) -> list[str]:
        path = self._folder / book
        return path.read_text("utf-8").splitlines() if path.exists() else []

    def act(self, name: str) -> str:
        """A function of a handler runs."""
        self._pass(f"act {name}", "before")
        self.note("acts", name)
        self._pass(f"act {name}", "after")
        return name

    def effect(self, what: str, intent: str, *, knows_keys: bool) -> str:
        """Something happens to the world: each time, or once for every key if the receiver knows keys."""
        label = f"effect {what} {intent.partition('.')[2]}"
        self._pass(label, "before")
        self.note("calls", f"{what} {intent}")
        if not (knows_keys and f"{what} {intent}" in self.lines("effects")):
            self.note("effects", f"{what} {intent}")
        self._pass(label, "after")
        return intent

    def effects(self) -> Counter[str]:
        """Give how often each thing happened, by what it is and the intent behind it."""
        return Counter(self.lines("effects"))

    def _pass(self, label: str, side: Side) -> None:
        hook = HOOKS.get(self._place)
        if hook is not None and hook(label, side):
            raise asyncio.CancelledError  # who is dead does nothing


class Order(Message, frozen=True, kw_only=True, tag="crash.order.v1"):
    place: str
    names: tuple[str, ...]


class Part(Message, frozen=True, kw_only=True, tag="crash.part.v1"):
    place: str
    name: str


class Parts(Message, frozen=True, kw_only=True, tag="crash.parts.v1"):
    parts: tuple[Part, ...]


class Price(Message, frozen=True, kw_only=True, tag="crash.price.v1"):
    price: str


class Made(Message, frozen=True, kw_only=True, tag="crash.made.v1"):
    name: str
    price: str


class Assembly(Message, frozen=True, kw_only=True, tag="crash.assembly.v1"):
    task: Order
    make: tuple[Made, ...]


class Shipped(Message, frozen=True, kw_only=True, tag="crash.shipped.v1"):
    text: str
    count: int


@tool(risk="low", effect="idempotent")
async def order(place: str, what: str, *, intent: str) -> str:
    """Order something at a receiver that knows the keys of what it did."""
    return Outside(place).effect(f"order {what}", intent, knows_keys=True)


async def _posted(place: str, what: str, *, intent: str) -> str | None:
    return intent if f"post {what} {intent}" in Outside(place).lines("effects") else None


@tool(risk="low", effect="lookup", lookup=_posted)
async def post(place: str, what: str, *, intent: str) -> str:
    """Post something; whoever asks twice has two of it, but can ask whether it was posted."""
    return Outside(place).effect(f"post {what}", intent, knows_keys=False)


class Cutter(Role[Order, Parts]):
    async def handle(self, work: Order, ctx: Context) -> Parts:
        await ctx.step("think", lambda: Outside(work.place).act("think"))
        await ctx.state.propose("count", 0, base=0)
        await ctx.checkpoint("cut")
        return Parts(parts=tuple(Part(place=work.place, name=name) for name in work.names))


class Maker(Role[Part, Made]):
    async def handle(self, work: Part, ctx: Context) -> Made:
        answer = await ctx.ask(Clerk, work)
        await ctx.gather(
            ctx.call(order, place=work.place, what=work.name),
            ctx.call(post, place=work.place, what=work.name),
            ctx.step("weigh", lambda: Outside(work.place).act(f"weigh {work.name}")),
        )
        await ctx.state.update("count", int, lambda count: (count or 0) + 1)
        return Made(name=work.name, price=answer.price)


class Clerk(Role[Part, Price]):
    async def handle(self, work: Part, ctx: Context) -> Price:
        return Price(price=await ctx.step("price", lambda: Outside(work.place).act(f"price {work.name}")))


class Shipper(Role[Assembly, Shipped]):
    async def handle(self, work: Assembly, ctx: Context) -> Shipped:
        decided = await ctx.review("may it go?", [item.price for item in work.make])
        seen = await ctx.state.read("count", int)
        await ctx.call(post, place=work.task.place, what="all")
        return Shipped(text=f"{decided.by} {', '.join(item.price for item in work.make)}", count=seen.value or 0)


NAMES = ("wheel", "frame")
ACTS = {"think", *(f"{act} {name}" for act in ("weigh", "price") for name in NAMES)}
EFFECTS = {"post all", *(f"{verb} {name}" for verb in ("order", "post") for name in NAMES)}
REPLY = Shipped(text=f"ann {', '.join(f'price {name}' for name in NAMES)}", count=len(NAMES))

team = Team(
    "crash",
    roles=[Cutter, Maker, Clerk, Shipper],
    tools=[order, post],
    state=[state("count", int, policy=policy.counter())],
    workflows={
        "bike": Plan(
            step("cut", Cutter),
            step("make", Maker, after="cut", each="parts"),
            step("ship", Shipper, after=("make", "task")),
        )
    },
)
