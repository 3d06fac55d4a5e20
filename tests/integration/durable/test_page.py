"""The team of docs/durable-runs.md goes back as the page says."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING

import pytest

from remit import Team
from remit.contracts.rollback import RolledBack
from tests.page import Page

if TYPE_CHECKING:
    from tests.integration.durable.conftest import Housing

PAGE = Page("docs/durable-runs.md")


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The file of the page, imported."""
    (block,) = PAGE.blocks("python")
    module = types.ModuleType("trips")
    monkeypatch.setitem(sys.modules, "trips", module)
    code = compile("\n" * (block.line - 1) + block.text, PAGE.name, "exec")
    exec(code, vars(module))  # noqa: S102  # our own page, which says that it runs
    return module


async def test_the_trip_of_the_page_goes_back_once_and_books_another_hotel(
    housing: Housing, trips: types.ModuleType
) -> None:
    team = trips.team
    assert isinstance(team, Team)

    async with housing(team) as house:
        run = await house.submit("trip", trips.Trip(to="Rome"))
        finished = await house.outcome(run)
        done = await house.last(run, "rolled_back", RolledBack)
        kinds = await house.kinds(run)

    assert (finished.outcome, b"another hotel" in bytes(finished.result)) == ("complete", True)
    assert (done.undone, done.lasting) == (("hotel",), ())
    assert [kind for kind in kinds if kind.startswith("roll")] == ["rollback_begun", "rollback_listed", "rolled_back"]
