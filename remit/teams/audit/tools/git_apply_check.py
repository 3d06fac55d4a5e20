"""The tool that tries patches on a copy of the files: each must apply, and what comes of it must compile.

The copy lies in the run's scratch folder, is made anew for every call, and is gone afterwards.
"""

import shutil
import tempfile
from pathlib import Path

import msgspec

from remit import ToolFailedError, ToolScope, run_program, tool
from remit.teams.audit.mending import Patch
from remit.teams.audit.source import UnreadableError, blob_digest, content, parsed
from remit.teams.audit.tools.scratch import fetched

TIMEOUT_S = 60
OPTIONS = ("apply", "--whitespace=nowarn")
"""Fixed; the patch comes on standard input."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a patch; nothing if it applies and compiles."""

    name: str
    problem: str = ""


@tool(name="proc.git_apply_check", risk="medium", effect="pure")
def proc_git_apply_check(patches: tuple[Patch, ...], *, scope: ToolScope) -> tuple[Checked, ...]:
    """Say of every patch whether it applies to its file as that was audited, and whether what comes of it compiles."""
    root = Path(scope.source("repository"))
    with tempfile.TemporaryDirectory(dir=scope.scratch, prefix="apply-") as name:
        return tuple(
            Checked(
                name=patch.name,
                problem=_copied(root, patch, Path(name))
                or _problem(Path(name), patch.path, fetched(scope.scratch, patch.file)),
            )
            for patch in patches
        )


def _copied(root: Path, patch: Patch, folder: Path) -> str:
    """Copy the file of a patch; say why that is not the file that was audited."""
    try:
        data = content(root, patch.path)
    except UnreadableError as error:
        return error.cause
    if patch.blob and blob_digest(data) != patch.blob:
        return "the file changed since it was audited"
    (folder / patch.path).parent.mkdir(parents=True, exist_ok=True)
    (folder / patch.path).write_bytes(data)
    return ""


def _problem(folder: Path, path: str, text: bytes) -> str:
    """Apply a patch to the copy; say what is wrong with it."""
    if problem := applied(folder, text, "--check") or applied(folder, text):
        return problem
    try:
        parsed((folder / path).read_bytes().decode())
    except (UnreadableError, UnicodeDecodeError) as error:
        return f"what comes of it does not compile: {error}"
    return ""


def applied(folder: Path, text: bytes, *options: str) -> str:
    """Apply a patch to a copy of the files that it changes, or only ask; give what git says against it."""
    environment = {
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(folder.parent),  # the copy is no part of a repository around it
        "LC_ALL": "C",
    }
    command = [_git(), *OPTIONS, *options, "-"]
    done = run_program(command, folder=folder, given=text, environment=environment, within_s=TIMEOUT_S)
    if not done.code:
        return ""
    said = [line.removeprefix("error: ") for line in done.errors.decode(errors="replace").splitlines()]
    return f"git apply says: {'; '.join(said) or done.code}"


def _git() -> str:
    found = shutil.which("git")
    if found is None:
        raise ToolFailedError("git is not installed", fix="install git")
    return found
