"""The repository's own tests: run only as the task and a person say, on a copy, and held against every patch."""

import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from remit import RefusedError, RemitError, ToolScope
from remit.teams.audit import team
from remit.teams.audit.mending import Dropped, Mended, MendingPlan, Patch, Verification, Verifying
from remit.teams.audit.message import AuditRequest, Published
from remit.teams.audit.patch import difference
from remit.teams.audit.roles.verifier import Verifier
from remit.teams.audit.source import blob_digest
from remit.teams.audit.tools import own_tests
from remit.teams.audit.tools.own_tests import Tested, proc_tests
from remit.teams.audit.tools.publication import fs_publish
from remit.teams.audit.tools.scratch import scratch_file, stored
from remit.testing import Bench
from tests.unit.teams.audit.conftest import GOAL, new_bench

Write = Callable[[Mapping[str, str | bytes]], Path]

COMMAND = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
SHOP = 'def name(key):\n    return f"name" if key is not "" else "none"\n'
TEST = "from shop import name\n\n\ndef test_name():\n    assert name('a') == 'name'\n"


@pytest.fixture
def root(write: Write) -> Path:
    return write({"src/shop.py": SHOP, "tests/test_shop.py": TEST, "data.txt": "beside"})


@pytest.fixture
def scope(root: Path, tmp_path: Path) -> ToolScope:
    return scope_of(root, tmp_path / "scratch", shlex.join(COMMAND))


def scope_of(root: Path, scratch: Path, tests: str) -> ToolScope:
    scratch.mkdir()
    data = {"repository": str(root)} | ({"tests": tests} if tests else {})
    return ToolScope(run_id="r1", step="s", role="verifier", intent="i", scratch=scratch, data=data)


def patch(scope: ToolScope, after: str, before: str = SHOP) -> Patch:
    scratch_file(scope.scratch, "one.patch").write_text(difference("src/shop.py", before, after))
    file = stored(scope.scratch, "one.patch")
    return Patch(
        name="one.patch", rules=("F541",), path="src/shop.py", blob=blob_digest(SHOP.encode()), findings=(), file=file
    )


def ended(scope: ToolScope, *patches: Patch, command: tuple[str, ...] = COMMAND) -> Tested:
    found = proc_tests(command, patches, scope=scope)
    assert isinstance(found, Tested)
    return found


def test_tests_that_pass_before_and_after_say_so_and_leave_the_repository_alone(root: Path, scope: ToolScope) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}

    found = ended(scope, patch(scope, SHOP.replace('f"name"', '"name"')))

    assert found == Tested()
    assert not found.is_broken_by_patches
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert [path.name for path in scope.scratch.iterdir()] == ["one.patch"]


def test_a_patch_with_which_they_fail_is_found_out(scope: ToolScope) -> None:
    found = ended(scope, patch(scope, SHOP.replace('f"name"', '"other"')))

    assert found == Tested(after=1)
    assert found.is_broken_by_patches


def test_tests_that_fail_anyway_say_nothing_of_a_patch(root: Path, scope: ToolScope) -> None:
    (root / "tests/test_shop.py").write_text("def test_name():\n    assert False\n")

    found = ended(scope, patch(scope, SHOP.replace('f"name"', '"other"')))

    assert found == Tested(before=1, after=1)
    assert not found.is_broken_by_patches


def test_a_patch_that_does_not_apply_to_the_copy_is_told(scope: ToolScope) -> None:
    found = ended(scope, patch(scope, "else\n", "something\n"))

    assert found.problem.startswith("git apply says: ")


def test_a_command_that_the_task_does_not_name_is_refused(root: Path, scope: ToolScope, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="does not allow this command"):
        ended(scope, command=("/bin/sh", "-c", "true"))
    with pytest.raises(RefusedError, match="does not allow this command"):
        ended(scope_of(root, tmp_path / "empty", "''"), command=())
    with pytest.raises(RemitError, match="may not read data source"):
        ended(scope_of(root, tmp_path / "none", ""))


def test_the_copy_has_the_data_beside_the_code_and_an_environment_of_its_own(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "of the gateway")
    said = tmp_path / "said"
    script = f"import os, pathlib; pathlib.Path({str(said)!r}).write_text(repr((os.getcwd(), sorted(os.environ), \
        pathlib.Path('data.txt').read_text())))".replace("\\\n        ", "")
    command = (sys.executable, "-c", script)

    assert ended(scope_of(root, tmp_path / "scratch", shlex.join(command)), command=command) == Tested()
    folder, names, beside = eval(said.read_text())  # noqa: S307  # our own words
    assert not folder.startswith(str(root))
    assert "SECRET" not in names
    assert beside == "beside"


def test_a_repository_that_is_too_large_is_not_copied(scope: ToolScope, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_tests, "COPY_BYTES", 10)

    assert ended(scope).problem == "the repository is larger than 10 bytes"


# --- the verifier ---


def verifying(root: Path, bench: Bench, after: str) -> Verifying:
    scope = ToolScope(
        run_id="r1", step="s", role="fixer", intent="i", scratch=bench.scratch, data={"repository": str(root)}
    )
    task = AuditRequest(path=str(root), tests=shlex.join(COMMAND))
    return Verifying(plan=MendingPlan(files=()), fix=(Mended(patch=patch(scope, after)),), task=task)


def bench_of(root: Path) -> Bench:
    bench = Bench(
        team,
        goal=GOAL,
        data={"repository": str(root), "tests": shlex.join(COMMAND)},
        reviewed=[proc_tests, fs_publish],
    )
    bench.real(*team.tools.values())
    return bench


async def test_patches_with_which_the_tests_fail_are_dropped_and_take_the_plan_back(root: Path) -> None:
    bench = bench_of(root)

    reply = await bench.run(Verifier, verifying(root, bench, SHOP.replace('f"name"', '"other"')))

    reason = "the repository's own tests pass without the patches and fail with them"
    assert isinstance(reply, Verification)
    assert reply.patches == ()
    assert (reply.dropped, reply.failed) == ((Dropped(name="one.patch", reason=reason),), 1)


async def test_patches_with_which_the_tests_pass_are_kept_and_the_report_says_so(root: Path) -> None:
    bench = bench_of(root)

    reply = await bench.run(Verifier, verifying(root, bench, SHOP.replace('f"name"', '"name"')))

    assert isinstance(reply, Verification)
    assert [item.name for item in reply.patches] == ["one.patch"]
    assert reply.tests == "pass with all of these patches, as they do without"


async def test_an_audit_whose_task_names_no_tests_runs_none(root: Path) -> None:
    bench = new_bench(root)

    reply = await bench.flow("audit", AuditRequest(path=str(root)))

    assert isinstance(reply, Published)
    assert "own tests" not in (root / ".remit/report.md").read_text()
