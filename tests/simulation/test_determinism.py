"""The same seed is the same world, in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.simulation.simulation import simulate

ROOT: Final = Path(__file__).parents[2]
SEEDS: Final = range(40)
_PRINT: Final = """
import sys
from tests.simulation.simulation import simulate
first, last = map(int, sys.argv[1:])
print("\\n".join(simulate(seed).digest for seed in range(first, last)))
"""


def digests_of_a_process(hash_seed: str) -> list[str]:
    """Give what another interpreter sees, whose sets and hashes have another order."""
    command = [sys.executable, "-c", _PRINT, str(SEEDS.start), str(SEEDS.stop)]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def test_the_same_seed_gives_the_same_trace_in_every_process() -> None:
    here = [simulate(seed).digest for seed in SEEDS]

    assert digests_of_a_process("1") == here
    assert digests_of_a_process("2") == here


def test_another_seed_gives_another_trace() -> None:
    digests = {simulate(seed).digest for seed in SEEDS}

    assert len(digests) == len(SEEDS)
