"""`remit contract diff`: what changed between two builds of a team, and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remit.cli import fault

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Remit

TICKET = "    customer: str\n    text: str\n"


@pytest.fixture
def teams(remit: Remit) -> None:
    """Two builds of a team, the same as yet, each with a module of the same name beside it."""
    for build in ("old", "new"):
        remit("init", f"{build}/support")
        (Path(build) / "support/words.py").write_text("Word = str\n")
        change(build, "from remit import", "from words import Word\n\nfrom remit import")
        change(build, "class Answer(Message,", "class Answer(Message, kw_only=True,")
        change(build, "class Ticket(Message,", "class Ticket(Message, kw_only=True,")


def change(build: str, old: str, new: str) -> None:
    path = Path(build) / "support/team.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def told(remit: Remit, *words: str) -> list[dict[str, object]]:
    said = remit("contract", "diff", "old/support", "new/support", "-o", "jsonl", *words)
    return [json.loads(line) for line in said.out.splitlines()]


def test_a_team_that_did_not_change_is_said_so(remit: Remit, teams: None) -> None:
    said = remit("contract", "diff", "old/support", "new/support")

    assert (said.code, said.out, said.err) == (0, "nothing changed\n", "")


def test_a_change_that_breaks_ends_with_the_contract_s_code_and_says_what_to_do(remit: Remit, teams: None) -> None:
    change("new", TICKET, f"{TICKET}    lang: str\n    mood: str | None = None\n")

    said = remit("contract", "diff", "old/support", "new/support")

    assert said.code == fault.CONTRACT
    assert said.out.splitlines() == [
        "support.ticket.v1  $.lang  field added",
        "  is     text",
        "  class  compatible for writers only: what was written before lacks it",
        "  do     give it a default; else give the message its next tag and bring the old one forward with upcast=",
        "support.ticket.v1  $.mood  field added",
        "  is     text | null = null",
        "  class  compatible: it has a default",
        "2 changes: 1 of them breaks",
    ]


def test_what_older_readers_cannot_read_breaks_when_that_is_asked_for(remit: Remit, teams: None) -> None:
    change(
        "new",
        'class Answer(Message, kw_only=True, tag="support.answer.v1"):\n    text: str\n',
        'class Answer(Message, kw_only=True, tag="support.answer.v1"):\n    text: str | None\n',
    )

    kind = [item["class"] for item in told(remit)]

    assert kind == ["readers"]
    assert remit("contract", "diff", "old/support", "new/support").code == 0
    assert remit("contract", "diff", "old/support", "new/support", "--strict").code == fault.CONTRACT


def test_an_old_build_may_be_all_that_was_stored_of_it(remit: Remit, teams: None) -> None:
    Path("contracts.json").write_text(remit("contract", "export", "old/support").out)
    change("new", TICKET, "    customer: int\n    text: str\n")

    said = remit("contract", "diff", "contracts.json", "new/support", "-o", "json")

    assert said.code == fault.CONTRACT
    (item,) = json.loads(said.out)
    assert (item["contract"], item["path"], item["what"]) == ("support.ticket.v1", "$.customer", "type")
    assert (item["old"], item["new"], item["class"], item["breaks"]) == ("text", "int", "breaking", True)


def test_modules_of_the_same_name_beside_both_teams_are_told_apart(remit: Remit, teams: None) -> None:
    for build in ("old", "new"):
        change(build, TICKET, "    customer: Word\n    text: str\n")
    Path("old/support/words.py").write_text("Word = int\n")

    (item,) = told(remit)

    assert (item["path"], item["old"], item["new"]) == ("$.customer", "int", "text")


def test_another_tag_breaks(remit: Remit, teams: None) -> None:
    change("new", 'tag="support.ticket.v1"', 'tag="support.ticket.v2"')

    (item,) = told(remit)

    assert (item["what"], item["class"], item["breaks"]) == ("tag", "breaking", True)
    assert item["fix"] == 'bring it forward: upcast={"support.ticket.v1": function}'


def test_another_tag_breaks_no_reader_if_the_team_brings_the_old_one_forward(remit: Remit, teams: None) -> None:
    change("new", 'tag="support.ticket.v1"', 'tag="support.ticket.v2"')
    change("new", 'workflows={"ticket": Clerk}', 'workflows={"ticket": Clerk}, upcast={"support.ticket.v1": dict}')

    (item,) = told(remit)

    assert (item["what"], item["class"], item["breaks"]) == ("tag", "readers", False)
    assert str(item["why"]).startswith("the upcast from support.ticket.v1 brings it forward")


def test_the_arguments_of_a_tool_and_what_a_team_no_longer_has_are_told(remit: Remit, teams: None) -> None:
    change("new", "body: str, *", "body: str, cc: str, *")
    change("new", 'workflows={"ticket": Clerk}', 'workflows={"letter": Clerk}')

    found = {(item["contract"], item["path"], item["what"], item["breaks"]) for item in told(remit)}

    assert found == {
        ("tool send_mail", "$.cc", "field added", True),
        ("workflow ticket", "$", "use removed", True),
        ("workflow letter", "$", "use added", False),
    }


def test_a_team_that_cannot_be_loaded_is_said_with_the_command_that_says_more(remit: Remit, teams: None) -> None:
    change("old", "class Clerk", "class Clerk(:")

    said = remit("contract", "diff", "old/support", "new/support")

    assert said.code == fault.CONTRACT
    assert said.err.startswith("RM-206 the contracts of old/support cannot be read: RM-206 the team cannot be imported")
    assert said.err.endswith("next: remit check old/support\n")


@pytest.mark.parametrize("text", ["", "no json", '{"type":"remit.contracts.v1"}', '{"type":"other"}'])
def test_a_file_that_is_no_description_is_told_with_the_command_that_writes_one(
    remit: Remit, teams: None, text: str
) -> None:
    Path("contracts.json").write_text(text)

    said = remit("contract", "diff", "contracts.json", "new/support")

    assert said.code == fault.CONTRACT
    assert said.err.startswith("RM-201 ")
    assert said.err.endswith("next: remit contract export TEAM > contracts.json\n")
