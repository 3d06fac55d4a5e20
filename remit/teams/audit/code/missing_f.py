"""Messages that were meant to be f-strings: the names in their braces are there, and nothing fills them in."""

import ast
import re
from collections.abc import Iterator

from remit.teams.audit.code.binding import bound
from remit.teams.audit.code.complexity import seen
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import Source

_FIELD = re.compile(r"(?<!\{)\{(?P<name>[A-Za-z_]\w*)(?:\.\w+|\[[^\[\]{}]*\])*(?:![rsa])?(?::[^{}]*)?\}(?!\})")
_LOGGERS = frozenset({"log", "logger", "logging", "_log", "_logger", "LOG", "LOGGER"})
_LEVELS = frozenset({"debug", "info", "warning", "warn", "error", "critical", "exception", "fatal"})


def sightings(source: Source) -> Iterator[Sighting]:
    """Give every message in which a name of the function around it stands in braces, as in an f-string."""
    for text in _messages(source):
        names = [*_FIELD.finditer(str(text.value))]
        scope = _scope(source, text) if names else set[str]()
        found = next((item for item in names if item["name"] in scope), None)
        if found is not None and not _is_template(source, text, found[0]):
            yield seen(source, "missing-f-prefix", _line(source, text, found[0]), detail=_shown(found[0]))


def _shown(field: str) -> str:
    return " ".join(field.split())[:80]


def _messages(source: Source) -> Iterator[ast.Constant]:
    """Give the texts that are shown as they stand: the only argument of an exception, a log call or a print."""
    raised = [node.exc for node in source.nodes(ast.Raise)]
    shown = [call for call in source.nodes(ast.Call) if _shows(call)]
    for call in (*raised, *shown):
        match call:
            case ast.Call(args=[ast.Constant(value=str()) as text], keywords=[]):
                yield text
            case _:
                pass


def _shows(call: ast.Call) -> bool:
    match call.func:
        case ast.Name(id="print"):
            return True
        case ast.Attribute(attr=level, value=ast.Name(id=name) | ast.Attribute(attr=name)):
            return (name in _LOGGERS and level in _LEVELS) or (name, level) == ("warnings", "warn")
        case _:
            return False


def _scope(source: Source, text: ast.Constant) -> set[str]:
    around = [item for item in source.functions if item.lineno <= text.lineno <= (item.end_lineno or 0)]
    return {name for function in around for name in bound(function)}


def _is_template(source: Source, text: ast.Constant, field: str) -> bool:
    """Say whether another text of the file has the field, too: then it is filled in elsewhere, and spoken of here."""
    others = (node for node in source.nodes(ast.Constant) if node is not text and isinstance(node.value, str))
    return any(field in str(node.value) for node in others)


def _line(source: Source, text: ast.Constant, field: str) -> int:
    """Give the line on which a field stands: of a text in several parts it need not be the first."""
    lines = range(text.lineno, (text.end_lineno or text.lineno) + 1)
    return next((number for number in lines if field in source.lines[number - 1]), text.lineno)
