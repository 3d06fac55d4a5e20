"""The whole team on small real repositories: what it finds, what it refuses, and that it says the same every time."""

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import jsonschema
import msgspec
import pytest

from remit import RefusedError, RemitError, ReviewRejectedError
from remit.teams.audit import team
from remit.teams.audit.mending import Drafting, Planning, Verifying
from remit.teams.audit.message import AuditRequest, Critique, Hearing, Inventory, Published, Report
from remit.teams.audit.roles.analyst_code import AnalystCode
from remit.teams.audit.roles.analyst_history import AnalystHistory
from remit.teams.audit.roles.analyst_security import AnalystSecurity
from remit.teams.audit.roles.analyst_supply import AnalystSupply
from remit.teams.audit.roles.cartographer import Cartographer
from remit.teams.audit.roles.critic import Critic
from remit.teams.audit.roles.editor import Editor
from remit.teams.audit.roles.fixer import Fixer
from remit.teams.audit.roles.planner import Planner
from remit.teams.audit.roles.publisher import Publisher
from remit.teams.audit.roles.verifier import Verifier
from remit.teams.audit.tools.scratch import Stored
from remit.testing import Bench

Write = Callable[[Mapping[str, str | bytes]], Path]
BenchFor = Callable[[Path], Bench]
Audit = Callable[..., Awaitable[tuple[Bench, Published]]]
SCHEMA = Path(__file__).parent / "sarif-2.1.0.json"


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def decisions(folder: Path) -> dict[tuple[str, str], str]:
    """Give the decision for every rule and file."""
    said = json.loads((folder / "findings.json").read_text())
    return {(item["finding"]["rule"], item["finding"]["path"]): item["decision"] for item in said}


async def test_an_audit_publishes_a_report_with_what_it_found(project: Path, audit: Audit) -> None:
    _bench, reply = await audit(project)

    found = decisions(project / ".remit")
    assert reply.report == f"{project}/.remit/report.md"
    assert found["complex-function", "shop/tangle.py"] == "keep"
    assert found["shell-injection", "shop/cart.py"] == "keep"
    assert found["missing-timeout", "shop/cart.py"] == "keep"
    assert found["swallowed-exception", "shop/cart.py"] == "keep"
    assert found["import-cycle", "shop/left.py"] == "keep"
    assert found["syntax-error", "shop/broken.py"] == "keep"
    assert found["undecodable-file", "shop/latin.py"] == "keep"
    assert found["dynamic-code", "tests/test_cart.py"] == "reject"


async def test_the_first_screen_is_the_verdict_and_what_joins_on_one_file(project: Path, audit: Audit) -> None:
    await audit(project)

    report = (project / ".remit/report.md").read_text()
    assert report.startswith("# Audit of `shop`\n\n**Score ")
    headings = [line for line in report.splitlines() if line.startswith("## ")]
    assert headings[:6] == [
        "## Fix these first",
        "## Conflicts by rule",
        "## All kept findings",
        "## Patches",
        "## What the critic threw out, and why",
        "## Counts",
    ]
    assert "Seen by: code, security" in report
    assert "no git repository" not in report


async def test_analysts_on_one_file_are_conflicts_that_the_policy_of_each_field_decides(
    project: Path, audit: Audit
) -> None:
    bench, reply = await audit(project)

    conflicts = json.loads((project / ".remit/evidence/conflicts.json").read_text())
    fields = {(item["key"], item["field"]): item for item in conflicts}
    risk = fields["file.shop/cart.py", "risk"]
    assert {item["rule"]: item["count"] for item in msgspec.to_builtins(reply.conflicts)}["max"] >= 1
    assert {item["rule"] for item in conflicts} == {"max", "evidence", "most_urgent", "union"}
    assert risk["base"] is None
    assert risk["result"] == risk["stands"] == max(side["value"] for side in risk["sides"])
    assert [side["by"] for side in risk["sides"]] == [["code"], ["security"]]
    merged = {version.rule for history in bench.board.versions.values() for version in history[1:]}
    assert merged == {"merged", "write"}


