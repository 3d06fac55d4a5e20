"""Every mistake of a team and its charter is told with its file, its line and its fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remit import scaffold
from remit.check.target import check
from remit.contracts.errors import TeamInvalidError

if TYPE_CHECKING:
    from pathlib import Path

    from remit.contracts.errors import Fault


class Team:
    """A team in a folder of its own: sound until something is changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        scaffold.write(folder)

    def change(self, file: str, old: str, new: str) -> None:
        text = (self.folder / file).read_text()
        assert old in text, f"{file} does not hold {old!r}"
        (self.folder / file).write_text(text.replace(old, new, 1))

    def line(self, file: str, part: str) -> int:
        lines = (self.folder / file).read_text().splitlines()
        return next(number for number, line in enumerate(lines, 1) if part in line)

    def faults(self) -> list[Fault]:
        return [mistake.fault() for mistake in check(str(self.folder)).mistakes]

    def only(self) -> Fault:
        (fault,) = self.faults()
        return fault


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path / "support")


def test_what_init_writes_is_sound(team: Team) -> None:
    assert check(str(team.folder)).is_sound


def test_the_shipped_team_is_sound() -> None:
    assert check("remit.teams.audit").mistakes == ()


def test_a_folder_without_a_team_is_refused_with_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(TeamInvalidError, match=r"there is no team here.*next: remit init"):
        check(str(tmp_path))


def test_every_mistake_of_a_charter_is_told_at_once(team: Team) -> None:
    team.change("charter.yaml", "owner: you@example.org\n", "")
    team.change("charter.yaml", "purpose:", "porpose:")

    faults = team.faults()

    assert [fault.message for fault in faults] == [
        "the key owner is missing",
        "the key purpose is missing",
        "unknown key porpose",
    ]
    assert faults[2].fix == "did you mean purpose?"
    assert faults[2].where.endswith(f"charter.yaml:{team.line('charter.yaml', 'porpose')}")


def test_a_charter_that_is_no_yaml_is_told_with_its_line(team: Team) -> None:
    team.change("charter.yaml", "roles:\n", "roles: [\n")

    assert "not valid YAML" in team.only().message


def test_a_charter_of_another_encoding_is_told(team: Team) -> None:
    (team.folder / "charter.yaml").write_bytes(b"team: caf\xe9\n")

    assert "cannot read the charter" in team.only().message


def test_a_missing_charter_is_told_with_the_command_that_writes_one(team: Team) -> None:
    (team.folder / "charter.yaml").unlink()

    assert team.only().fix == "remit init NAME writes one"


def test_a_team_that_cannot_be_imported_is_told_with_its_line(team: Team) -> None:
    team.change("team.py", "class Clerk", "import no_such_module\n\n\nclass Clerk")

    fault = team.only()

    assert "no_such_module" in fault.message
    assert fault.where.endswith(f"team.py:{team.line('team.py', 'no_such_module')}")


def test_a_tool_that_no_role_may_use_is_told(team: Team) -> None:
    team.change("charter.yaml", "tools: [send_mail]", "tools: []")

    fault = team.only()

    assert fault.message == "no role may use tool send_mail"
    assert fault.where.endswith(f"charter.yaml:{team.line('charter.yaml', 'send_mail: {')}")


def test_a_role_that_the_team_lacks_is_told_with_the_nearest_one(team: Team) -> None:
    team.change("charter.yaml", "  clerk:", "  clark:")

    messages = {fault.message.split(" (")[0]: fault.fix for fault in team.faults()}

    assert messages["the team has no role clark"] == "did you mean clerk?"
    assert messages["the charter says nothing of role clerk"] == "add clerk: under roles"


def test_a_tool_that_the_charter_lacks_is_told(team: Team) -> None:
    team.change("charter.yaml", "  send_mail: {", "  send_male: {")

    messages = [fault.message.split(" (")[0] for fault in team.faults()]

    assert "the team has no tool send_male" in messages
    assert "the charter says nothing of tool send_mail" in messages
    assert "role clerk names the tool send_mail, which the charter does not have" in messages


