"""Upcasts that lead nowhere are told with their line before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remit.check.target import check
from tests.unit.check.test_check import Team

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def team(tmp_path: Path) -> Team:
    made = Team(tmp_path / "support")
    text = (made.folder / "team.py").read_text()
    line = next(line for line in text.splitlines() if 'tag="support.ticket.v1"' in line)
    made.change("team.py", line, line.replace("ticket.v1", "ticket.v3"))
    return made


def declare(team: Team, upcasts: str) -> None:
    path = team.folder / "team.py"
    head, _, tail = path.read_text().rpartition(")")
    path.write_text(f"{head.rstrip().removesuffix(',')},\n    upcast={{{upcasts}}},\n){tail}")


def test_a_chain_that_ends_at_a_message_of_a_role_is_sound(team: Team) -> None:
    declare(team, '"support.ticket.v1": dict, "support.ticket.v2": dict')

    assert check(str(team.folder)).mistakes == ()


@pytest.mark.parametrize(
    ("upcasts", "code", "message", "fix"),
    [
        (
            '"support.ticket.v1": dict',
            "RM-206",
            (
                "the upcast from support.ticket.v1 leads to support.ticket.v2, "
                "and then there is a gap up to support.ticket.v3"
            ),
            'upcast={"support.ticket.v2": function}',
        ),
        (
            '"support.tickt.v1": dict',
            "RM-206",
            "the upcast from support.tickt.v1 leads to support.tickt.v2, which no role takes or gives",
            'give a message tag="support.tickt.v2", or remove the upcast',
        ),
        ('"ticket": dict', "RM-207", "'ticket' is no tag of an older message", ""),
        ('"support.ticket.v2": 7', "RM-206", "the upcast from support.ticket.v2 is no function", ""),
    ],
)
def test_an_upcast_that_leads_nowhere_is_told(team: Team, upcasts: str, code: str, message: str, fix: str) -> None:
    declare(team, upcasts)

    fault = team.only()

    assert (fault.code, fault.message, fault.fix) == (code, message, fix)
    assert fault.where.endswith(f"team.py:{team.line('team.py', 'upcast=')}")
