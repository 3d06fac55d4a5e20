"""The person at the terminal leaves files out of a report: what they type, and the decision that comes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import pytest
from click.testing import CliRunner

from remit.cli import audit, edit
from remit.contracts.message import digest_of, raw
from remit.contracts.review import ReviewOpened
from remit.history import History
from remit.teams.audit.report.edit import Edit, edit_in

if TYPE_CHECKING:
    from remit.contracts.control import DecideReview
    from remit.places import Place

TREE = ("report.md", "findings.sarif", "patches/001-F541-\x1b[2Jcart.py.patch", "baseline.json")


def opened(*names: str) -> ReviewOpened:
    tree = [{"name": f"report/{name}", "digest": "sha256:1", "size_bytes": 1} for name in names]
    body = {"tool": "fs.publish", "arguments": {"out": "", "base": "report/", "tree": tree, "digest": "sha256:2"}}
    return ReviewOpened(
        review_id="r1-v9",
        run_id="r1",
        step="publish",
        position="8",
        kind="action",
        title="fs.publish(…)",
        subject=digest_of(body),
        body=raw(body),
        role="publisher",
        goal_hash="sha256:g",
        opened_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def typed(review: ReviewOpened, place: Place, *lines: str) -> tuple[DecideReview | None, str]:
    """Give what a person decides who types these lines, and what they saw."""
    with CliRunner().isolation(input="".join(f"{line}\n" for line in lines)) as (out, *_streams):
        wish = audit._asked(review, History("r1"), place)
        return wish, out.getvalue().decode()


def test_the_numbers_that_are_typed_are_left_out_and_the_rest_is_asked_about_again(place: Place) -> None:
    wish, seen = typed(opened(*TREE), place, "e", "1 3")

    assert wish is not None
    assert (wish.decision, wish.subject) == ("rejected", opened(*TREE).subject)
    assert edit_in(wish.reason) == Edit(leave_out=("findings.sarif", "baseline.json"))
    assert "    1  findings.sarif\n    2  patches/001-F541- [2Jcart.py.patch\n    3  baseline.json\n" in seen
    assert "[a]pprove [e]dit [r]eject [d]iff [w]hy" in seen


def test_who_types_nothing_or_what_is_no_number_has_decided_nothing(place: Place) -> None:
    wish, seen = typed(opened(*TREE), place, "e", "4", "report.md", "2-1", "", "l")

    assert wish is None
    assert seen.count("numbers from 1 to 3") == 3


def test_the_report_itself_is_not_left_out(place: Place) -> None:
    wish, seen = typed(opened("report.md"), place, "e", "a")

    assert wish is not None
    assert wish.decision == "approved"
    assert "there is nothing to leave out" in seen


def test_what_writes_no_files_cannot_be_edited(place: Place) -> None:
    body = {"tool": "send_mail", "arguments": {"to": "a@b.c"}}
    wish, seen = typed(msgspec.structs.replace(opened(), body=raw(body)), place, "e", "l")

    assert wish is None
    assert "there is nothing to leave out" in seen


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("2", [2]),
        ("3, 1", [1, 3]),
        ("1-3", [1, 2, 3]),
        ("2 2-3,2", [2, 3]),
        ("0", None),
        ("5", None),
        ("3-2", None),
        ("-1", None),
        ("1-", None),
        ("all", None),
        ("99999999999", None),
    ],
)
def test_numbers_are_taken_one_by_one_and_in_ranges(text: str, found: list[int] | None) -> None:
    assert edit.numbers(text, 4) == found
