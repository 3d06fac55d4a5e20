"""The closing lines of an audit: the verdict, the conflicts, and where the report is."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from remit.contracts.message import encode
from remit.teams.audit.message import Published, Report
from remit.teams.audit.report.summary import summary
from remit.testing import Bench

Audit = Callable[..., Awaitable[tuple[Bench, Published]]]


async def test_the_closing_lines_name_the_verdict_the_conflicts_and_the_report(project: Path, audit: Audit) -> None:
    _bench, reply = await audit(project)

    lines = summary(encode(reply))

    assert lines[:2] == (f"verdict: {reply.verdict}", "fix these first:")
    assert lines[-2] == "conflicts by rule: evidence 5, max 2, most_urgent 1, union 5"
    assert lines[-1] == f"report: {project}/.remit/report.html"
    without = msgspec.structs.replace(reply, left_out=("report.html",), patches="2 patches ready")
    assert summary(encode(without))[-1] == f"report: {project}/.remit/report.md"
    left = msgspec.structs.replace(reply, unread="1 of 2 shipped files not parsed")
    assert summary(encode(left))[1] == "not read: 1 of 2 shipped files not parsed"
    assert f"patches: 2 patches ready; git apply {project}/.remit/patches/NAME" in summary(encode(without))


def test_the_closing_lines_can_be_told_before_anything_is_published() -> None:
    report = Report(
        out="",
        files=(),
        digest="",
        verdict="Score 100 of 100.",
        score=100,
        fix_first=(),
        conflicts=(),
        open_conflicts=0,
        kept=0,
        rejected=0,
        unaccounted=0,
        sarif_problems=0,
    )

    assert summary(encode(report)) == (
        "verdict: Score 100 of 100.",
        "conflicts by rule: none",
        "report: not written: nobody approved it yet",
    )
