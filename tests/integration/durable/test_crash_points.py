"""A run outlives the death of its host, its supervisor or its gateway, whatever the instant of it.

CI tries a part of the points; `CRASH_POINTS=all pytest -s tests/integration/durable/test_crash_points.py` every one,
and prints how many there are and how long it took to go on.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

import pytest

from tests.integration.durable.crash_points import KINDS
from tests.integration.durable.crash_run import crash

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.integration.durable.crash_points import Kind, Point
    from tests.integration.durable.crash_report import Found

ALL: Final = os.environ.get("CRASH_POINTS") == "all"
EVERY: Final[dict[Kind, int]] = {"host": 4, "supervisor": 6, "gateway": 4}
"""CI tries each so manieth point."""
AT_ONCE: Final = 4
RESUME_S: Final[dict[Kind, float]] = {"host": 3.0, "supervisor": 5.0, "gateway": 3.0}
"""Within which 95 of 100 runs go on."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_run_outlives_the_death_of_one_process_at_any_instant(kind: Kind, tmp_path: Path) -> None:
    undisturbed = await crash(tmp_path / "undisturbed", kind, None)
    assert undisturbed.wrong == []
    points = undisturbed.seen if ALL else undisturbed.seen[:: EVERY[kind]]

    results = await _at_every(tmp_path, kind, points)

    reached = [result for result in results if result.was_reached]
    resumed = sorted(result.resumed_s for result in reached if result.resumed_s is not None)
    print(_told(kind, len(points), reached, resumed))  # noqa: T201  # what is to be shown
    assert {str(result.point): result.wrong for result in results if result.wrong} == {}
    assert len(reached) >= 0.95 * len(points), [str(item.point) for item in results if not item.was_reached]
    assert _quantile(resumed, 0.95) <= RESUME_S[kind], resumed


async def _at_every(folder: Path, kind: Kind, points: Sequence[Point]) -> list[Found]:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(index: int, point: Point) -> Found:
        async with slots:
            return await crash(folder / str(index), kind, point)

    return await asyncio.gather(*(one(index, point) for index, point in enumerate(points)))


def _quantile(values: Sequence[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)]


def _told(kind: Kind, points: int, reached: Sequence[Found], resumed: Sequence[float]) -> str:
    wrong = [line for result in reached for line in result.wrong]
    lost = sum(line.startswith("lost") for line in wrong)
    repeated = sum(line.startswith("repeated") for line in wrong)
    return (
        f"\n{kind}: {points} points, {len(reached)} reached, {lost} lost, {repeated} repeated effects, "
        f"{len(wrong)} wrong in all; went on after p50 {_quantile(resumed, 0.5):.2f} s, "
        f"p95 {_quantile(resumed, 0.95):.2f} s, at most {resumed[-1]:.2f} s ({len(resumed)} that had to)"
    )
