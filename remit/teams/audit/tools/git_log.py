"""The tool that reads what git remembers."""

from remit import ToolScope, tool
from remit.teams.audit.sighting import Scan
from remit.teams.audit.tools.request import Request
from remit.teams.audit.tools.scanner import paths, whole
from remit.teams.audit.tools.scratch import Stored


@tool(name="git.log", risk="low", effect="pure")
def git_log(files: Stored, *, scope: ToolScope) -> Scan:
    """Give what the history of the listed files shows, in a process of its own."""
    return whole(Request(view="history", root=scope.source("repository"), files=paths(scope, files)))
