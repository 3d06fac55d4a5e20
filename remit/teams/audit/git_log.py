"""The tool that reads what git remembers."""

from remit import ToolScope, tool
from remit.teams.audit.scan import Request
from remit.teams.audit.scanner import answered, paths
from remit.teams.audit.scratch import Stored
from remit.teams.audit.sighting import Scan


@tool(name="git.log", risk="low", effect="pure")
def git_log(files: Stored, *, scope: ToolScope) -> Scan:
    """Give what the history of the listed files shows, in a process of its own."""
    return answered(Request(view="history", root=scope.source("repository"), files=paths(scope, files)), Scan)
