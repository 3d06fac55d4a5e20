"""The commands that need no server: init, check, contract, context."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from remit import places
from remit.cli import fault

if TYPE_CHECKING:
    from remit.places import Place
    from tests.unit.cli.conftest import Remit


def test_init_writes_a_team_that_check_finds_in_order(remit: Remit) -> None:
    made = remit("init", "support")
    checked = remit("check", "support")

    assert made.code == checked.code == 0
    assert sorted(path.name for path in Path("support").iterdir() if path.is_file()) == [
        "charter.yaml",
        "team.py",
        "test_team.py",
    ]
    assert checked.out == "team support: 1 role, 1 tool, 1 workflow: in order; next: remit up\n"


def test_init_adapts_the_name_and_the_tags(remit: Remit) -> None:
    remit("init", "back-office")

    text = Path("back-office/team.py").read_text()

    assert 'tag="back_office.ticket.v1"' in text
    assert 'Team("back-office"' in text
    assert remit("check", "back-office").code == 0


def test_init_overwrites_nothing(remit: Remit) -> None:
    Path("support").mkdir()
    Path("support/charter.yaml").write_text("mine")

    said = remit("init", "support")

    assert said.code == fault.USAGE
    assert said.err.startswith("RM-210 charter.yaml would be overwritten")
    assert [path.name for path in Path("support").iterdir()] == ["charter.yaml"]
    assert Path("support/charter.yaml").read_text() == "mine"


def test_init_refuses_a_name_that_is_none(remit: Remit) -> None:
    said = remit("init", "Support!")

    assert said.code == fault.USAGE
    assert said.err.startswith("RM-211 'Support!' cannot name a team")
    assert not Path("Support!").exists()


def test_the_test_that_init_writes_passes_without_a_server(remit: Remit) -> None:
    remit("init", "support")

    said = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", "."],
        check=False,
        capture_output=True,
        text=True,
        cwd="support",
        timeout=60,
    )

    assert "2 passed" in said.stdout, said.stdout


def test_check_says_every_mistake_and_ends_with_the_contract_s_code(remit: Remit) -> None:
    remit("init", "support")
    charter = Path("support/charter.yaml")
    charter.write_text(charter.read_text().replace("risk: high", "risk: low").replace("field: text", "field: txt"))

    said = remit("check", "support")

    assert said.code == fault.CONTRACT
    assert [line.split("; at ")[1].split(";")[0] for line in said.err.splitlines()] == [
        "support/charter.yaml:16",
        "support/charter.yaml:25",
    ]
    assert said.out == "2 mistakes: the team does not start\n"


def test_check_gives_its_mistakes_to_programs(remit: Remit) -> None:
    remit("init", "support")
    charter = Path("support/charter.yaml")
    charter.write_text(charter.read_text().replace("owner:", "ownr:"))

    said = remit("check", "support", "--output", "jsonl")

    found = [json.loads(line) for line in said.out.splitlines()]
    assert said.err == ""
    assert [item["message"] for item in found] == ["the key owner is missing", "unknown key ownr"]


def test_up_does_not_start_a_team_with_a_mistake(remit: Remit) -> None:
    remit("init", "support")
    Path("support/team.py").write_text("class Clerk(:\n")

    said = remit("up", "support")

    assert said.code == fault.CONTRACT
    assert said.err.startswith("RM-206 the team cannot be imported: SyntaxError")
    assert "team.py:1" in said.err


def test_contracts_are_listed_shown_and_exported(remit: Remit) -> None:
    remit("init", "support")

    listed = remit("contract", "list", "--team", "support", "-o", "json")
    shown = remit("contract", "show", "support.ticket.v1", "--team", "support", "-o", "json")
    exported = remit("contract", "export", "--team", "support", "--out", "out", "--all")

    assert [item["tag"] for item in listed.data] == ["support.answer.v1", "support.ticket.v1"]  # type: ignore[attr-defined]
    assert shown.data["example"] == {"customer": "customer", "text": "text"}  # type: ignore[index]
    assert exported.out == "wrote 7 schemas to out\n"
    assert json.loads(Path("out/task.request.v1.json").read_text())["$defs"]["TaskRequest"]["required"] == [
        "type",
        "goal",
    ]


def test_an_unknown_contract_is_said_with_the_list(remit: Remit) -> None:
    remit("init", "support")

    said = remit("contract", "show", "support.tickt.v1", "--team", "support")

    assert said.code == fault.USAGE
    assert said.err == "RM-209 no contract support.tickt.v1; got support.tickt.v1; next: remit contract list\n"


def test_contexts_are_listed_and_chosen(remit: Remit, place: Place) -> None:
    places.write(msgspec.structs.replace(place, name="other"))

    before = remit("context", "list", "-o", "json")
    remit("context", "use", "support")
    after = remit("context", "list", "-o", "json")

    assert [item["current"] for item in before.data] == [True, False]  # type: ignore[attr-defined]
    assert [item["current"] for item in after.data] == [False, True]  # type: ignore[attr-defined]


def test_input_that_is_no_json_is_told_with_its_place(remit: Remit, place: Place) -> None:
    Path("ticket.json").write_text('{"customer": "a",\n  text: 1}')

    said = remit("submit", "ticket", "--goal", "x", "--input", "ticket.json")

    assert said.code == fault.CONTRACT
    assert said.err.startswith("RM-201 the input is no JSON")
    assert "ticket.json:2:3" in said.err


def test_input_of_another_encoding_is_told(remit: Remit, place: Place) -> None:
    Path("ticket.json").write_bytes(b'{"customer": "\xff"}')

    said = remit("submit", "ticket", "--goal", "x", "--input", "ticket.json")

    assert said.code == fault.CONTRACT
    assert said.err.startswith("RM-201 the input is not valid UTF-8; at ticket.json, byte 14")


def test_an_audit_of_a_folder_without_python_is_refused_before_anything_starts(remit: Remit) -> None:
    Path("empty").mkdir()

    said = remit("audit", "empty")

    assert said.code == fault.USAGE
    assert said.err.startswith("RM-211 there is no Python here; at empty")
    assert not places.home().exists()


def test_a_folder_whose_name_is_no_text_is_refused(remit: Remit, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "a.py").write_text("")

    said = remit("audit", str(folder))

    assert said.err.startswith("RM-211 the name of this folder is not UTF-8; at ")
