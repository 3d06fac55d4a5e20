"""The tool that runs the repository's own tests on a copy of it, before and after patches.

This runs foreign code with the rights of the gateway's user, so nobody may ask for it unless the task says which
command that is, and a person agrees to exactly that command every time.
"""

import shlex
import shutil
import tempfile
from pathlib import Path

import msgspec

from remit import RefusedError, ToolScope, run_program, tool
from remit.teams.audit.mending import Patch
from remit.teams.audit.source import UnreadableError, inside
from remit.teams.audit.tools.files import paths_of
from remit.teams.audit.tools.git_apply_check import applied
from remit.teams.audit.tools.scratch import fetched

TIMEOUT_S = 540
"""Of one run of the tests; there are two."""
OUTPUT_BYTES = 8 * 1024 * 1024
COPY_BYTES = 512 * 1024 * 1024
"""Of all files of the copy."""


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """How the tests ended on the repository as it is, and with all patches applied; or why they were not run."""

    before: int = 0
    """Exit code."""
    after: int = 0
    problem: str = ""

    @property
    def is_broken_by_patches(self) -> bool:
        """Whether the tests pass as it is, and fail with the patches."""
        return not self.problem and not self.before and bool(self.after)


@tool(name="proc.tests", risk="high", effect="pure")
def proc_tests(command: tuple[str, ...], patches: tuple[Patch, ...], *, scope: ToolScope) -> Tested:
    """Say how a command ends in a copy of the repository, and in the same copy with all patches applied.

    The copy is gone afterwards. The environment is empty but for a search path and a home that is gone, too.
    """
    allowed = tuple(shlex.split(scope.source("tests")))
    if not allowed or command != allowed:
        raise RefusedError(
            "the task does not allow this command", where="command", expected=str(allowed), got=str(command)
        )
    root = Path(scope.source("repository"))
    with tempfile.TemporaryDirectory(dir=scope.scratch, prefix="tests-") as name:
        copy, home = Path(name) / "repository", Path(name) / "home"
        home.mkdir()
        if problem := _copied(root, copy):
            return Tested(problem=problem)
        before = _run(command, copy, home)
        for patch in patches:
            if problem := applied(copy, fetched(scope.scratch, patch.file)):
                return Tested(before=before, problem=problem)
        return Tested(before=before, after=_run(command, copy, home))


def _copied(root: Path, copy: Path) -> str:
    """Copy what an audit looks at, and the data beside it; say why that cannot be done."""
    left = COPY_BYTES
    for path in paths_of(root, ""):
        try:
            source = inside(root, path)
        except UnreadableError:
            continue
        if (root / path).is_symlink():
            continue
        left -= source.stat().st_size
        if left < 0:
            return f"the repository is larger than {COPY_BYTES} bytes"
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copy2(source, copy / path)
        except OSError as error:
            return f"{path} cannot be copied: {error.strerror}"
    return ""


def _run(command: tuple[str, ...], copy: Path, home: Path) -> int:
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{copy / 'src'}:{copy}",  # before an installation that leads back to the original
        "HOME": str(home),
        "TMPDIR": str(home),
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return run_program(
        command, folder=copy, environment=environment, within_s=TIMEOUT_S, output_bytes=OUTPUT_BYTES
    ).code
