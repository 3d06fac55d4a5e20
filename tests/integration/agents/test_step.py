"""One step on one agent: when it claims, what it publishes, what it leaves alone."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Never

import msgspec
import pytest

from remit.agents.role import Role
from remit.bus import subject
from remit.contracts.blob import INLINE_LIMIT_BYTES
from remit.contracts.errors import LeaseLostError
from remit.contracts.message import encode
from remit.contracts.step import ClaimRefused, StepCompleted
from tests.integration.agents.world import Done, Job, World, soon

if TYPE_CHECKING:
    from remit.agents.context import Context


async def echo(work: Job, _ctx: Context) -> Done:
    return Done(text=work.text)


async def hang(_work: Job, _ctx: Context) -> Never:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_handler_that_is_done_at_once_completes_without_a_lease(world: World) -> None:
    await world.supervisor()
    host = await world.serve(echo)

    await world.dispatch()
    where, outcome = await world.outcome()

    agent = host.describe().agents[0].agent
    assert where == f"remit.run.r1.s.{agent}.1.completed"
    assert isinstance(outcome, StepCompleted)
    assert bytes(outcome.reply) == b'{"type":"probe.done.v1","text":"hello"}'
    await world.settled()
    assert world.claims.empty()
    assert host.describe().busy == 0


async def test_a_handler_that_takes_longer_is_leased_and_its_delivery_settled_while_it_works(world: World) -> None:
    await world.supervisor()
    go_on = asyncio.Event()

    async def wait(_work: Job, _ctx: Context) -> Done:
        await go_on.wait()
        return Done()

    host = await world.serve(wait)

    await world.dispatch()
    agent, claim = await soon(world.claims.get())
    await world.settled()

    assert (claim.run_id, claim.step, claim.epoch) == ("r1", "s", 1)
    assert agent == host.describe().agents[0].agent
    assert (host.describe().busy, world.has_outcome) == (1, False)
    go_on.set()
    assert (await world.completed()).contract == "probe.done.v1"
    assert world.claims.empty()


async def test_the_first_operation_claims_and_the_operations_after_it_do_not(world: World) -> None:
    await world.supervisor()

    async def think(_work: Job, ctx: Context) -> Done:
        first = await ctx.step("first", lambda: "a", returns=str)
        both = await ctx.gather(ctx.step("left", lambda: "b", returns=str), ctx.step("right", lambda: "c", returns=str))
        return Done(text=first + "".join(both))

    await world.serve(think)

    await world.dispatch()

    assert bytes((await world.completed()).reply) == b'{"type":"probe.done.v1","text":"abc"}'
    assert world.claims.qsize() == 1
    assert [(item.position, bytes(item.value or b"")) for item in world.recorded["r1", "s"]] == [
        ("0", b'"a"'),
        ("1-0-0", b'"b"'),
        ("1-1-0", b'"c"'),
    ]


async def test_another_agent_goes_on_without_repeating_what_was_recorded(world: World) -> None:
    await world.supervisor()
    done: list[str] = []

    async def work(_work: Job, ctx: Context) -> Done:
        await ctx.step("pay", lambda: done.append("pay"), returns=type(None))
        if ctx.epoch == 1:
            await asyncio.Event().wait()
        await ctx.step("tell", lambda: done.append("tell"), returns=type(None))
        return Done()

    first = await world.serve(work)
    await world.dispatch()
    await soon(world.claims.get())
    await world.until(lambda: world.recorded["r1", "s"])
    await first.drain(deadline_s=0)

    await world.serve(work)
    await world.dispatch(epoch=2)

    assert (await world.completed()).epoch == 2
    assert done == ["pay", "tell"]


@pytest.mark.parametrize("reason", ["superseded", "finished", "unknown"])
async def test_an_old_epoch_is_settled_without_running(world: World, reason: str) -> None:
    ran: list[str] = []

    async def handle(work: Job, _ctx: Context) -> Done:
        ran.append(work.text)
        return Done()

    await world.supervisor(lambda _claim, _agent: ClaimRefused(reason=reason))  # type: ignore[arg-type]
    await world.serve(handle)

    await world.dispatch(epoch=2)
    await soon(world.claims.get())
    await world.settled()

    assert (ran, world.has_outcome) == ([], False)


async def test_a_step_that_another_agent_holds_is_left_alone(world: World) -> None:
    await world.supervisor(lambda _claim, _agent: ClaimRefused(reason="held"))
    host = await world.serve(hang)

    await world.dispatch()
    await soon(world.claims.get())
    await world.until(lambda: not host.describe().busy)

    assert await world.pool() == (1, 0)
    assert not world.has_outcome


async def test_a_handler_that_outlives_its_lease_says_nothing(world: World) -> None:
    caught: list[BaseException] = []

    async def stubborn(_work: Job, ctx: Context) -> Done:
        try:
            await ctx.step("first", lambda: 1, returns=int)
        except LeaseLostError as error:
            caught.append(error)
        return Done(text="all the same")

    await world.supervisor(lambda _claim, _agent: ClaimRefused(reason="superseded"))
    host = await world.serve(stubborn)

    await world.dispatch()
    await world.settled()
    await world.until(lambda: not host.describe().busy)

    assert [type(error) for error in caught] == [LeaseLostError]
    assert not world.has_outcome


async def test_a_second_delivery_asks_before_it_runs(world: World) -> None:
    await world.supervisor()
    await world.dispatch()
    await world.give_back_once()

    await world.serve(echo)

    await world.completed()
    assert world.claims.qsize() == 1


async def test_a_claim_is_repeated_until_the_supervisor_is_back(world: World) -> None:
    async def handle(_work: Job, ctx: Context) -> Done:
        return Done(text=await ctx.step("now", lambda: "later", returns=str))

    host = await world.serve(handle)
    await world.dispatch()
    await world.until(lambda: host.describe().busy)

    await world.supervisor()

    assert b"later" in bytes((await world.completed()).reply)
    await world.settled()


async def test_only_as_many_steps_are_pulled_as_there_are_free_slots(world: World) -> None:
    await world.supervisor()
    running: list[str] = []
    go_on = asyncio.Event()

    async def wait(_work: Job, ctx: Context) -> Done:
        running.append(ctx.run_id)
        await go_on.wait()
        return Done()

    await world.serve(wait, slots=2)
    for number in range(1, 6):
        await world.dispatch(f"r{number}")
    for _ in range(2):
        await soon(world.claims.get())
    await world.settled(waiting=3)

    assert len(running) == 2
    go_on.set()
    assert len([await world.completed() for _ in range(5)]) == 5
    assert len(set(running)) == 5


# --- what goes wrong in a handler is data ----------------------------------------------------------


class Clumsy(Role[Job, Done]):
    name = "probe"

    async def handle(self, work: Job, ctx: Context) -> Done:
        match work.text:
            case "value":
                raise ValueError("no customer")
            case "exit":
                sys.exit(3)
            case "cancelled":
                raise asyncio.CancelledError
            case "superseded":
                raise LeaseLostError("I say so")
            case "too large":
                return Done(text="x" * INLINE_LIMIT_BYTES)
            case "wrong":
                return work  # type: ignore[return-value]
            case "timeout":
                async with asyncio.timeout(0):
                    await asyncio.sleep(1)
            case "gather":
                await ctx.gather(ctx.step("bad", lambda: 1 // 0))
        return Done()


@pytest.mark.parametrize(
    ("text", "code", "message", "is_retryable"),
    [
        ("value", "RM-511", "ValueError: no customer", True),
        ("exit", "RM-511", "SystemExit: 3", True),
        ("cancelled", "RM-511", "CancelledError", True),
        ("superseded", "RM-511", "LeaseLostError: RM-301 I say so", True),
        ("too large", "RM-212", "the reply of role probe is too large for a message", False),
        ("wrong", "RM-511", "role probe replied with something else than its contract", False),
        ("timeout", "RM-511", "TimeoutError", True),
        ("gather", "RM-511", "ZeroDivisionError: integer division or modulo by zero", True),
    ],
)
async def test_what_a_handler_does_wrong_is_an_outcome(
    world: World, text: str, code: str, *, message: str, is_retryable: bool
) -> None:
    await world.supervisor()
    await world.host(world.spec(Clumsy))

    await world.dispatch(body=msgspec.Raw(encode(Job(text=text))))
    failed = await world.failed()

    assert (failed.error.code, failed.error.message, failed.retryable) == (code, message, is_retryable)
    assert f"{__file__.rsplit('/', 1)[1]}:" in failed.error.where
    await world.settled()


async def test_a_body_that_breaks_the_contract_is_an_outcome(world: World) -> None:
    await world.supervisor()
    await world.serve(echo)

    await world.dispatch(body=msgspec.Raw(b'{"text":7}'))
    failed = await world.failed()

    assert (failed.error.code, failed.error.where, failed.retryable) == ("RM-201", "$.text", False)


async def test_a_handler_that_hangs_is_stopped_at_the_deadline(world: World) -> None:
    await world.supervisor()
    await world.serve(hang)

    await world.dispatch(deadline_at=datetime.now(UTC) + timedelta(seconds=0.2))
    failed = await world.failed()

    assert (failed.error.code, failed.retryable) == ("RM-401", True)
    await world.settled()


async def test_a_handler_is_stopped_at_its_roles_limit_even_when_the_run_has_time_left(world: World) -> None:
    await world.supervisor()
    await world.serve(hang)

    await world.dispatch(limit_s=0.2)
    failed = await world.failed()

    assert (failed.error.code, failed.retryable) == ("RM-401", True)
    assert "at most 0.2 s" in failed.error.expected


async def test_a_step_whose_deadline_has_passed_fails_without_a_claim(world: World) -> None:
    await world.supervisor()
    await world.serve(hang)

    await world.dispatch(deadline_at=datetime.now(UTC) - timedelta(seconds=1))

    assert (await world.failed()).error.code == "RM-401"


async def test_the_deadline_ends_a_claim_that_nobody_answers(world: World) -> None:
    await world.serve(hang)

    await world.dispatch(deadline_at=datetime.now(UTC) + timedelta(seconds=0.5))

    assert (await world.failed()).error.code == "RM-401"
    await world.settled()


async def test_a_dispatch_that_cannot_be_read_is_never_handed_out_again(world: World) -> None:
    await world.supervisor()
    host = await world.serve(echo)

    await world.journal.append(subject.work("r1", role="probe", step="s", epoch=1), b'{"run_id":1}')
    await world.settled()

    assert (host.describe().busy, world.has_outcome) == (0, False)