async def test_what_to_do_about_a_file_is_what_the_critic_says_in_the_end(project: Path, audit: Audit) -> None:
    bench, _reply = await audit(project)

    note = bench.state("file.shop/login.py")
    assert isinstance(note, dict)
    said = {item["skill"]: item["action"] for item in note["seen_by"]}
    assert said == {"code": "simplify", "security": "mend"}
    assert note["action"] == "simplify"  # the author of the line accepted what security saw there
    assert bench.board.versions["r1", "file.shop/login.py"][-1].role == "critic"
    report = (project / ".remit/report.md").read_text()
    assert "code: simplify; security: mend | owner, then most_urgent | mend; then the critic: simplify |" in report


async def test_the_report_is_its_sections_in_the_shared_state(project: Path, audit: Audit) -> None:
    bench, _reply = await audit(project)

    keys = [key for _scope, key in bench.board.versions if key.startswith("report.")]
    report = (project / ".remit/report.md").read_text()
    assert len(keys) == 8
    assert sorted(str(bench.state(key)) for key in keys) == sorted(report_sections(report))


def report_sections(report: str) -> list[str]:
    return [part if part.startswith("# ") else f"## {part}" for part in report.split("\n## ")]


async def test_a_report_that_is_not_its_sections_is_shown_to_nobody(project: Path, bench_for: BenchFor) -> None:
    bench = bench_for(project)
    report = await drafted(bench, project)
    other = msgspec.structs.replace(report, sections=report.sections[1:])

    with pytest.raises(RefusedError, match="not what its sections say"):
        await bench.run(Publisher, other)

    assert bench.reviews == []


async def test_a_section_that_is_not_what_its_reference_says_is_not_published(
    project: Path, bench_for: BenchFor
) -> None:
    bench = bench_for(project)
    report = await drafted(bench, project)
    first, *rest = report.sections
    forged = msgspec.structs.replace(report, sections=(msgspec.structs.replace(first, hash="sha256:other"), *rest))

    with pytest.raises(RemitError, match="another content"):
        await bench.run(Publisher, forged)


async def drafted(bench: Bench, project: Path) -> Report:
    """Audit up to the report, which nobody has seen yet."""
    inventory = await bench.run(Cartographer, AuditRequest(path=str(project)), step="inventory")
    bench.play(AnalystCode, AnalystSecurity)
    hearing = Hearing(
        inventory=inventory,
        code=tuple([await bench.run(AnalystCode, work, step=f"code-{n}") for n, work in enumerate(inventory.shards)]),
        security=(),
    )
    critique = await bench.run(Critic, hearing, step="critique")
    return await edited(bench, project, inventory, critique)


async def edited(bench: Bench, project: Path, inventory: Inventory, critique: Critique) -> Report:
    """Mend and report, as the plan does after the critic."""
    task = AuditRequest(path=str(project))
    plan = await bench.run(Planner, Planning(task=task, inventory=inventory, critique=critique), step="plan")
    fix = [await bench.run(Fixer, work, step=f"fix-{n}") for n, work in enumerate(plan.files)]
    verify = await bench.run(Verifier, Verifying(plan=plan, fix=tuple(fix)), step="verify")
    drafting = Drafting(inventory=inventory, critique=critique, verify=verify)
    return await bench.run(Editor, drafting, step="report")


async def test_every_step_replays_from_its_records(project: Path, audit: Audit) -> None:
    bench, _reply = await audit(project)
    calls = len(bench.calls)

    for step in bench.steps():
        await bench.replay(step)

    assert len(bench.calls) == calls


async def test_the_same_repository_gives_the_same_bytes(project: Path, audit: Audit) -> None:
    await audit(project)
    first = tree(project / ".remit")

    await audit(project)

    assert tree(project / ".remit") == first
    assert not any(str(project).encode() in body for body in first.values())


