"""Patches: what may be mended, that a patch applies to exactly what was audited, and what is said about it."""

import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remit import EffectDone, RefusedError, ToolScope, Undo
from remit.contracts.message import encode
from remit.teams.audit import team
from remit.teams.audit.finding import Finding
from remit.teams.audit.mending import Mended, Mending, MendingPlan, Patch, Verifying
from remit.teams.audit.message import AuditRequest, Published
from remit.teams.audit.patch import MECHANICAL, difference, drill_patch, is_only, patch_name, spoilt
from remit.teams.audit.report.summary import summary
from remit.teams.audit.roles.fixer import Fixer
from remit.teams.audit.roles.planner import PATCHES, mendings
from remit.teams.audit.roles.sweeper import Sweeper
from remit.teams.audit.roles.verifier import Verifier
from remit.teams.audit.source import blob_digest
from remit.teams.audit.tools.git_apply_check import Checked, proc_git_apply_check
from remit.teams.audit.tools.ruff_fix import FILE_BYTES, Attempt, proc_ruff_fix
from remit.teams.audit.tools.scratch import scratch_file, stored
from remit.testing import Bench

Write = Callable[[Mapping[str, str | bytes]], Path]
BenchFor = Callable[[Path], Bench]
Audit = Callable[..., Awaitable[tuple[Bench, Published]]]

DULL = 'def name(key):\n    return f"name" if key is not "" else "\\d"\n'
MENDED = 'def name(key):\n    return "name" if key != "" else r"\\d"\n'
SHOP: Mapping[str, str | bytes] = {"shop.py": DULL, "till.py": 'def till():\n    return f"till"'}


@pytest.fixture
def root(write: Write) -> Path:
    return write({"a b.py": DULL})


@pytest.fixture
def scope(root: Path, tmp_path: Path) -> ToolScope:
    (tmp_path / "scratch").mkdir()
    return ToolScope(
        run_id="r1", step="s", role="r", intent="i", scratch=tmp_path / "scratch", data={"repository": str(root)}
    )


def attempted(
    scope: ToolScope, path: str = "a b.py", *, rules: tuple[str, ...] = MECHANICAL, blob: str = ""
) -> Attempt:
    file = Path(scope.source("repository")) / path
    made = proc_ruff_fix(path, rules, blob or blob_digest(file.read_bytes()), scope=scope)
    assert isinstance(made, Attempt)
    return made


def checked(scope: ToolScope, *patches: Patch) -> tuple[Checked, ...]:
    found = proc_git_apply_check(patches, scope=scope)
    assert isinstance(found, tuple)
    return found


def submitted(scope: ToolScope, text: str, *, path: str = "a b.py", name: str = "one.patch") -> Patch:
    scratch_file(scope.scratch, name).write_text(text)
    data = (Path(scope.source("repository")) / path).read_bytes()
    return Patch(name=name, rules=(), path=path, blob=blob_digest(data), findings=(), file=stored(scope.scratch, name))


def applied(folder: Path, text: str) -> None:
    subprocess.run(["git", "apply", "-"], input=text.encode(), cwd=folder, check=True, timeout=20)


# --- the text of a patch ---


lines = st.lists(st.sampled_from(["a", "", " b", "c\r", "\x0c", "-x", "+y", "\\ z", "é"]), max_size=8).map("\n".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(before=lines, after=lines)
def test_whatever_differs_git_makes_the_one_text_of_the_other(tmp_path: Path, before: str, after: str) -> None:
    file = tmp_path / "p" / "a b.py"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(before.encode())

    text = difference("p/a b.py", before, after)
    if text and before and after:  # to make or to remove a file is not what a patch of ours does
        applied(tmp_path, text)
        assert file.read_bytes() == after.encode()

    assert bool(text) == (before != after)


@pytest.mark.parametrize("path", ['a"b.py', "a\nb.py", "a\tb.py", "a\\b.py"])
def test_a_name_that_cannot_stand_in_a_patch_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"\.py"):
        difference(path, "a\n", "b\n")


