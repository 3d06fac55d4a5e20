"""Messages that were meant to be f-strings: the names in their braces are there, and nothing fills them in."""

import ast
import re
from collections.abc import Iterator

from remit.teams.audit.code.binding import bound
from remit.teams.audit.code.complexity import seen
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import Function, Source, unparsed

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
            twin = _twin(source, text, found[0])
            more = f"; its twin at line {twin} has it" if twin else ""
            said = f"`{_shown(found[0])}` is shown as it stands, because the text is no f-string{more}"
            yield seen(source, "missing-f-prefix", _line(source, text, found[0]), detail=said)


def _twin(source: Source, text: ast.Constant, field: str) -> int:
    """Give the line of the same text, with its f, in a function of the same name for other callers; 0 if none."""
    own = _around(source, text)
    if own is None:
        return 0
    for other in source.nodes(ast.JoinedStr):
        function = _around(source, other)
        is_twin = function is not None and function is not own and _are_twins(function.name, own.name)
        if is_twin and _template(other) == str(text.value).replace('"', "'"):
            return _line(source, other, field)
    return 0


def _around(source: Source, text: ast.expr) -> Function | None:
    around = [item for item in source.functions if item.lineno <= text.lineno <= (item.end_lineno or 0)]
    return max(around, key=lambda item: item.lineno, default=None)


def _are_twins(one: str, other: str) -> bool:
    """Say whether two names are the same, or differ in what tells a function for callers that await."""
    short, long = sorted((one.strip("_"), other.strip("_")), key=len)
    return long in {short, f"a{short}", f"async_{short}", f"{short}_async"}


def _template(text: ast.JoinedStr) -> str:
    """Give what stands in an f-string, with one kind of quotes."""
    parts = [str(part.value) if isinstance(part, ast.Constant) else _replaced(part) for part in text.values]
    return "".join(parts).replace('"', "'")


def _replaced(part: ast.expr) -> str:
    if not isinstance(part, ast.FormattedValue):
        return ""
    how = f"!{chr(part.conversion)}" if part.conversion >= 0 else ""
    spec = f":{_template(part.format_spec)}" if isinstance(part.format_spec, ast.JoinedStr) else ""
    return f"{{{unparsed(part.value)}{how}{spec}}}"


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


def _line(source: Source, text: ast.expr, field: str) -> int:
    """Give the line on which a field stands: of a text in several parts it need not be the first."""
    lines = range(text.lineno, (text.end_lineno or text.lineno) + 1)
    return next((number for number in lines if field in source.lines[number - 1]), text.lineno)
