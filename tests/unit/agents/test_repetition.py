"""A handler that turns in a circle is stopped, and not tried again."""

from __future__ import annotations

import pytest

from remit import AskFailedError, Context, Message, Role, tool
from remit.agents.fault import is_retryable
from remit.contracts.errors import DeadlineError, RepetitionError
from remit.testing import Bench


class Job(Message, tag="probe.job.v1"):
    times: int
    differently: bool = False


@tool(risk="low", effect="pure")
def look(what: str) -> str:
    """Look at something."""
    return what


class Looker(Role[Job, Job]):
    async def handle(self, work: Job, ctx: Context) -> Job:
        for number in range(work.times):
            await ctx.call(look, what=str(number) if work.differently else "same")
        return work


class Asker(Role[Job, Job]):
    async def handle(self, work: Job, ctx: Context) -> Job:
        for _number in range(work.times):
            await ctx.ask(Looker, Job(times=0))
        return work


async def test_the_same_call_may_be_made_a_few_times() -> None:
    bench = Bench()
    bench.real(look)

    await bench.run(Looker, Job(times=5))
    await bench.replay()

    assert len(bench.calls) == 5


async def test_the_same_call_again_and_again_stops_the_step() -> None:
    bench = Bench()
    bench.real(look)

    with pytest.raises(RepetitionError) as raised:
        await bench.run(Looker, Job(times=99))

    assert (raised.value.code, raised.value.where) == ("RM-405", "looker position 5")
    assert len(bench.calls) == 5
    assert not is_retryable(raised.value)


async def test_other_arguments_make_another_call() -> None:
    bench = Bench()
    bench.real(look)

    await bench.run(Looker, Job(times=50, differently=True))

    assert len(bench.calls) == 50


async def test_the_same_ask_again_and_again_stops_the_step() -> None:
    bench = Bench()
    bench.play(Looker)

    with pytest.raises(RepetitionError):
        await bench.run(Asker, Job(times=6))

    assert len(bench.asked) == 5


def test_a_step_that_was_late_may_be_tried_again() -> None:
    assert is_retryable(DeadlineError("late"))
    assert is_retryable(AskFailedError("failed"))