async def test_the_order_in_which_analysts_finish_does_not_show(
    project: Path, audit: Audit, bench_for: BenchFor
) -> None:
    await audit(project)
    first = tree(project / ".remit")
    bench = bench_for(project)
    inventory = await bench.run(Cartographer, AuditRequest(path=str(project)), step="inventory")

    shards = list(enumerate(inventory.shards))
    (whole,) = inventory.history
    history = await bench.run(AnalystHistory, whole, step="history")
    security = {n: await bench.run(AnalystSecurity, work, step=f"security-{n}") for n, work in reversed(shards)}
    code = {n: await bench.run(AnalystCode, work, step=f"code-{n}") for n, work in reversed(shards)}
    supply = [await bench.run(AnalystSupply, work, step="supply") for work in inventory.supply]
    bench.play(AnalystCode, AnalystSecurity, AnalystSupply)
    hearing = Hearing(
        inventory=inventory,
        code=tuple(code[n] for n, _work in shards),
        security=tuple(security[n] for n, _work in shards),
        history=(history,),
        supply=tuple(supply),
    )
    critique = await bench.run(Critic, hearing, step="critique")
    report = await edited(bench, project, inventory, critique)
    published = await bench.run(Publisher, report, step="publish")

    assert published.files == len(first)
    assert tree(project / ".remit") == first


async def test_an_audit_does_not_read_its_own_output(project: Path, audit: Audit) -> None:
    _bench, before = await audit(project, out="reports")
    (project / "reports" / "planted.py").write_text("eval(input())\n")
    (project / ".remit").mkdir()
    (project / ".remit" / "planted.py").write_text("eval(input())\n")

    _bench, after = await audit(project, out="reports")

    assert (after.kept, after.verdict) == (before.kept, before.verdict)


async def test_a_rejected_review_leaves_nothing_behind(project: Path, bench_for: BenchFor) -> None:
    bench = bench_for(project)
    bench.approves, bench.reason = False, "not now"

    with pytest.raises(ReviewRejectedError, match="not now"):
        await bench.flow("audit", AuditRequest(path=str(project)))

    assert not (project / ".remit").exists()


async def test_the_reviewer_is_shown_the_folder_and_every_file_with_its_digest(project: Path, audit: Audit) -> None:
    bench, _reply = await audit(project)

    (review,) = bench.reviews
    shown = msgspec.json.decode(review.body, type=dict[str, object])
    arguments = msgspec.convert(shown["arguments"], type=dict[str, object])
    assert shown["tool"] == "fs.publish"
    assert set(arguments) == {"out", "base", "tree", "digest"}
    assert len(msgspec.convert(arguments["tree"], type=tuple[Stored, ...])) == 10


async def test_the_sarif_file_is_valid_against_the_schema_of_the_standard(project: Path, audit: Audit) -> None:
    await audit(project)
    log = json.loads((project / ".remit/findings.sarif").read_text())
    schema = json.loads(SCHEMA.read_text())

    jsonschema.validators.validator_for(schema)(schema).validate(log)

    assert log["runs"][0]["results"]


async def test_every_citation_can_be_verified_against_the_files(project: Path, audit: Audit) -> None:
    await audit(project)

    citations = json.loads((project / ".remit/evidence/citations.json").read_text())
    for item in citations:
        lines = (project / item["path"]).read_bytes().decode(errors="replace").split("\n")
        assert lines[item["line"] - 1].strip()[:160] == item["snippet"] or item["path"] == "shop/latin.py"


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda root: root / "absent", "there is nothing at this path"),
        (lambda root: root / "file.txt", "this path is no folder"),
        (lambda _root: Path("relative"), "the path is not absolute"),
        (lambda root: root / "empty", "this folder is empty"),
        (lambda root: root / "docs", "there is no Python in this folder"),
    ],
)
async def test_a_path_with_nothing_to_audit_is_refused(
    tmp_path: Path, make: Callable[[Path], Path], complaint: str, bench_for: BenchFor
) -> None:
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.rst").write_text("x")
    path = make(tmp_path)
    bench = bench_for(path)

    with pytest.raises(RefusedError, match=complaint) as refused:
        await bench.run(Cartographer, AuditRequest(path=str(path)))

    assert refused.value.where == "$.input.path"
    assert bench.calls[0].tool == "fs.list"


