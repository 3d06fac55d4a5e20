"""Thousands of worlds, each decided by its number: whatever goes wrong in them, what was promised holds."""

from __future__ import annotations

import os
from collections import Counter
from typing import Final

import pytest

from tests.simulation.simulation import Outcome, simulate

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


@pytest.mark.skipif(bool(ONE), reason="one seed is looked into")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, CHUNK))
def test_whatever_goes_wrong_every_promise_holds(first: int) -> None:
    faults: Counter[str] = Counter()
    for seed in range(first, min(first + CHUNK, FIRST + SEEDS)):
        outcome = simulate(seed)
        faults.update(outcome.faults)

        assert not outcome.wrong, told(outcome)
    assert faults, "nothing went wrong anywhere: there is nothing to bear"


@pytest.mark.skipif(not ONE, reason="SIMULATION_SEED names one seed to look into")
def test_one_seed() -> None:
    outcome = simulate(int(ONE), keeps_lines=True)

    lines = outcome.lines if os.environ.get("SIMULATION_LINES") else outcome.lines[-SHOWN:]
    print("\n".join(lines))  # noqa: T201  # this is what was asked for
    assert not outcome.wrong, told(outcome)
