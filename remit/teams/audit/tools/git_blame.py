"""The tool that asks git when single lines were written."""

from remit import ToolScope, tool
from remit.teams.audit.sighting import Scan
from remit.teams.audit.tools.request import Request
from remit.teams.audit.tools.scanner import paths, whole
from remit.teams.audit.tools.scratch import Stored


@tool(name="git.blame", risk="low", effect="pure")
def git_blame(files: Stored, *, scope: ToolScope) -> Scan:
    """Give the listed files in which a comment has waited for years, in a process of its own."""
    return whole(Request(view="blame", root=scope.source("repository"), files=paths(scope, files)))
