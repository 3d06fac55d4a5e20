"""Tools that read Python: each call is one pass over a shard, in a process of its own."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import packaging

from remit import ToolFailedError, ToolScope, run_program, tool
from remit.teams.audit.finding import Skill
from remit.teams.audit.history.blame import WHAT
from remit.teams.audit.history.commit_log import HISTORY
from remit.teams.audit.sighting import Doubt, Look, Scan, Skipped
from remit.teams.audit.tools import boot
from remit.teams.audit.tools.parts import in_parts
from remit.teams.audit.tools.request import Request
from remit.teams.audit.tools.scratch import Stored, fetched

T = TypeVar("T")
TIMEOUT_S = 60
LIBRARIES = tuple(dict.fromkeys(str(Path(library.__path__[0]).parent) for library in (msgspec, packaging)))
COMMAND = (sys.executable, "-I", "-S", boot.__file__, *LIBRARIES)
"""Fixed. Isolated, so that no file of the audited repository is ever imported."""

FILE_VIEWS = frozenset({"code", "security"})
"""Views of one file at a time."""
STRUCTURE, SUPPLY, DOCS = "what only all files together show", "dependencies", "documentation"
WHOLE_VIEWS = {"structure": STRUCTURE, "supply": SUPPLY, "docs": DOCS, "history": HISTORY, "blame": WHAT}
"""Views of many files at once, and what nobody looked at without them."""
EARLY = "the scan of it ended early"


@tool(name="py.ast", risk="low", effect="pure")
def py_ast(view: Skill, files: Stored, *, scope: ToolScope) -> Scan:
    """Give what one view sees in the files that a stored list names."""
    root, listed = scope.source("repository"), paths(scope, files)
    if view not in FILE_VIEWS:
        return whole(Request(view=view, root=root, files=listed))

    def scan(part: Sequence[str], seconds: float) -> Scan:
        return answered(Request(view=view, root=root, files=tuple(part)), Scan, within_s=seconds)

    return _joined(*in_parts(listed, scan), files=len(listed))


@tool(name="py.look_again", risk="low", effect="pure")
def py_look_again(doubts: tuple[Doubt, ...], files: Stored, *, scope: ToolScope) -> tuple[Look, ...]:
    """Look at cited places again, against the whole file and the tests among the listed files.

    Of a place at which no look could be taken nothing is said.
    """
    root, listed = scope.source("repository"), paths(scope, files)

    def look(part: Sequence[Doubt], seconds: float) -> tuple[Look, ...]:
        request = Request(view="again", root=root, files=listed, doubts=tuple(part))
        return answered(request, tuple[Look, ...], within_s=seconds)

    answers, _left = in_parts(doubts, look)
    return tuple(item for answer in answers for item in answer)


def whole(request: Request) -> Scan:
    """Give what a process of its own sees in all files together; if it ends early, that nobody looked."""

    def scan(_part: Sequence[Request], seconds: float) -> Scan:
        return answered(request, Scan, within_s=seconds)

    answers, left = in_parts([request], scan)
    skipped = tuple(Skipped(what=WHOLE_VIEWS[item.view], cause=EARLY) for item in left)
    return answers[0] if answers else Scan(files=len(request.files), skipped=skipped)


def _joined(answers: Sequence[Scan], left: Sequence[str], *, files: int) -> Scan:
    """Give the scans of parts as one; usually there is one part."""
    return Scan(
        files=files,
        lines=sum(scan.lines for scan in answers),
        sightings=tuple(item for scan in answers for item in scan.sightings),
        blobs=tuple(item for scan in answers for item in scan.blobs),
        skipped=(
            *(item for scan in answers for item in scan.skipped),
            *(Skipped(what=path, cause=EARLY) for path in sorted(left)),
        ),
        measures=tuple(item for scan in answers for item in scan.measures),
    )


def paths(scope: ToolScope, files: Stored) -> tuple[str, ...]:
    """Give the stored list of files."""
    return msgspec.json.decode(fetched(scope.scratch, files), type=tuple[str, ...])


def answered(request: Request, kind: type[T], *, within_s: float = TIMEOUT_S) -> T:
    """Give what a process of its own answers to a request.

    Raises:
        ToolFailedError: it ended early.
    """
    done = run_program(
        COMMAND,
        folder=Path(sys.prefix),
        given=msgspec.json.encode(request),
        environment={"PATH": os.environ.get("PATH", os.defpath)},
        within_s=within_s,
    )
    if done.code:
        raise ToolFailedError("the scan ended early", got=done.errors.decode(errors="replace")[-300:])
    return msgspec.json.decode(done.output, type=kind)
