"""What is wrong with the pools of a team is told with its line, what was expected, and the fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remit import scaffold
from remit.check.target import check

if TYPE_CHECKING:
    from pathlib import Path

    from remit.contracts.errors import Fault


@pytest.fixture
def team(tmp_path: Path) -> Path:
    scaffold.write(tmp_path / "support")
    return tmp_path / "support"


def sized(team: Path, pool: str, *, capacity: str = "") -> list[Fault]:
    """Give what is wrong when the clerk has this pool."""
    file = team / "team.py"
    text = file.read_text().replace("from remit import", "from remit import Pool\nfrom remit import", 1)
    head, clerk, body = text.partition("class Clerk(")
    line, rest = body.split("\n", 1)
    file.write_text(f"{head}{clerk}{line}\n    pool = {pool}\n{rest}")
    with (team / "charter.yaml").open("a") as charter:
        charter.write(capacity)
    return [mistake.fault() for mistake in check(str(team)).mistakes]


@pytest.mark.parametrize(
    "pool",
    [
        "3",
        "0",
        "Pool(min=0, max=8)",
        'Pool(min=2, max=2, slots=8, num_cpus=0.5, memory_mb=512, resources={"gpu_a": 1})',
    ],
)
def test_a_pool_that_holds_together_is_sound(team: Path, pool: str) -> None:
    assert sized(team, pool) == []


@pytest.mark.parametrize(
    ("pool", "argument", "expected", "got"),
    [
        ("-1", "pool", "a whole number from 0, or a Pool", "-1"),
        ("'many'", "pool", "a whole number from 0, or a Pool", "'many'"),
        ("17", "pool", "at most pool_max=16", "17"),
        ("Pool(min=5, max=4)", "min", "at most max=4", "5"),
        ("Pool(min=1, max=4, start=5)", "start", "1 to 4", "5"),
        ("Pool(min=-1, max=4)", "min", "a whole number from 0", "-1"),
        ("Pool(max=0, min=0)", "max", "a whole number from 1", "0"),
        ("Pool(max=1.5)", "max", "a whole number from 1", "1.5"),
        ("Pool(slots=100)", "slots", "at most 32, as the charter's limits.slots says", "100"),
        ("Pool(wait_s=0)", "wait_s", "a number above 0", "0"),
        ("Pool(idle_s=float('inf'))", "idle_s", "a number above 0", "inf"),
        ("Pool(resources={'CPU': 1})", "resources['CPU']", "the argument num_cpus", "CPU=1"),
        (
            "Pool(resources={'role_clerk': 1})",
            "resources['role_clerk']",
            "a name that Remit does not use itself",
            "role_clerk",
        ),
    ],
)
def test_a_pool_that_does_not_is_told_with_its_argument(
    team: Path, pool: str, argument: str, expected: str, got: str
) -> None:
    (fault,) = sized(team, pool)

    assert (fault.code, fault.expected, fault.got) == ("RM-206", expected, got)
    assert fault.message == f"the pool of role clerk does not hold together: {argument}"
    assert fault.where.split(":")[0].endswith("team.py")
    assert fault.fix == f"change {argument} in `pool` of Clerk"


@pytest.mark.parametrize(
    ("capacity", "message", "fix"),
    [
        ("hosts: 2", "the pools need more hosts than the charter allows", "capacity: hosts: 3"),
        (
            "running: 10",
            "capacity.running_per_workflow is more than capacity.running",
            "lower running_per_workflow, or raise running",
        ),
    ],
)
def test_a_capacity_that_contradicts_itself_is_told(team: Path, capacity: str, message: str, fix: str) -> None:
    (fault,) = sized(team, "Pool(min=3, max=5)", capacity=f"\ncapacity:\n  {capacity}\n")

    assert (fault.code, fault.message, fault.fix) == ("RM-205", message, fix)
    assert "charter.yaml:" in fault.where
