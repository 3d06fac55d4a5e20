"""The four workloads, driven from outside as a client drives them; figures as numbers, nothing printed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Final

import msgspec
import stage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from typing import TypeAlias

    Drive: TypeAlias = Callable[[int], Awaitable[object]]

RUN: Final = "w4-1"
_KILL_AFTER_S: Final = 0.1
_POLL_S: Final = 0.005
_STEP_S: Final = 30.0
"""By then the step that is to be killed must have begun."""


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """What one drive gave."""

    count: int
    in_flight: int
    per_s: float
    p50_ms: float
    p99_ms: float


class Crash(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run whose process was killed in its second step."""

    seconds: float
    """From the SIGKILL to the outcome at the client."""
    repeated: int
    """Completed steps that were executed again."""
    steps: tuple[str, ...]
    """The steps in the order in which they began, in whichever process."""


async def drive(act: Drive, *, count: int, in_flight: int, most_s: float, weight: int = 1) -> Rate:
    """Act `count` times with so many in flight; none is begun after `most_s`. One act counts `weight` times."""
    numbers, taken_s, began = iter(range(1, count + 1)), list[float](), time.perf_counter()

    async def lane() -> None:
        for number in numbers:
            at = time.perf_counter()
            await act(number)
            taken_s.append(time.perf_counter() - at)
            if time.perf_counter() - began > most_s:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(lane())
    per_s = len(taken_s) * weight / (time.perf_counter() - began)
    return Rate(
        count=len(taken_s),
        in_flight=in_flight,
        per_s=round(per_s, 1),
        p50_ms=quantile_ms(taken_s, 0.5),
        p99_ms=quantile_ms(taken_s, 0.99),
    )


def quantile_ms(taken_s: list[float], share: float) -> float:
    """Give a quantile in milliseconds."""
    ordered = sorted(taken_s)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 3)


async def measure(client: stage.Client, *, scale: float = 1.0) -> dict[str, Rate]:
    """Give W1 to W3, each with one and with many in flight; each is warmed up first."""
    found: dict[str, Rate] = {}
    for name, act, many, weight in (
        ("W1", client.task, 64, 1),
        ("W2", client.run, 32, 1),
        ("W3", client.talk, 64, stage.ASKS),
    ):
        await drive(act, count=100, in_flight=16, most_s=2 * scale)
        found[f"{name} @1"] = await drive(act, count=300, in_flight=1, most_s=3 * scale, weight=weight)
        found[f"{name} @{many}"] = await drive(act, count=4000, in_flight=many, most_s=5 * scale, weight=weight)
    return found


async def crash(client: stage.Client, faults: Path) -> Crash:
    """Kill the process of a run inside its second step, and await the outcome."""
    outcome = asyncio.create_task(client.crash(RUN))
    async with asyncio.timeout(_STEP_S):
        while not (victims := [pid for step, pid in begun(faults) if step == "tool"]):  # noqa: ASYNC110  # another process writes it
            await asyncio.sleep(_POLL_S)
    await asyncio.sleep(_KILL_AFTER_S)
    os.kill(victims[0], signal.SIGKILL)
    killed_at = time.perf_counter()
    await outcome
    seconds = round(time.perf_counter() - killed_at, 3)
    steps = tuple(step for step, _ in begun(faults))
    # The step in flight is begun again, that is the point; whatever was completed is not.
    repeated = sum(steps.count(step) - 1 for step in ("plan", "reflect"))
    return Crash(seconds=seconds, repeated=repeated, steps=steps)


def begun(faults: Path) -> list[tuple[str, int]]:
    """Give the steps of the crash run that began, each with its process."""
    rows = [line.split() for line in faults.read_text().splitlines()]
    return [(step, int(pid)) for run, step, pid, _at in rows if run == RUN]