@pytest.mark.parametrize(
    ("before", "after", "holds"),
    [
        ('x = f"a"', 'x = "a"', True),
        ('x = f"{{a}}" f"b"', 'x = "{a}b"', True),
        ('x = f"a{y}"', 'x = "a{y}"', False),
        ('x = f"a"', 'x = "b"', False),
        ('x = y is "a"', 'x = y == "a"', True),
        ("x = y is not -1", "x = y != -1", True),
        ("x = y is None", "x = y == None", False),
        ("x = y is z", "x = y == z", False),
        (r'x = "\d"', r'x = r"\d"', True),
        (r'x = "\d\n"', r'x = r"\d\n"', False),
        ("x = 1", "x = (", False),
    ],
)
def test_a_fix_may_change_what_its_rules_are_about_and_nothing_else(before: str, after: str, *, holds: bool) -> None:
    assert is_only(MECHANICAL, before, after) == holds


# --- the tool that mends ---


def test_the_patch_of_a_file_mends_what_was_found_and_the_file_is_not_touched(scope: ToolScope, root: Path) -> None:
    made = attempted(scope)

    assert (root / "a b.py").read_text() == DULL
    applied(root, made.text)
    assert (root / "a b.py").read_text() == MENDED


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'x = f"a"  # noqa: F541\n', "no safe fix"),
        ('# -*- coding: latin-1 -*-\nx = f"é"\n'.encode("latin-1"), "not UTF-8"),
        (b"x = (\n", "no safe fix"),
        (b'x = f"a"\n' + b"y = 1\n" * FILE_BYTES, "larger than"),
    ],
)
def test_a_file_that_cannot_be_mended_safely_has_a_reason(
    scope: ToolScope, root: Path, body: bytes, problem: str
) -> None:
    (root / "a b.py").write_bytes(body)

    made = attempted(scope)

    assert problem in made.problem
    assert not made.text


@pytest.mark.parametrize("path", ["../outside.py", "/etc/hosts", "absent.py"])
def test_nothing_outside_the_repository_is_mended(scope: ToolScope, path: str) -> None:
    made = proc_ruff_fix(path, MECHANICAL, "sha256:1", scope=scope)

    assert isinstance(made, Attempt)
    assert made.problem


def test_a_file_that_changed_since_it_was_audited_is_not_mended(scope: ToolScope) -> None:
    assert attempted(scope, blob="sha256:other").problem == "the file changed since it was audited"


@pytest.mark.parametrize("rules", [(), ("F401",), ("F541", "ALL")])
def test_only_mechanical_rules_are_mended(scope: ToolScope, rules: tuple[str, ...]) -> None:
    with pytest.raises(RefusedError, match="mechanically"):
        attempted(scope, rules=rules)


# --- the tool that tries ---


def test_a_patch_that_applies_and_compiles_has_no_problem_and_nothing_is_left_of_the_copy(scope: ToolScope) -> None:
    patch = submitted(scope, attempted(scope).text)

    assert checked(scope, patch) == (Checked(name="one.patch"),)
    assert [path.name for path in scope.scratch.iterdir()] == ["one.patch"]


def test_a_patch_that_does_not_hold_says_what_git_or_the_parser_says(scope: ToolScope) -> None:
    good = attempted(scope).text
    found = checked(
        scope,
        submitted(scope, spoilt(good), name="spoilt"),
        submitted(scope, drill_patch("a b.py"), name="drill"),
        submitted(scope, "no patch at all", name="none"),
        submitted(scope, difference("a b.py", DULL, "def (\n"), name="broken"),
        submitted(scope, good, name="good"),
    )

    problems = {item.name: item.problem for item in found}
    assert problems["spoilt"] == "git apply says: patch failed: a b.py:1; a b.py: patch does not apply"
    assert problems["drill"].startswith("git apply says: ")
    assert problems["none"].startswith("git apply says: No valid patches")
    assert problems["broken"] == "what comes of it does not compile: invalid syntax"
    assert problems["good"] == ""


