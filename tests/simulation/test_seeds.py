"""Thousands of worlds, each decided by its number: whatever goes wrong in them, what was promised holds."""

from __future__ import annotations

import multiprocessing
import os
import site
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Final

import pytest

from tests.page import ROOT
from tests.simulation.simulation import Outcome, simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

SEEDS: Final = int(os.environ.get("SEEDS", "1000"))
FIRST: Final = int(os.environ.get("FIRST_SEED", "0"))
ONE: Final = os.environ.get("SIMULATION_SEED", "")
CHUNK: Final = 100
SHOWN: Final = 400
"""Last lines of a seed that is looked into; with `SIMULATION_LINES=all` every one."""


def told(outcome: Outcome) -> str:
    """Say what is wrong with a seed, and how to see it again."""
    wrong = "\n  ".join(outcome.wrong)
    return (
        f"seed {outcome.seed}, with {', '.join(outcome.plan.faults) or 'no faults'}:\n  {wrong}\n"
        f"again: SIMULATION_SEED={outcome.seed} pytest tests/simulation/test_seeds.py"
    )


@pytest.fixture(scope="module")
def workers() -> Iterator[ProcessPoolExecutor]:
    """Processes in which seeds run: a world is decided by its number, wherever it runs."""
    count = min(os.cpu_count() or 1, 8)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, spawn, initializer=site.addsitedir, initargs=(str(ROOT),)) as pool:
        yield pool


@pytest.mark.skipif(bool(ONE), reason="one seed is looked into")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, CHUNK))
def test_whatever_goes_wrong_every_promise_holds(first: int, workers: ProcessPoolExecutor) -> None:
    faults: Counter[str] = Counter()
    for outcome in workers.map(simulate, range(first, min(first + CHUNK, FIRST + SEEDS)), chunksize=5):
        faults.update(outcome.faults)

        assert not outcome.wrong, told(outcome)
    assert faults, "nothing went wrong anywhere: there is nothing to bear"


@pytest.mark.skipif(not ONE, reason="SIMULATION_SEED names one seed to look into")
def test_one_seed() -> None:
    outcome = simulate(int(ONE), keeps_lines=True)

    lines = outcome.lines if os.environ.get("SIMULATION_LINES") else outcome.lines[-SHOWN:]
    print("\n".join(lines))  # noqa: T201  # this is what was asked for
    assert not outcome.wrong, told(outcome)
