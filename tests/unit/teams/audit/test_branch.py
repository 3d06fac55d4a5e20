"""A branch with the patches: it is new, it is exact, and nothing else of the repository changes or runs."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from remit import RefusedError, ToolNotDoneError, ToolScope
from remit.contracts.message import encode
from remit.teams.audit.message import AuditRequest, Published
from remit.teams.audit.patch import difference
from remit.teams.audit.report.summary import summary
from remit.teams.audit.tools.branch import Committed, git_branch_commit
from remit.teams.audit.tools.scratch import Stored, scratch_file, stored
from remit.testing import Bench

BenchFor = Callable[[Path], Bench]
Write = Callable[[Mapping[str, str | bytes]], Path]
SHOP = "def name():\n    return f'name'\n"
MENDED = SHOP.replace("f'", "'")
CLEAN = {"PATH": os.defpath, "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null"}


def git(root: Path, *command: str) -> str:
    who = ("-c", "user.name=ann", "-c", "user.email=ann@shop.invalid")
    done = subprocess.run(
        ["git", *who, *command], cwd=root, env=CLEAN, check=True, stdin=subprocess.DEVNULL, capture_output=True
    )
    return done.stdout.decode().strip()


@pytest.fixture
def root(write: Write) -> Path:
    root = write({"shop.py": SHOP, "till.py": SHOP})
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "-A")
    git(root, "commit", "--quiet", "-m", "first")
    return root


@pytest.fixture
def scope(root: Path, tmp_path: Path) -> ToolScope:
    (tmp_path / "scratch").mkdir()
    data = {"repository": str(root)}
    return ToolScope(run_id="r1", step="s", role="r", intent="i", scratch=tmp_path / "scratch", data=data)


def patch(scope: ToolScope, path: str, before: str = SHOP, after: str = MENDED) -> Stored:
    name = f"patches/{path}.patch"
    file = scratch_file(scope.scratch, name)
    file.parent.mkdir(exist_ok=True)
    file.write_text(difference(path, before, after))
    return stored(scope.scratch, name)


def committed(scope: ToolScope, *patches: Stored, branch: str = "audit/mended", base: str = "") -> Committed:
    root = Path(scope.source("repository"))
    done = git_branch_commit(
        branch=branch, base=base or git(root, "rev-parse", "HEAD"), patches=patches, intent="i", scope=scope
    )
    assert isinstance(done, Committed)
    return done


def test_the_branch_holds_the_audited_commit_and_one_more_with_all_patches(root: Path, scope: ToolScope) -> None:
    (root / "till.py").write_text("somebody works here\n")
    (root / "new.py").write_text("and here\n")
    git(root, "add", "new.py")
    before = (git(root, "status", "--porcelain"), git(root, "rev-parse", "HEAD"), (root / ".git/index").read_bytes())

    done = committed(scope, patch(scope, "shop.py"), patch(scope, "till.py"))

    assert git(root, "rev-parse", "audit/mended") == done.commit
    assert git(root, "rev-parse", "audit/mended^") == before[1]
    assert git(root, "show", "audit/mended:shop.py") == git(root, "show", "audit/mended:till.py") == MENDED.strip()
    assert git(root, "diff", "--name-only", "main", "audit/mended").split() == ["shop.py", "till.py"]
    assert "shop.py.patch\ntill.py.patch" in git(root, "log", "-1", "--format=%B", "audit/mended")
    after = (git(root, "status", "--porcelain"), git(root, "rev-parse", "HEAD"), (root / ".git/index").read_bytes())
    assert after == before


def test_the_same_patches_on_the_same_commit_are_the_same_commit(root: Path, scope: ToolScope) -> None:
    once = committed(scope, patch(scope, "shop.py"))
    twice = committed(scope, patch(scope, "shop.py"))
    elsewhere = committed(scope, patch(scope, "shop.py"), branch="other")

    assert once == twice
    assert elsewhere.commit == once.commit
    assert git(root, "for-each-ref", "--format=%(refname:short)") == "audit/mended\nmain\nother"


def test_a_branch_that_is_there_stays_as_it_is(root: Path, scope: ToolScope) -> None:
    git(root, "branch", "mine")
    before = git(root, "rev-parse", "mine")

    with pytest.raises(ToolNotDoneError, match="stays as it is"):
        committed(scope, patch(scope, "shop.py"), branch="mine")
    with pytest.raises(RefusedError, match="the current branch stays"):
        committed(scope, patch(scope, "shop.py"), branch="main")

    assert git(root, "rev-parse", "mine") == git(root, "rev-parse", "main") == before


@pytest.mark.parametrize("name", ["", "-f", "a..b", "a b", "refs/../x", "a.lock", "@{-1}"])
def test_what_is_no_name_of_a_branch_makes_none(root: Path, scope: ToolScope, name: str) -> None:
    with pytest.raises(RefusedError, match="cannot be the name"):
        committed(scope, patch(scope, "shop.py"), branch=name)

    assert git(root, "for-each-ref", "--format=%(refname:short)") == "main"


def test_a_patch_that_does_not_fit_the_commit_makes_no_branch(root: Path, scope: ToolScope) -> None:
    with pytest.raises(ToolNotDoneError, match="does not fit the commit"):
        committed(scope, patch(scope, "shop.py"), patch(scope, "till.py", before="other\n", after="more\n"))
    with pytest.raises(ToolNotDoneError, match="is not there"):
        committed(scope, patch(scope, "shop.py"), base="0" * 40)

    assert git(root, "for-each-ref", "--format=%(refname:short)") == "main"


def test_a_branch_that_leads_to_another_one_makes_neither_of_that_name(root: Path, scope: ToolScope) -> None:
    git(root, "symbolic-ref", "refs/heads/audit/mended", "refs/heads/other")

    committed(scope, patch(scope, "shop.py"))

    assert git(root, "for-each-ref", "--format=%(refname:short) %(symref)") == "audit/mended \nmain"


def borrow_by_a_file(root: Path, other: Path) -> None:
    shutil.rmtree(root / ".git")
    (root / ".git").write_text(f"gitdir: {other}/.git\n")


def borrow_by_a_link(root: Path, other: Path) -> None:
    shutil.rmtree(root / ".git")
    (root / ".git").symlink_to(other / ".git")


def borrow_what_is_common(root: Path, other: Path) -> None:
    (root / ".git/commondir").write_text(f"{other}/.git\n")


def borrow_a_work_tree(root: Path, other: Path) -> None:
    (root / ".git").rename(root / "home")
    (root / ".git").write_text("gitdir: home\n")
    (root / "home/gitdir").write_text(f"{root}/.git\n")
    (root / "home/commondir").write_text(f"{other}/.git\n")


def borrow_branches(root: Path, other: Path) -> None:
    (root / ".git/refs/heads/audit").symlink_to(other / ".git/refs/heads")


def borrow_texts(root: Path, other: Path) -> None:
    shutil.rmtree(root / ".git/objects")
    (root / ".git/objects").symlink_to(other / ".git/objects")


@pytest.mark.parametrize(
    "borrow",
    [borrow_by_a_file, borrow_by_a_link, borrow_what_is_common, borrow_a_work_tree, borrow_branches, borrow_texts],
)
def test_what_belongs_to_another_repository_stays_as_it_is(
    root: Path, scope: ToolScope, tmp_path: Path, borrow: Callable[[Path, Path], None]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(root, other)
    base = git(root, "rev-parse", "HEAD")
    borrow(root, other)
    before = sorted(other.rglob("*"))

    with pytest.raises(RefusedError, match="another repository"):
        committed(scope, patch(scope, "shop.py"), base=base)

    assert sorted(other.rglob("*")) == before


def test_a_linked_work_tree_gets_its_branch_where_it_belongs(root: Path, tmp_path: Path) -> None:
    git(root, "worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"))
    (tmp_path / "scratch").mkdir()
    data = {"repository": str(tmp_path / "tree")}
    scope = ToolScope(run_id="r1", step="s", role="r", intent="i", scratch=tmp_path / "scratch", data=data)

    done = committed(scope, patch(scope, "shop.py"))

    assert git(root, "rev-parse", "audit/mended") == done.commit


def test_a_submodule_gets_its_branch(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outer").mkdir()
    git(tmp_path / "outer", "init", "--quiet")
    git(tmp_path / "outer", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(root), "inner")
    (tmp_path / "scratch").mkdir()
    data = {"repository": str(tmp_path / "outer" / "inner")}
    scope = ToolScope(run_id="r1", step="s", role="r", intent="i", scratch=tmp_path / "scratch", data=data)

    done = committed(scope, patch(scope, "shop.py"))

    assert git(tmp_path / "outer" / "inner", "rev-parse", "audit/mended") == done.commit


def test_nothing_that_the_repository_sets_up_runs(root: Path, scope: ToolScope, tmp_path: Path) -> None:
    marker, program = tmp_path / "ran", tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {marker}\ncat\n")
    program.chmod(0o755)
    for hook in ("reference-transaction", "post-commit", "pre-commit", "post-index-change"):
        (root / ".git/hooks").mkdir(exist_ok=True)
        (root / ".git/hooks" / hook).symlink_to(program)
    for name in ("core.fsmonitor", "gpg.program", "filter.x.clean", "filter.x.smudge", "diff.external"):
        git(root, "config", name, str(program))
    git(root, "config", "commit.gpgSign", "true")
    (root / ".gitattributes").write_text("*.py filter=x\n")

    done = committed(scope, patch(scope, "shop.py"))

    assert not marker.exists()
    git(root, "update-ref", "refs/heads/trap", done.commit)
    assert marker.exists(), "the trap catches nobody"


# --- the publisher ---


async def test_an_audit_that_names_a_branch_commits_its_patches_there_after_a_second_review(
    root: Path, bench_for: BenchFor
) -> None:
    bench = bench_for(root)

    reply = await bench.flow("audit", AuditRequest(path=str(root), branch="audit/mended"))

    assert isinstance(reply, Published)
    commit = git(root, "rev-parse", "audit/mended")
    assert reply.branch == f"audit/mended holds the patches as commit {commit[:12]}"
    assert f"branch: {reply.branch}" in summary(encode(reply))
    assert git(root, "show", "audit/mended:shop.py") == MENDED.strip()
    assert [call.tool for call in bench.calls if call.tool in {"fs.publish", "git.branch_commit"}] == [
        "fs.publish",
        "git.branch_commit",
    ]
    assert len(bench.reviews) == 2


async def test_a_branch_that_cannot_be_made_leaves_the_report_and_says_why(root: Path, bench_for: BenchFor) -> None:
    git(root, "branch", "audit/mended")
    before = git(root, "rev-parse", "audit/mended")

    there = await bench_for(root).flow("audit", AuditRequest(path=str(root), branch="audit/mended"))
    bench = bench_for(root)
    bench.person("", "not on a branch")
    refused = await bench.flow("audit", AuditRequest(path=str(root), branch="other"))

    assert isinstance(there, Published)
    assert there.branch.startswith("audit/mended was not made: ")
    assert there.branch.endswith("there is such a branch, and it stays as it is")
    assert isinstance(refused, Published)
    assert refused.branch == "other was not made: a person said no"
    assert git(root, "for-each-ref", "--format=%(refname:short)") == "audit/mended\nmain"
    assert git(root, "rev-parse", "audit/mended") == before
    assert (root / ".remit/report.md").is_file()


async def test_without_a_patch_or_a_commit_there_is_no_branch(write: Write, bench_for: BenchFor) -> None:
    root = write({"shop.py": SHOP})

    reply = await bench_for(root).flow("audit", AuditRequest(path=str(root), branch="other"))

    assert isinstance(reply, Published)
    assert reply.branch == "other was not made: there is no commit to build on"
