"""Calls that wait without a limit: for a peer, or for another program to end."""

import ast
from collections.abc import Iterator

from remit.teams.audit.code.callee import forwards, is_constant, keyword, names_of
from remit.teams.audit.code.complexity import seen
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import Source

_VERBS = ("get", "post", "put", "patch", "delete", "head", "options", "request")
NO_DEFAULT = {
    **{f"requests.{verb}": 99 for verb in _VERBS},
    "urllib.request.urlopen": 2,
    "socket.create_connection": 1,
    "http.client.HTTPConnection": 2,
    "http.client.HTTPSConnection": 99,
    "smtplib.SMTP": 3,
    "smtplib.SMTP_SSL": 99,
    "ftplib.FTP": 4,
    "imaplib.IMAP4": 2,
    "subprocess.run": 99,
    "subprocess.call": 99,
    "subprocess.check_call": 99,
    "subprocess.check_output": 99,
}
"""Callees that wait for ever unless told otherwise, and where the timeout stands among the arguments."""
PROGRAM = "subprocess."
_HTTPX = frozenset({*(f"httpx.{verb}" for verb in _VERBS), "httpx.Client", "httpx.AsyncClient", "httpx.stream"})


def sightings(source: Source) -> Iterator[Sighting]:
    """Give every call that waits for a peer without a limit; of those that wait for a program, the first for all."""
    names = names_of(source)
    waiting = [(call, callee) for call in source.nodes(ast.Call) if _waits(call, callee := names.callee(call))]
    programs = [(call, callee) for call, callee in waiting if callee.startswith(PROGRAM)]
    for call, callee in waiting:
        if not callee.startswith(PROGRAM):
            yield seen(source, "missing-timeout", call.lineno, detail=f"`{callee}`")
    if programs:
        call, callee = min(programs, key=lambda item: (item[0].lineno, item[0].col_offset))
        more = f", the first of {len(programs)} calls that run a program," if len(programs) > 1 else ""
        yield seen(source, "missing-timeout", call.lineno, detail=f"`{callee}`{more}")


def _waits(call: ast.Call, callee: str) -> bool:
    timeout = keyword(call, "timeout")
    if callee in _HTTPX:  # its default is five seconds
        return is_constant(timeout, value=None)
    if callee not in NO_DEFAULT or forwards(call):
        return False
    if timeout is None:
        return len(call.args) <= NO_DEFAULT[callee]
    return is_constant(timeout, value=None) and isinstance(timeout, ast.Constant)
