"""The closing lines of an audit: the verdict, the conflicts, and where the report is."""

import json
from collections import Counter
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
    by_rule = [*conflicts_by_rule(project).items()]
    rules = ", ".join(f"{rule} {count}" for rule, count in sorted(by_rule))
    assert lines[-2].startswith(f"conflicts by rule: {sum(count for _rule, count in by_rule)} contradictions decided")
    assert lines[-2].endswith(f" agreements ({rules})")
    assert lines[-3] == f"for example: {reply.example}"
    assert "{" not in reply.example
    for number, (line, lead) in enumerate(zip(lines[2:7], reply.leads, strict=True), 1):
        assert line.startswith(f"  {number}. {lead.severity}  {lead.path}:{lead.line}: ")
    assert lines[-1] == f"report: {project}/.remit/report.html"
    without = msgspec.structs.replace(reply, left_out=("report.html",), patches="2 patches ready")
    assert summary(encode(without))[-1] == f"report: {project}/.remit/report.md"
    left = msgspec.structs.replace(reply, unread="1 of 2 shipped files not parsed")
    assert summary(encode(left))[1] == "not read: 1 of 2 shipped files not parsed"
    assert f"patches: 2 patches ready; git apply {project}/.remit/patches/NAME" in summary(encode(without))


def conflicts_by_rule(project: Path) -> Counter[str]:
    record = json.loads((project / ".remit/evidence/conflicts.json").read_text())
    return Counter(item["rule"] for item in record if item["is_contested"])


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
