"""A run goes back to a checkpoint: what was done since is undone, newest first, once, and the state is as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit import (
    Context,
    Message,
    Plan,
    RefusedError,
    Role,
    Team,
    Undo,
    policy,
    rollback,
    state,
    step,
    tool,
    undo,
    when,
)
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


async def test_a_supervisor_that_dies_at_any_stage_of_a_rollback_is_followed_by_one_that_goes_on(
    housing: Housing,
) -> None:
    for kind in ("rollback_begun", "rollback_listed", "work.canceller.*.*", "rolled_back"):
        WORLD["done"].clear()
        async with housing(team) as house:
            run = await house.submit("trip", Trip(to="Rome"))
            await house.appears(f"remit.run.{run}._.{kind if kind.startswith('work') else f'*.{kind}'}")
            await house.restart()
            finished = await house.outcome(run)

        said = [line.rsplit(" ", 1)[0] for line in WORLD["done"]]
        assert finished.outcome == "complete", (kind, finished)
        assert said.count(f"cancel {run}.car.0") == said.count(f"cancel {run}.hotel.0") == 1, kind
        assert said.index(f"cancel {run}.car.0") < said.index(f"cancel {run}.hotel.0")
        assert len(said) == 7


class Flaky(Role[Undo, Undone]):
    """Undoes nothing: it fails, or says that it did not."""

    async def handle(self, work: Undo, ctx: Context) -> Undone:
        if work.reply_as(Booked).what == "Oslo":
            raise OSError("the desk is closed")
        return Undone(undone=False)


FLAKY = undo(Flaky, when("undo.undone"))
flaky = Team(
    "trips",
    roles=[Flights, Hotels, Cars, Canceller, Flaky],
    tools=[book, cancel],
    state=[state("booked", str, policy=policy.reject())],
    workflows={
        "trip": Plan(
            step("flight", Flights, checkpoint="flown"),
            step("hotel", Hotels, after="flight", undo=BACK),
            step("car", Cars, after="hotel", undo=FLAKY),
            rollbacks=[rollback("start", when=when("car.ok", "eq", value=False))],
        )
    },
)


async def test_a_compensation_that_fails_is_said_and_the_others_are_done_and_the_run_ends(housing: Housing) -> None:
    WORLD["done"].clear()

    async with housing(flaky) as house:
        run = await house.submit("trip", Trip(to="Oslo"))
        finished = await house.outcome(run)
        done = await house.last(run, "rolled_back", RolledBack)

    assert (finished.outcome, finished.stopped_by) == ("failed", "rollback to start")
    assert finished.error is not None
    assert finished.error.code == "RM-409"
    assert finished.error.got == "step car: flaky failed to undo it: RM-511 OSError: the desk is closed"
    assert done.undone == ("hotel",)
    assert [(item.what, item.is_failure) for item in done.lasting] == [
        ("book of step flight", False),
        ("step car", True),
    ]


async def test_a_compensation_whose_own_check_says_no_counts_as_failed(housing: Housing) -> None:
    async with housing(flaky) as house:
        finished = await house.run("trip", Trip(to="Rome"))

    assert finished.error is not None
    assert finished.error.got == "step car: flaky replied, and undone is False, wanted eq True"


class Careful(Role[Trip, Booked]):
    """Marks a checkpoint in the middle of its work, and books after it."""

    async def handle(self, work: Trip, ctx: Context) -> Booked:
        before = await ctx.call(book, what="before")
        await ctx.checkpoint("half")
        after = await ctx.call(book, what="after")
        return Booked(what=f"{before} {after}", ok=ctx.rolled_back is not None)


class Judge(Role[Booked, Booked]):
    async def handle(self, work: Booked, ctx: Context) -> Booked:
        return work


careful = Team(
    "trips",
    roles=[Careful, Judge, Canceller],
    tools=[book, cancel],
    workflows={
        "trip": Plan(
            step("book", Careful, undo=BACK),
            step("judge", Judge, after="book"),
            rollbacks=[rollback("half", when=when("judge.ok", "eq", value=False))],
        )
    },
)


async def test_a_step_that_marked_the_checkpoint_goes_on_behind_it(housing: Housing) -> None:
    WORLD["done"].clear()

    async with housing(careful) as house:
        run = await house.submit("trip", Trip(to="Rome"))
        finished = await house.outcome(run)

    said = [line.rsplit(" ", 1)[0] for line in WORLD["done"]]
    assert finished.outcome == "complete", finished
    assert said == ["book before", "book after", f"cancel {run}.book.2", "book after"]


class Breaker(Role[Booked, Booked]):
    """Books, and then fails for good, the first time."""

    async def handle(self, work: Booked, ctx: Context) -> Booked:
        await ctx.call(book, what="car")
        if ctx.rolled_back is None:
            raise RefusedError("no car fits")
        return work


breaking = Team(
    "trips",
    roles=[Flights, Breaker, Canceller],
    tools=[book, cancel],
    state=[state("booked", str, policy=policy.reject())],
    workflows={
        "trip": Plan(
            step("flight", Flights, undo=BACK, checkpoint="flown"),
            step("car", Breaker, after="flight", undo=BACK),
            rollbacks=[rollback("start", failed="car")],
        )
    },
)


async def test_a_step_that_failed_is_undone_and_its_failure_takes_the_run_back(housing: Housing) -> None:
    WORLD["done"].clear()

    async with housing(breaking) as house:
        run = await house.submit("trip", Trip(to="Rome"))
        finished = await house.outcome(run)
        done = await house.last(run, "rolled_back", RolledBack)

    said = [line.rsplit(" ", 1)[0] for line in WORLD["done"]]
    assert finished.outcome == "complete", finished
    assert done.undone == ("car", "flight")
    assert done.restored == ("booked",)
    assert said[2:4] == [f"cancel {run}.car.0", f"cancel {run}.flight.0"]
    assert said[4:] == ["book flight", "book car"]
