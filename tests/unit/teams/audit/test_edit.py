"""A person leaves files out before anything is written: what is approved in the end is exactly what runs."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from remit import ReviewRejectedError
from remit.contracts.message import encode
from remit.teams.audit.message import AuditRequest, Published
from remit.teams.audit.report.edit import Edit, edit_in, reason_of
from remit.teams.audit.report.summary import summary
from remit.teams.audit.tools.publication import tree_digest
from remit.teams.audit.tools.scratch import Stored
from remit.testing import Bench

BenchFor = Callable[[Path], Bench]


def leaving_out(*names: str) -> str:
    return reason_of(Edit(leave_out=names))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def test_what_is_left_out_is_not_written_and_the_smaller_tree_is_what_was_approved(
    project: Path, bench_for: BenchFor
) -> None:
    bench = bench_for(project)
    bench.person(leaving_out("findings.sarif"), leaving_out("baseline.json", "evidence/measures.json"), "")

    reply = await bench.flow("audit", AuditRequest(path=str(project)))

    shown = [tree_of(bench, number) for number in range(3)]
    assert [len(tree) for tree in shown] == [10, 9, 7]
    assert files(project / ".remit") == {item.name.removeprefix("report/") for item in shown[2]}
    assert not files(project / ".remit") & {"findings.sarif", "baseline.json", "evidence/measures.json"}
    (call,) = [call for call in bench.calls if call.tool == "fs.publish"]
    assert call.arguments["digest"] == tree_digest(shown[2])
    assert isinstance(reply, Published)
    assert (reply.files, set(reply.left_out)) == (7, {"findings.sarif", "baseline.json", "evidence/measures.json"})
    assert reply.explain
    assert any(line.startswith("left out: findings.sarif, ") for line in summary(encode(reply)))
    await bench.replay("publish")


def tree_of(bench: Bench, number: int) -> tuple[Stored, ...]:
    shown = msgspec.json.decode(bench.reviews[number].body, type=dict[str, object])
    arguments = msgspec.convert(shown["arguments"], type=dict[str, object])
    return msgspec.convert(arguments["tree"], type=tuple[Stored, ...])


@pytest.mark.parametrize(
    "reason",
    [
        "not now",
        "edit",
        "edit the second paragraph",
        'edit {"leave_out": "report.md"}',
        'edit {"leave_out": [], "more": 1}',
        "edit " + "[" * 100_000,
        leaving_out(),
        leaving_out("report.md"),
        leaving_out("findings.sarif", "no-such-file"),
        leaving_out("../shop/cart.py"),
        leaving_out("report/findings.sarif"),
    ],
)
async def test_anything_else_that_a_person_says_is_a_rejection_and_writes_nothing(
    project: Path, bench_for: BenchFor, reason: str
) -> None:
    bench = bench_for(project)
    bench.person(reason, "")

    with pytest.raises(ReviewRejectedError):
        await bench.flow("audit", AuditRequest(path=str(project)))

    assert not (project / ".remit").exists()
    assert len(bench.reviews) == 1


async def test_without_the_findings_nothing_leads_to_one_of_them(project: Path, bench_for: BenchFor) -> None:
    bench = bench_for(project)
    bench.person(leaving_out("findings.json"), "")

    reply = await bench.flow("audit", AuditRequest(path=str(project)))

    assert isinstance(reply, Published)
    assert reply.explain == ""


async def test_who_leaves_out_all_that_can_be_left_out_is_asked_about_the_report_alone(
    project: Path, bench_for: BenchFor
) -> None:
    bench = bench_for(project)
    await bench.flow("audit", AuditRequest(path=str(project)))
    everything = files(project / ".remit") - {"report.md"}
    again = bench_for(project)
    again.person(leaving_out(*sorted(everything)), leaving_out("report.md"), "")

    with pytest.raises(ReviewRejectedError):
        await again.flow("audit", AuditRequest(path=str(project)))

    assert [item.name for item in tree_of(again, 1)] == ["report/report.md"]


def test_an_edit_is_read_as_it_was_said() -> None:
    edit = Edit(leave_out=('a "b".patch', "ä"))

    assert edit_in(reason_of(edit)) == edit
