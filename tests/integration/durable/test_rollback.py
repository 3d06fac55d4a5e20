"""A run goes back to a checkpoint: what was done since is undone, newest first, once, and the state is as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit import Context, Message, Plan, Role, Team, Undo, policy, rollback, state, step, tool, undo, when
from remit.contracts.rollback import RolledBack

if TYPE_CHECKING:
    from tests.integration.durable.conftest import Housing

WORLD: dict[str, list[str]] = {"done": []}


class Trip(Message, frozen=True, kw_only=True, tag="trip.trip.v1"):
    to: str
    is_full: bool = False


class Booked(Message, frozen=True, kw_only=True, tag="trip.booked.v1"):
    what: str
    ok: bool = True


class Undone(Message, frozen=True, kw_only=True, tag="trip.undone.v1"):
    undone: bool


@tool(risk="low", effect="idempotent")
async def book(what: str, *, intent: str) -> str:
    """Book something once."""
    if f"book {what} {intent}" not in WORLD["done"]:
        WORLD["done"].append(f"book {what} {intent}")
    return intent


@tool(risk="low", effect="idempotent")
async def cancel(booking: str, *, intent: str) -> bool:
    """Take a booking back, once."""
    if f"cancel {booking} {intent}" not in WORLD["done"]:
        WORLD["done"].append(f"cancel {booking} {intent}")
    return True


class Flights(Role[Trip, Booked]):
    async def handle(self, work: Trip, ctx: Context) -> Booked:
        await ctx.call(book, what="flight")
        await ctx.state.propose("booked", "flight", base=0)
        return Booked(what=work.to)


class Hotels(Role[Booked, Booked]):
    async def handle(self, work: Booked, ctx: Context) -> Booked:
        await ctx.call(book, what="hotel")
        seen = await ctx.state.read("booked", str)
        await ctx.state.propose("booked", "flight, hotel", base=seen.version)
        return Booked(what=work.what)


class Cars(Role[Booked, Booked]):
    async def handle(self, work: Booked, ctx: Context) -> Booked:
        await ctx.call(book, what="car")
        return Booked(what=work.what, ok=ctx.rolled_back is not None)


class Canceller(Role[Undo, Undone]):
    async def handle(self, work: Undo, ctx: Context) -> Undone:
        for effect in work.effects:
            await ctx.call(cancel, booking=effect.intent)
        return Undone(undone=bool(work.effects))


BACK = undo(Canceller, when("undo.undone"))
team = Team(
    "trips",
    roles=[Flights, Hotels, Cars, Canceller],
    tools=[book, cancel],
    state=[state("booked", str, policy=policy.reject())],
    workflows={
        "trip": Plan(
            step("flight", Flights, undo=BACK, checkpoint="flown"),
            step("hotel", Hotels, after="flight", undo=BACK),
            step("car", Cars, after="hotel", undo=BACK),
            rollbacks=[rollback("flown", when=when("car.ok", "eq", value=False))],
        )
    },
)


async def test_a_declared_condition_takes_a_run_back_and_it_goes_on_from_the_checkpoint(housing: Housing) -> None:
    WORLD["done"].clear()

    async with housing(team) as house:
        run = await house.submit("trip", Trip(to="Rome"))
        finished = await house.outcome(run)
        done = await house.last(run, "rolled_back", RolledBack)

    said = [line.rsplit(" ", 1)[0] for line in WORLD["done"]]
    assert finished.outcome == "complete", finished
    assert done.undone == ("car", "hotel")
    assert done.restored == ("booked",)
    assert said == [
        "book flight",
        "book hotel",
        "book car",
        f"cancel {run}.car.0",
        f"cancel {run}.hotel.0",
        "book hotel",
        "book car",
    ]