async def test_a_folder_without_git_is_audited_and_says_so(write: Write, audit: Audit) -> None:
    root = write({"one.py": "def one():\n    return eval(input())\n"})

    _bench, reply = await audit(root)

    report = (root / ".remit/report.md").read_text()
    assert reply.kept == 1
    assert "this is no git repository" in report
    assert "no tests were found" in report


@pytest.mark.skipif(os.name != "posix", reason="symlinks")
async def test_symlinks_are_named_and_not_followed(write: Write, tmp_path: Path, audit: Audit) -> None:
    secret = tmp_path / "outside.py"
    secret.write_text("password = eval('1')\n")
    root = write({"one.py": "x = 1\n"})
    (root / "link.py").symlink_to(secret)

    _bench, reply = await audit(root)

    assert reply.kept == 0
    assert "link.py: a symlink, which is not followed" in (root / ".remit/report.md").read_text()


async def test_a_huge_file_and_a_file_that_breaks_the_parser_are_findings(write: Write, audit: Audit) -> None:
    deep = "x = " + "(" * 3000 + ")" * 3000 + "\n"
    root = write({"huge.py": "x = 1\n" * 400_000, "deep.py": deep, "null.py": "x = 1\0\n", "fine.py": "x = 1\n"})

    await audit(root)

    found = decisions(root / ".remit")
    assert found["huge-file", "huge.py"] == "keep"
    assert found["syntax-error", "deep.py"] == "keep"
    assert found["syntax-error", "null.py"] == "keep"


async def test_templates_that_do_not_parse_are_no_findings(write: Write, audit: Audit) -> None:
    root = write({f"{{{{cookiecutter.name}}}}/m{n}.py": "import {{ name }}\n" for n in range(3)} | {"a.py": "x = 1\n"})

    _bench, reply = await audit(root)

    assert (reply.kept, reply.rejected) == (0, 3)


async def test_a_critic_refuses_what_answers_another_requirement(project: Path, bench_for: BenchFor) -> None:
    bench = bench_for(project)
    inventory = await bench.run(Cartographer, AuditRequest(path=str(project)))
    analysis = await bench.run(AnalystCode, inventory.shards[0])
    drifted = msgspec.structs.replace(analysis, requirement="sha256:other")

    with pytest.raises(RefusedError, match="another requirement"):
        await bench.run(Critic, Hearing(inventory=inventory, code=(drifted,), security=()))


async def test_an_analyst_refuses_doubts_of_another_requirement(project: Path, bench_for: BenchFor) -> None:
    bench = bench_for(project)
    inventory = await bench.run(Cartographer, AuditRequest(path=str(project)))
    doubts = msgspec.structs.replace(inventory.shards[0], kind="doubts", requirement="sha256:other")

    with pytest.raises(RefusedError, match="another run's"):
        await bench.run(AnalystCode, doubts)
    with pytest.raises(RefusedError, match="another run's"):
        await bench.run(AnalystSecurity, doubts)


async def test_a_second_inventory_is_refused(project: Path, bench_for: BenchFor) -> None:
    bench = bench_for(project)
    await bench.run(Cartographer, AuditRequest(path=str(project)), step="one")
    (project / "late.py").write_text("x = 1\n")

    with pytest.raises(RefusedError, match="written already"):
        await bench.run(Cartographer, AuditRequest(path=str(project)), step="two")


def test_the_team_has_its_ten_roles_and_three_that_mend_and_ends_with_the_publisher() -> None:
    analysts = ["analyst-code", "analyst-security", "analyst-history", "analyst-supply", "analyst-docs"]
    menders = ["planner", "fixer", "verifier", "sweeper"]
    assert list(team.roles) == ["cartographer", *analysts, "critic", *menders, "editor", "publisher"]
    assert team.roles["analyst-code"].pool == 2