def test_a_patch_of_a_file_that_changed_meanwhile_does_not_hold(scope: ToolScope, root: Path) -> None:
    patch = submitted(scope, attempted(scope).text)
    (root / "a b.py").write_text(DULL + "\n")

    (found,) = checked(scope, patch)

    assert found.problem == "the file changed since it was audited"


def test_a_patch_cannot_leave_the_copy(scope: ToolScope, tmp_path: Path) -> None:
    text = "--- a/a b.py\t\n+++ b/../../outside.py\t\n@@ -0,0 +1 @@\n+x = 1\n"

    (found,) = checked(scope, submitted(scope, text))

    assert found.problem
    assert not (tmp_path / "outside.py").exists()
    assert not (tmp_path / "scratch" / "outside.py").exists()


# --- the roles ---


def finding(path: str, rule: str = "F541", *, line: int = 1) -> Finding:
    return Finding(
        fingerprint=f"{rule}{line}",
        rule=rule,
        severity="low",
        path=path,
        line=line,
        symbol="",
        snippet="",
        message="",
        skill="code",
        tools=("ruff",),
        blob="sha256:1",
    )


def test_files_are_numbered_in_their_order_and_those_beyond_the_bound_are_counted() -> None:
    kept = [finding(f"m{number:02}.py") for number in reversed(range(PATCHES + 3))]

    works, more = mendings([*kept, finding("long.py", "long-file")])

    assert [work.number for work in works] == [*range(1, PATCHES + 1)]
    assert [work.path for work in works] == sorted(work.path for work in works)
    assert more == 3


def test_what_no_patch_mends_in_a_file_is_counted() -> None:
    ((work,), _more) = mendings([finding("a.py"), finding("a.py", "W605"), finding("a.py", "long-file")])

    assert (work.rules, work.findings, work.left) == (("F541", "W605"), ("F5411", "W6051"), 1)
    assert patch_name(work) == "patches/001-F541-W605-a.py.patch"


