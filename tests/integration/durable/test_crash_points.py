"""A run outlives the death of its host, its supervisor or its gateway, whatever the instant of it.

CI tries a part of the points; `CRASH_POINTS=all pytest -s tests/integration/durable/test_crash_points.py` every one,
and prints how many there are and how long it took to go on.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

import pytest

from remit.bus import group_commit
from tests.integration.durable.crash_points import KINDS
from tests.integration.durable.crash_process import kill
from tests.integration.durable.crash_run import crash
from tests.integration.durable.crash_team import EFFECTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from tests.integration.durable.crash_points import Kind, Point
    from tests.integration.durable.crash_report import Found

ALL: Final = os.environ.get("CRASH_POINTS") == "all"
EVERY: Final[dict[Kind, int]] = {"host": 5, "supervisor": 9, "gateway": 5}
"""CI tries each so manieth point."""
PROCESSES: Final = 2 if not ALL else 100
"""How many points are tried with a process that is killed; at most each seventh."""
OWN: Final[dict[Kind, tuple[str, ...]]] = {"host": ("effect",), "supervisor": ("effect", "act"), "gateway": ("act",)}
"""Effects that happen in other processes, which cannot kill this one at that instant."""
RESUME_S: Final[dict[Kind, float]] = {"host": 3.0, "supervisor": 5.0, "gateway": 3.0}
"""Within which 95 of 100 runs go on."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_run_outlives_the_death_of_one_process_at_any_instant(kind: Kind, tmp_path: Path) -> None:
    undisturbed = await crash(tmp_path / "undisturbed", kind, None)
    assert undisturbed.wrong == []
    points = undisturbed.seen if ALL else undisturbed.seen[:: EVERY[kind]]

    results = await _at_every(points, lambda place, point: crash(tmp_path / place, kind, point), at_once=4)

    reached = [result for result in results if result.was_reached]
    resumed = sorted(result.resumed_s for result in reached if result.resumed_s is not None)
    print(_told(kind, len(points), reached, resumed))  # noqa: T201  # what is to be shown
    assert {str(result.point): result.wrong for result in results if result.wrong} == {}
    assert len(reached) >= _enough(0.95, points), [str(item.point) for item in results if not item.was_reached]
    assert _quantile(resumed, 0.95 if ALL else 0.5) <= RESUME_S[kind], resumed  # of a few, 95% is the slowest


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
async def test_the_same_holds_where_every_write_is_synced_and_appends_are_gathered(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever two branches of the run append at once is a batch; a death may be between two of its messages."""
    monkeypatch.setattr(group_commit, "FEW", 0)
    undisturbed = await crash(tmp_path / "undisturbed", kind, None, is_durable=True)
    assert undisturbed.wrong == []
    points = undisturbed.seen if ALL else undisturbed.seen[1 :: 3 * EVERY[kind]]

    results = await _at_every(points, lambda at, point: crash(tmp_path / at, kind, point, is_durable=True), at_once=4)

    reached = [result for result in results if result.was_reached]
    assert {str(result.point): result.wrong for result in results if result.wrong} == {}
    assert len(reached) >= _enough(0.9, points), [str(item.point) for item in results if not item.was_reached]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_run_outlives_a_process_that_is_killed_and_started_again(kind: Kind, tmp_path: Path) -> None:
    """The start of the new process is in the time to go on; Ray, which would take its time as well, is not."""
    undisturbed = await crash(tmp_path / "undisturbed", kind, None)
    own = [point for point in undisturbed.seen if not point.label.startswith(OWN[kind])]
    points = own[3 :: max(7, len(own) // PROCESSES + 1)]

    results = await _at_every(points, lambda place, point: kill(tmp_path / place, kind, point), at_once=2)

    reached = [result for result in results if result.was_reached]
    resumed = sorted(result.resumed_s for result in reached if result.resumed_s is not None)
    print("killed", _told(kind, len(points), reached, resumed))  # noqa: T201  # what is to be shown
    assert {str(result.point): result.wrong for result in results if result.wrong} == {}
    assert len(reached) >= len(points) - 1, [str(item.point) for item in results if not item.was_reached]


async def _at_every(
    points: Sequence[Point], one: Callable[[str, Point], Awaitable[Found]], *, at_once: int
) -> list[Found]:
    slots = asyncio.Semaphore(at_once)

    async def in_turn(index: int, point: Point) -> Found:
        async with slots:
            return await one(str(index), point)

    return await asyncio.gather(*(in_turn(index, point) for index, point in enumerate(points)))


def _enough(share: float, points: Sequence[object]) -> float:
    """Give how many points are to be reached: of few, one may lie where this pass did not come by."""
    return min(share * len(points), len(points) - 1)


def _quantile(values: Sequence[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)]


def _told(kind: Kind, points: int, reached: Sequence[Found], resumed: Sequence[float]) -> str:
    wrong = [line for result in reached for line in result.wrong]
    lost = sum(line.startswith("lost") for line in wrong)
    repeated = sum(line.startswith("repeated") for line in wrong)
    calls = sum(result.calls > len(EFFECTS) for result in reached)
    acts = sum(result.acts_again > 0 for result in reached)
    return (
        f"\n{kind}: {points} points, {len(reached)} reached, {lost} lost, {repeated} repeated effects, "
        f"{len(wrong)} wrong in all; a call was made again in {calls}, a function ran again in {acts}; "
        f"went on after p50 {_quantile(resumed, 0.5):.2f} s, p95 {_quantile(resumed, 0.95):.2f} s, "
        f"at most {resumed[-1]:.2f} s ({len(resumed)} that had to)"
    )
