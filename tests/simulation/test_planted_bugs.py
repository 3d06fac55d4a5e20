"""A simulation that finds nothing may be blind: bugs that are put in on purpose are found within these seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.simulation.planted import compensated_twice, epoch_not_checked, settled_before_appended
from tests.simulation.simulation import Outcome, simulate

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

WITHIN: Final = 500


def first_found(planted: AbstractContextManager[None]) -> Outcome | None:
    """Give the first seed that shows something."""
    with planted:
        found = next((found for found in map(simulate, range(WITHIN)) if found.wrong), None)
    print(f"first found by seed {found.seed}" if found is not None else "found by no seed")  # noqa: T201  # of interest
    return found


@pytest.mark.timeout(300)
def test_an_ack_before_the_append_is_found_by_a_task_that_is_lost() -> None:
    found = first_found(settled_before_appended())

    assert found is not None
    assert any("no_task_is_lost" in text for text in found.wrong), found.wrong
    assert not simulate(found.seed).wrong, "it was not the planted bug"


@pytest.mark.timeout(300)
def test_an_epoch_that_nobody_checks_is_found_by_a_step_that_somebody_else_ended() -> None:
    found = first_found(epoch_not_checked())

    assert found is not None
    assert not simulate(found.seed).wrong, "it was not the planted bug"


@pytest.mark.timeout(300)
def test_a_compensation_that_is_done_twice_is_found_by_what_it_did_outside() -> None:
    found = first_found(compensated_twice())

    assert found is not None
    assert any("is_undone_once" in text for text in found.wrong), found.wrong
    assert not simulate(found.seed).wrong, "it was not the planted bug"