async def test_without_git_every_patch_is_dropped_with_the_reason_and_the_audit_goes_on(
    root: Path, bench_for: BenchFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = bench_for(root)
    blob = blob_digest((root / "a b.py").read_bytes())
    work = Mending(number=1, path="a b.py", blob=blob, rules=("F541",), findings=(), left=0)
    mended = await bench.run(Fixer, work)
    monkeypatch.setattr(shutil, "which", lambda _name: None)

    reply = await bench.run(Verifier, Verifying(plan=MendingPlan(files=(work,)), fix=(mended,)))

    assert (reply.patches, reply.failed) == ((), 0)
    assert [item.reason for item in reply.dropped] == [
        "it could not be tried: tool proc.git_apply_check failed: RM-500 git is not installed"
    ]


async def test_a_repository_with_nothing_to_mend_is_verified_without_a_call(bench_for: BenchFor, root: Path) -> None:
    bench = bench_for(root)

    reply = await bench.run(Verifier, Verifying(plan=MendingPlan(files=()), fix=(Mended(),)))

    assert (reply.patches, reply.dropped, reply.failed, bench.calls) == ((), (), 0, [])


async def test_the_sweeper_takes_out_exactly_what_the_undone_step_wrote(bench_for: BenchFor, root: Path) -> None:
    bench = bench_for(root)
    for name in ("mine", "doubted", "other"):
        (bench.scratch / name).write_text("x")
    written = EffectDone(step="fix-0", position="1", tool="fs.scratch_write", intent="i", value={"name": "mine"})
    doubted = EffectDone(
        step="fix-0", position="2", tool="fs.scratch_write", intent="j", arguments={"name": "doubted"}, is_in_doubt=True
    )

    reply = await bench.run(Sweeper, Undo(step="fix-0", role="fixer", reason="r", effects=(written, doubted)))

    assert (reply.removed, reply.left) == (("doubted", "mine"), 0)
    assert [path.name for path in bench.scratch.iterdir()] == ["other"]


async def test_a_write_of_which_nothing_is_known_is_not_undone(bench_for: BenchFor, root: Path) -> None:
    unknown = EffectDone(step="fix-0", position="1", tool="fs.scratch_write", intent="i")

    reply = await bench_for(root).run(Sweeper, Undo(step="fix-0", role="fixer", reason="r", effects=(unknown,)))

    assert reply.left == 1


# --- the whole team ---


async def test_an_audit_publishes_patches_that_apply_and_names_them(write: Write, audit: Audit) -> None:
    root = write(SHOP)

    bench, reply = await audit(root)

    names = ["001-F541-F632-W605-shop.py.patch", "002-F541-till.py.patch"]
    report = (root / ".remit/report.md").read_text()
    assert sorted(path.name for path in (root / ".remit/patches").iterdir()) == names
    assert "2 patches ready." in reply.verdict
    assert all(f"| patches/{name} |" in report for name in names)
    assert "What went wrong" not in report
    for name in names:
        applied(root, (root / ".remit/patches" / name).read_text())
    assert (root / "shop.py").read_text() == MENDED
    _bench, again = await audit(root)
    assert "patch" not in again.verdict
    note = bench.state("file.till.py")
    assert isinstance(note, dict)
    assert (note["action"], note["patch"]) == ("patched", f"patches/{names[1]}")


async def test_where_the_critic_has_said_what_to_do_the_fixer_only_names_its_patch(write: Write, audit: Audit) -> None:
    bench, _reply = await audit(write(SHOP))

    note = bench.state("file.shop.py")
    assert isinstance(note, dict)
    assert (note["action"], note["patch"]) == ("mend", "patches/001-F541-F632-W605-shop.py.patch")
    assert [version.role for version in bench.board.versions["r1", "file.shop.py"]][-2:] == ["critic", "fixer"]


async def test_a_file_of_which_more_was_kept_keeps_the_critics_action(write: Write, audit: Audit) -> None:
    root = write({"shop.py": DULL + "\n\ndef run(key):\n    return eval(key)\n"})

    bench, _reply = await audit(root)

    note = bench.state("file.shop.py")
    assert isinstance(note, dict)
    assert (note["action"], note["patch"]) == ("mend", "patches/001-F541-F632-W605-shop.py.patch")


@pytest.mark.parametrize("files", [SHOP, {"plain.py": "x = 1\n"}])
async def test_a_bad_patch_is_never_published_and_its_reason_is(
    write: Write, bench_for: BenchFor, files: Mapping[str, str | bytes]
) -> None:
    root = write(files)
    bench = bench_for(root)

    reply = await bench.flow("audit", AuditRequest(path=str(root), inject="bad-patch"))

    assert isinstance(reply, Published)
    evidence = json.loads((root / ".remit/evidence/patches.json").read_text())
    (dropped,) = evidence["dropped"]
    assert evidence["failed"] == 1  # the plan rolls back on this, which a bench does not
    assert dropped["reason"].startswith("git apply says: patch failed")
    assert not (root / ".remit" / dropped["name"]).exists()
    assert f"- {dropped['name']}: git apply says" in (root / ".remit/report.md").read_text()
    assert "1 dropped" in reply.verdict


def test_the_closing_lines_say_what_was_rolled_back() -> None:
    reply = Published(
        folder="",
        report="r",
        files=0,
        verdict="v",
        score=1,
        fix_first=(),
        conflicts=(),
        kept=0,
        rejected=0,
        way="rolled back once to cp3: x did not hold; the plan goes on without it",
    )

    assert (
        summary(encode(reply))[1] == "on the way: rolled back once to cp3: x did not hold; the plan goes on without it"
    )


def test_only_what_the_fixer_did_is_undone_and_only_the_verifier_sets_it_off() -> None:
    plan = team.workflows["audit"]
    assert not isinstance(plan, type)

    assert {item.name for item in plan.steps if item.undo is not None} == {"fix"}
    assert [(rule.to, rule.when.node if rule.when else "") for rule in plan.rollbacks] == [("cp3", "verify")]
