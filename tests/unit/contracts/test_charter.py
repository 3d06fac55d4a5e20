"""A charter's file: every mistake with its line, and the key that was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from remit.charter_file import mistakes, read_charter
from remit.contracts.charter import Charter
from remit.contracts.errors import CharterInvalidError
from tests.teams import charter

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
charter: 1
team: support
owner: ann@example.org
purpose: Answer tickets.
roles:
  clerk:
    tools: [mail.send]
tools:
  mail.send:
    risk: high
    review: person
data_sources: {}
limits:
  wall_clock_s: 60.0
  steps: 100
completion:
  - name: done
    check: steps_completed
review_path:
  reviewers: [ann]
rollback:
  procedure: none
  tested: true
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "charter.yaml"
    path.write_text(TEXT)
    return path


def change(path: Path, old: str, new: str) -> CharterInvalidError:
    """Give the first mistake after a change."""
    assert old in TEXT
    path.write_text(TEXT.replace(old, new, 1))
    return mistakes(path)[0]


def test_a_charter_in_order_is_read(path: Path) -> None:
    read = read_charter(path)

    assert (read.team, read.roles["clerk"].limits.attempts, read.tools["mail.send"].timeout_s) == ("support", 3, 30.0)
    assert mistakes(path) == []


def test_a_missing_key_is_named(path: Path) -> None:
    error = change(path, "owner: ann@example.org\n", "")

    assert "the key owner is missing" in error.message
    assert error.where == f"{path}:1"
    assert error.fix == "add owner: …"


def test_an_unknown_key_has_its_line_and_its_near_match(path: Path) -> None:
    error = change(path, "    risk: high", "    riks: high")

    assert error.message in {"unknown key tools.mail.send.riks", "the key tools.mail.send.risk is missing"}
    found = {item.message: item for item in mistakes(path)}
    unknown = found["unknown key tools.mail.send.riks"]
    assert (unknown.where, unknown.fix) == (f"{path}:10", "did you mean risk?")
    assert "review" in unknown.expected


def test_an_unknown_key_like_no_other_is_to_be_removed(path: Path) -> None:
    assert change(path, "team: support", "team: support\nzzz: 1").fix == "remove zzz"


def test_a_wrong_type_is_not_converted(path: Path) -> None:
    for old, new, line in (
        ("steps: 100", 'steps: "100"', 15),
        ("tested: true", "tested: 1", 23),
        ("charter: 1", "charter: 2", 1),
    ):
        error = change(path, old, new)
        assert error.where == f"{path}:{line}", error


def test_every_mistake_is_told_in_the_order_of_lines(path: Path) -> None:
    path.write_text(TEXT.replace("team: support", "team: ''").replace("steps: 100", "steps: 0").replace("[ann]", "[]"))

    assert [int(error.where.rsplit(":", 1)[1]) for error in mistakes(path)] == [2, 15, 20]


def test_what_is_no_yaml_or_no_mapping_or_no_file_is_told(path: Path) -> None:
    path.write_text("roles: [")
    assert "not valid YAML" in mistakes(path)[0].message
    path.write_text("just words")
    assert mistakes(path)
    path.unlink()
    with pytest.raises(CharterInvalidError, match="cannot read"):
        read_charter(path)


def test_a_charter_is_named_by_what_it_says_and_not_by_how_it_is_written(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(yaml.safe_load(TEXT), sort_keys=True))

    assert read_charter(path).digest() == read_charter(other).digest()
    assert read_charter(path).digest() != charter().digest()


def test_a_charter_survives_its_own_json() -> None:
    rules = charter()

    assert Charter.model_validate_json(rules.model_dump_json()) == rules
