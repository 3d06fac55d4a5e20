"""The tool that reads what the last audit left in the output folder."""

from pathlib import Path

import msgspec

from remit import ToolScope, tool
from remit.teams.audit.report.baseline import BASELINE, LIMIT_BYTES, NONE, read
from remit.teams.audit.source import UnreadableError, inside
from remit.teams.audit.tools.publication import output_folder
from remit.teams.audit.tools.scratch import Stored, scratch_file, stored

COPY = "last/baseline.json"
"""In the scratch folder: what was read, checked and written anew."""


class LastAudit(msgspec.Struct, frozen=True, kw_only=True):
    """The baseline of the last audit, in the scratch folder; or why there is none."""

    found: Stored | None = None
    problem: str = ""


@tool(name="fs.baseline", risk="low", effect="idempotent")
def fs_baseline(out: str, *, intent: str, scope: ToolScope) -> LastAudit:  # noqa: ARG001  # what stands there is the key
    """The baseline in the output folder, if it is one, is in the scratch folder. No other file is ever read.

    In the repository no symlink is followed out of it; an output folder elsewhere is where the person said.
    """
    root = Path(scope.source("repository"))
    folder = output_folder(str(root), out)
    if not (folder / BASELINE).exists():
        return LastAudit(problem=NONE)
    try:
        file = _file(root, folder)
    except UnreadableError as error:
        return LastAudit(problem=f"{BASELINE} is not read: {error.cause}")
    try:
        with file.open("rb") as open_file:
            data = open_file.read(LIMIT_BYTES + 1)
    except OSError as error:
        return LastAudit(problem=f"{BASELINE} is not read: {error.strerror}")
    if len(data) > LIMIT_BYTES:
        return LastAudit(problem=f"{BASELINE} is larger than {LIMIT_BYTES} bytes")
    found = read(data)
    if isinstance(found, str):
        return LastAudit(problem=found)
    copy = scratch_file(scope.scratch, COPY)
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(msgspec.json.encode(found))
    return LastAudit(found=stored(scope.scratch, COPY))


def _file(root: Path, folder: Path) -> Path:
    if folder.is_relative_to(root):
        return inside(root, str((folder / BASELINE).relative_to(root)))
    return inside(folder, BASELINE)
