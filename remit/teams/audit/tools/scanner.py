"""Tools that read Python: each call is one pass over a shard, in a process of its own."""

import os
import sys
from pathlib import Path
from typing import TypeVar

import msgspec

from remit import ToolFailedError, ToolScope, run_program, tool
from remit.teams.audit.finding import Skill
from remit.teams.audit.sighting import Doubt, Look, Scan
from remit.teams.audit.tools.scan import Request
from remit.teams.audit.tools.scratch import Stored, fetched

T = TypeVar("T")
TIMEOUT_S = 60
COMMAND = (sys.executable, "-I", "-c", "from remit.teams.audit.tools.scan import main; main()")
"""Fixed. Isolated, so that no file of the audited repository is ever imported."""


@tool(name="py.ast", risk="low", effect="pure")
def py_ast(view: Skill, files: Stored, *, scope: ToolScope) -> Scan:
    """Give what one view sees in the files that a stored list names."""
    return answered(Request(view=view, root=scope.source("repository"), files=paths(scope, files)), Scan)


@tool(name="py.look_again", risk="low", effect="pure")
def py_look_again(doubts: tuple[Doubt, ...], files: Stored, *, scope: ToolScope) -> tuple[Look, ...]:
    """Look at cited places again, against the whole file and the tests among the listed files."""
    request = Request(view="again", root=scope.source("repository"), files=paths(scope, files), doubts=doubts)
    return answered(request, tuple[Look, ...])


def paths(scope: ToolScope, files: Stored) -> tuple[str, ...]:
    """Give the stored list of files."""
    return msgspec.json.decode(fetched(scope.scratch, files), type=tuple[str, ...])


def answered(request: Request, kind: type[T]) -> T:
    """Give what a process of its own answers to a request.

    Raises:
        ToolFailedError: it ended early.
    """
    done = run_program(
        COMMAND,
        folder=Path(sys.prefix),
        given=msgspec.json.encode(request),
        environment={"PATH": os.environ.get("PATH", os.defpath)},
        within_s=TIMEOUT_S,
    )
    if done.code:
        raise ToolFailedError("the scan ended early", got=done.errors.decode(errors="replace")[-300:])
    return msgspec.json.decode(done.output, type=kind)
