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
_ALONE = 2
"""Words of a program with one option."""
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
        call, callee = min(programs, key=lambda item: (ends_soon(source, item[0]) != "", *_place(item[0])))
        more = f", the first of {len(programs)} calls that run a program," if len(programs) > 1 else ""
        yield seen(source, "missing-timeout", call.lineno, detail=f"`{callee}`{more}")


def _place(call: ast.Call) -> tuple[int, int]:
    return call.lineno, call.col_offset


def ends_soon(source: Source, call: ast.Call) -> str:
    """Say why nobody sets a limit to a program: it tells its version, or installs something; empty if neither."""
    words = _words(source, call)
    if "--version" in words or (len(words) == _ALONE and words[1] in {"-v", "-V"}):
        return "it asks a program for its version"
    return "it installs something, which takes as long as it takes" if "install" in words[1:] else ""


def _words(source: Source, call: ast.Call) -> list[str]:
    """Give the words of a command, those that are not written here as empty."""
    command: ast.expr | None = call.args[0] if call.args else keyword(call, "args")
    if isinstance(command, ast.Name):
        name = command.id
        given = [node for node in source.nodes(ast.Assign) if node.lineno < call.lineno]
        named = [node for node in given if any(isinstance(item, ast.Name) and item.id == name for item in node.targets)]
        command = max(named, key=lambda node: node.lineno).value if named else None
    if isinstance(command, ast.Constant):
        return str(command.value).split()
    items = command.elts if isinstance(command, ast.List | ast.Tuple) else []
    return [str(item.value) if isinstance(item, ast.Constant) else "" for item in items]


def _waits(call: ast.Call, callee: str) -> bool:
    timeout = keyword(call, "timeout")
    if callee in _HTTPX:  # its default is five seconds
        return is_constant(timeout, value=None)
    if callee not in NO_DEFAULT or forwards(call):
        return False
    if timeout is None:
        return len(call.args) <= NO_DEFAULT[callee]
    return is_constant(timeout, value=None) and isinstance(timeout, ast.Constant)
