"""Calls that wait without a limit: for a peer, or for another program to end."""

import ast
import re
from collections.abc import Iterator

from remit.teams.audit.code.callee import forwards, is_constant, keyword, names_of
from remit.teams.audit.code.complexity import seen
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import Source, unparsed

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
_PYTHON = re.compile(r"(?:.*/)?python[\d.]*")
_FILE_TOOLS = frozenset({"pybabel", "alembic"})
_MIGRATES = frozenset({"migrate", "makemigrations"})
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
        call, callee = min(programs, key=lambda item: (_rank(source, item[0]), *_place(item[0])))
        more = f", the first of {len(programs)} calls that run a program," if len(programs) > 1 else ""
        yield seen(source, "missing-timeout", call.lineno, detail=f"`{callee}`{more}")


def _rank(source: Source, call: ast.Call) -> int:
    return 2 if ends_soon(source, call) else 1 if own_program(source, call) else 0


def _place(call: ast.Call) -> tuple[int, int]:
    return call.lineno, call.col_offset


def ends_soon(source: Source, call: ast.Call) -> str:
    """Say why nobody sets a limit to a program: it tells its version, or installs something; empty if neither."""
    words = _words(source, call)
    if "--version" in words or (len(words) == _ALONE and words[1] in {"-v", "-V"}):
        return "it asks a program for its version"
    return "it installs something, which takes as long as it takes" if "install" in words[1:] else ""


def own_program(source: Source, call: ast.Call) -> str:
    """Say why a program that is waited for may take its time: it is Python, or works on files; empty if neither."""
    words, program = _words(source, call), _program(source, call)
    if program == "sys.executable" or (words and _PYTHON.fullmatch(words[0]) and _runs_module(words)):
        return "its child is Python with code of its own choice, which ends when its work is done"
    if words and (words[0] in _FILE_TOOLS or _MIGRATES & {*words[1:]}):
        return "its child works on the user's files on purpose, which takes as long as it takes"
    return ""


def _runs_module(words: list[str]) -> bool:
    return "-m" in words[1:] or any(word.endswith(".py") for word in words[1:])


def _program(source: Source, call: ast.Call) -> str:
    """Give the first part of a command as it is written; empty if it is no list."""
    command = _command(source, call)
    items = command.elts if isinstance(command, ast.List | ast.Tuple) else []
    return unparsed(items[0]) if items else ""


def _words(source: Source, call: ast.Call) -> list[str]:
    """Give the words of a command, those that are not written here as empty."""
    command = _command(source, call)
    if isinstance(command, ast.Constant):
        return str(command.value).split()
    items = command.elts if isinstance(command, ast.List | ast.Tuple) else []
    return [str(item.value) if isinstance(item, ast.Constant) else "" for item in items]


def _command(source: Source, call: ast.Call) -> ast.expr | None:
    """Give the command that a call runs, or what its name was given last above the call."""
    command: ast.expr | None = call.args[0] if call.args else keyword(call, "args")
    if isinstance(command, ast.Name):
        name = command.id
        given = [node for node in source.nodes(ast.Assign) if node.lineno < call.lineno]
        named = [node for node in given if any(isinstance(item, ast.Name) and item.id == name for item in node.targets)]
        return max(named, key=lambda node: node.lineno).value if named else None
    return command


def _waits(call: ast.Call, callee: str) -> bool:
    timeout = keyword(call, "timeout")
    if callee in _HTTPX:  # its default is five seconds
        return is_constant(timeout, value=None)
    if callee not in NO_DEFAULT or forwards(call):
        return False
    if timeout is None:
        return len(call.args) <= NO_DEFAULT[callee]
    return is_constant(timeout, value=None) and isinstance(timeout, ast.Constant)