def test_a_risk_below_the_code_is_told_with_both(team: Team) -> None:
    team.change("charter.yaml", "risk: high", "risk: low")

    fault = team.only()

    assert (fault.expected, fault.got, fault.fix) == ("at least high", "low", "risk: high")


def test_a_role_that_nobody_sends_anything_is_told_at_its_class(team: Team) -> None:
    team.change("team.py", "class Clerk", "class Idle(Role[Ticket, Answer]):\n    pass\n\n\nclass Clerk")
    team.change("team.py", "roles=[Clerk]", "roles=[Clerk, Idle]")
    team.change("charter.yaml", "roles:\n", "roles:\n  idle: {tools: []}\n")

    fault = team.only()

    assert fault.message == "nobody sends anything to role idle"
    assert fault.where.endswith(f"team.py:{team.line('team.py', 'class Idle')}")


def test_a_plan_whose_edge_does_not_fit_is_told_at_its_workflow(team: Team) -> None:
    team.change("team.py", "import Context,", "import Context, Plan, step,")
    team.change("team.py", '{"ticket": Clerk}', '{"ticket": Plan(step("a", Clerk), step("b", Clerk, after="a"))}')
    team.change("charter.yaml", "  - {name: the answer says something", "  # {name: the answer says something")

    fault = team.only()

    assert fault.code == "RM-204"
    assert (fault.expected, fault.got) == ("Ticket", "Answer")
    assert fault.where.endswith(f"team.py:{team.line('team.py', 'workflows=')}")


def test_a_criterion_on_an_unknown_node_is_told(team: Team) -> None:
    team.change("charter.yaml", "node: ticket", "node: tickets")

    fault = team.only()

    assert "has no node tickets" in fault.message
    assert fault.fix == "did you mean ticket?"


def test_a_criterion_on_an_unknown_field_is_told(team: Team) -> None:
    team.change("charter.yaml", "field: text", "field: txt")

    fault = team.only()

    assert "(Answer) has no field txt" in fault.message
    assert fault.fix == "did you mean text?"


def test_a_criterion_without_its_key_is_told(team: Team) -> None:
    team.change("charter.yaml", "completion:\n", "completion:\n  - {name: seen, check: state_present}\n")

    assert team.only().message == "the criterion 'seen' needs key"


def test_a_data_source_from_a_field_that_the_input_lacks_is_told(team: Team) -> None:
    team.change("charter.yaml", "data_sources: []", "data_sources: [box]")
    team.change("charter.yaml", "data_sources: {}", "data_sources:\n  box: {from_input: custmer, description: who}")

    fault = team.only()

    assert "the input of workflow ticket (Ticket) has no field custmer" in fault.message
    assert fault.fix == "did you mean customer?"


def test_a_data_source_that_is_no_text_is_told(team: Team) -> None:
    team.change("team.py", "    text: str\n", "    text: str\n    count: int = 0\n")
    team.change("charter.yaml", "data_sources: []", "data_sources: [box]")
    team.change("charter.yaml", "data_sources: {}", "data_sources:\n  box: {from_input: count, description: how many}")

    assert (team.only().expected, team.only().got) == ("str", "int")


def test_an_ask_of_an_unknown_role_is_told(team: Team) -> None:
    team.change("charter.yaml", "asks: []", "asks: [boss]")

    fault = team.only()

    assert fault.message == "role clerk names the role boss, which the charter does not have"
    assert fault.where.endswith(f"charter.yaml:{team.line('charter.yaml', 'asks: [boss]')}")


def test_two_messages_with_one_tag_are_told(team: Team) -> None:
    team.change("team.py", "answer.v1", "ticket.v1")

    assert "two messages have the tag support.ticket.v1" in team.only().message


def test_a_charter_of_another_team_is_told(team: Team) -> None:
    team.change("charter.yaml", "team: support", "team: sales")

    assert (team.only().expected, team.only().got) == ("support", "sales")
