"""Timers ring once and in order, and keep nothing of runs that are over."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from remit.supervisor.timers import Timers

FAR = datetime.now(UTC) + timedelta(days=30)


async def test_what_was_set_rings_and_what_was_dropped_does_not_after_any_number_of_others() -> None:
    rung: list[str] = []
    done = asyncio.Event()

    def ring(name: str) -> None:
        rung.append(name)
        if name == "last":
            done.set()

    timers = Timers(ring)
    soon = datetime.now(UTC) + timedelta(milliseconds=300)
    timers.set("first", soon)
    timers.set("dropped", soon)
    for number in range(2_000):
        timers.set(f"r{number}", FAR)
        timers.drop(f"r{number}")
    timers.drop("dropped")
    timers.set("last", soon + timedelta(milliseconds=1))
    async with asyncio.timeout(10):
        await done.wait()
    timers.stop()

    assert rung == ["first", "last"]


async def test_runs_that_are_over_leave_nothing_behind() -> None:
    timers = Timers(lambda _name: None)

    for number in range(10_000):
        timers.set(f"r{number}", FAR)
        timers.drop(f"r{number}")

    assert len(timers) == 0
    assert len(timers._heap) < 1_000
    timers.stop()
