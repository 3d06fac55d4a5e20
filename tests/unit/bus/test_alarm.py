"""Alarms ring at their time, in their order, in their context; cancelled ones do not."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from functools import partial

from remit.bus.alarm import SLOT_S, Alarms

_who: ContextVar[str] = ContextVar("who")


async def test_alarms_ring_in_the_order_of_their_times_and_never_early() -> None:
    loop = asyncio.get_running_loop()
    alarms, rung, last = Alarms(), list[tuple[float, float]](), asyncio.Event()

    def ring(delay_s: float, began: float) -> None:
        rung.append((delay_s, loop.time() - began))

    for delay_s in (0.06, 0.0, 0.03):
        alarms.after(delay_s, partial(ring, delay_s, loop.time()))
    alarms.after(0.09, last.set)
    await asyncio.wait_for(last.wait(), 5)

    assert [delay_s for delay_s, _ in rung] == [0.0, 0.03, 0.06]
    assert all(passed_s >= delay_s - 0.002 for delay_s, passed_s in rung)  # a loop's clock counts milliseconds


async def test_a_cancelled_alarm_does_not_ring() -> None:
    alarms, rung, last = Alarms(), list[str](), asyncio.Event()

    cancelled = alarms.after(0.01, lambda: rung.append("cancelled"))
    alarms.after(0.01, lambda: rung.append("kept"))
    cancelled.cancel()
    alarms.after(0.02, last.set)
    await asyncio.wait_for(last.wait(), 5)

    assert rung == ["kept"]


async def test_an_earlier_alarm_that_is_set_later_rings_first() -> None:
    alarms, rung, last = Alarms(), list[str](), asyncio.Event()

    alarms.after(10 * SLOT_S, lambda: rung.append("late"))
    alarms.after(10 * SLOT_S, last.set)
    alarms.after(2 * SLOT_S, lambda: rung.append("soon"))
    await asyncio.wait_for(last.wait(), 5)

    assert rung == ["soon", "late"]


async def test_an_alarm_rings_in_the_context_in_which_it_was_set() -> None:
    alarms, heard = Alarms(), asyncio.Queue[str]()

    async def set_alarm(name: str) -> None:
        _who.set(name)
        alarms.after(0.01, lambda: heard.put_nowait(_who.get()))

    await asyncio.gather(set_alarm("one"), set_alarm("two"))

    assert {await asyncio.wait_for(heard.get(), 5) for _ in range(2)} == {"one", "two"}


async def test_an_alarm_that_raises_keeps_no_other_from_ringing() -> None:
    alarms, rung, told = Alarms(), asyncio.Event(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, facts: told.append(facts["exception"]))

    def fail() -> None:
        raise ZeroDivisionError

    alarms.after(0.01, fail)
    alarms.after(0.01, rung.set)
    await asyncio.wait_for(rung.wait(), 5)

    assert isinstance(told[0], ZeroDivisionError)
