"""The tool that commits patches to a branch of their own: never the current one, never one that is there, no push.

The commit is made beside the working tree, in an index of its own, so that nothing that somebody is working on is
touched: all that is new are objects and one reference. Its author, date and words follow from what is committed, so
that the same patches on the same commit are the same commit, however often they are asked for.
"""

import os
import shutil
import tempfile
from pathlib import Path

import msgspec

from remit import RefusedError, ToolFailedError, ToolNotDoneError, ToolScope, run_program, tool
from remit.teams.audit.tools.git_home import check_own
from remit.teams.audit.tools.git_reader import ENVIRONMENT, OPTIONS
from remit.teams.audit.tools.scratch import Stored, fetched

AUTHOR, EMAIL = "remit audit", "audit@remit.invalid"
TIMEOUT_S = 60.0
_DOES_NOT_FIT = "a patch does not fit the commit; are there changes that are not committed?"


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """A branch with one commit more than its base."""

    branch: str
    commit: str


@tool(name="git.branch_commit", risk="high", effect="idempotent")
def git_branch_commit(
    *,
    branch: str,
    base: str,
    patches: tuple[Stored, ...],
    intent: str,  # noqa: ARG001  # the commit follows from what is committed: it is the same one
    scope: ToolScope,
) -> Committed:
    """A new branch holds `base` and one commit, in which all patches are applied."""
    root = Path(scope.source("repository"))
    with tempfile.TemporaryDirectory(dir=scope.scratch, prefix="index-") as folder:
        git = _Git(root, Path(folder) / "index")
        if problem := _unfit(git, branch):
            raise RefusedError(problem, where="branch", expected="a new branch", got=branch)
        check_own(
            root,
            root / git("rev-parse", "--absolute-git-dir"),
            root / git("rev-parse", "--git-common-dir"),
            work_tree=git.tried("config", "--get", "core.worktree")[1],
            branch=branch,
        )
        tree = _patched(git, base, [fetched(scope.scratch, patch) for patch in patches])
        commit = _commit(git, tree, base=base, patches=patches)
        _point(git, branch, commit)
    return Committed(branch=branch, commit=commit)


class _Git:
    """Git in the audited repository, with an index of our own; nothing of the repository's settings runs."""

    def __init__(self, root: Path, index: Path) -> None:
        found = shutil.which("git")
        if found is None:
            raise ToolFailedError("git is not installed", fix="install git")
        self._git = found
        self._root = root
        self._environment = {"PATH": os.defpath, **ENVIRONMENT, "GIT_INDEX_FILE": str(index)}

    def __call__(self, *command: str, given: bytes = b"", failed: str = "", **more: str) -> str:
        """Give what a command says; `failed` says what it means if that ends with an error."""
        code, output, errors = self.tried(*command, given=given, **more)
        if code:
            raise ToolNotDoneError(failed or "git refused", where=command[0], got=errors)
        return output

    def tried(self, *command: str, given: bytes = b"", **more: str) -> tuple[int, str, str]:
        """Give the exit code of a command and what it says."""
        done = run_program(
            [self._git, *OPTIONS, *command],
            folder=self._root,
            given=given,
            environment={**self._environment, **more},
            within_s=TIMEOUT_S,
        )
        return done.code, done.output.decode(errors="replace").strip(), done.errors.decode(errors="replace").strip()


def obstacle(root: Path, branch: str) -> str:
    """Say why there can be no such new branch in a repository; nothing if there can."""
    git = _Git(root, Path(os.devnull))
    if git.tried("rev-parse", "--git-dir")[0]:
        return "a branch needs a git repository"
    if problem := _unfit(git, branch):
        return problem
    is_there = not git.tried("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")[0]
    return "there is such a branch, and it stays as it is" if is_there else ""


def _unfit(git: _Git, branch: str) -> str:
    if branch.startswith("-") or git.tried("check-ref-format", f"refs/heads/{branch}")[0]:
        return "this cannot be the name of a branch"
    if git.tried("symbolic-ref", "--quiet", "HEAD")[1] == f"refs/heads/{branch}":
        return "the current branch stays as it is"
    return ""


def _patched(git: _Git, base: str, patches: list[bytes]) -> str:
    """Give the tree of `base` with all patches applied."""
    git("read-tree", f"{base}^{{commit}}", failed="the commit that was audited is not there")
    for patch in patches:
        git(
            "apply",
            "--cached",
            "--whitespace=nowarn",
            "-",
            given=patch,
            failed=_DOES_NOT_FIT,
        )
    return git("write-tree")


def _commit(git: _Git, tree: str, *, base: str, patches: tuple[Stored, ...]) -> str:
    when = git("show", "--no-patch", "--no-show-signature", "--format=%ct", f"{base}^{{commit}}")
    person = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", AUTHOR), ("EMAIL", EMAIL), ("DATE", f"{when} +0000"))
    }
    names = "\n".join(Path(patch.name).name for patch in patches)
    words = f"Mend what the audit found\n\nPatches, each tried on a copy first:\n{names}\n"
    return git("commit-tree", "--no-gpg-sign", tree, "-p", base, given=words.encode(), **person)


def _point(git: _Git, branch: str, commit: str) -> None:
    """The branch is there and names the commit; one that names another stays as it is."""
    code, stands, _errors = git.tried("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
    if not code and stands == commit:
        return
    if not code:
        raise ToolNotDoneError("there is such a branch, and it stays as it is", where=branch, got=stands)
    # Zeros for what stood there before: made only if there still is none, and no other one that its name leads to.
    git("update-ref", "--no-deref", f"refs/heads/{branch}", commit, "0" * len(commit))
