"""Names that documents speak of and the code does not have."""

import ast
import re
from collections.abc import Iterator, Sequence

from remit.teams.audit.docs.code_span import literals, spans, without_code
from remit.teams.audit.docs.document import Document
from remit.teams.audit.docs.document_place import era_of
from remit.teams.audit.docs.own_names import OwnNames
from remit.teams.audit.docs.snippet import Code
from remit.teams.audit.sighting import Sighting

_FIRST = re.compile(r"\b(?P<name>[A-Za-z_]\w*+)\.")
_DOTTED = re.compile(r"(?P<name>[A-Za-z_]\w*+(?:\.[A-Za-z_]\w*+)++)(?P<call>\(.*\))?$")
_ROLE = re.compile(
    r":(?:py:)?(?P<role>class|func|meth|attr|mod|exc|data|const|obj):`(?:[^`<]*+<(?P<angle>[~!]?[\w.]*+)>|(?P<plain>[~!]?[\w.]*+)(?:\(\))?)`"
)
_AUTO = re.compile(
    r"[ \t]*(?:\.\.[ \t]+auto(?:class|function|module|method|exception|data|attribute)::|:::)[ \t]+(?P<name>[\w.]++)"
)
_DEFINED = re.compile(r"[ \t]*\.\.[ \t]+(?:py:)?[a-z]+::[ \t]+(?:async[ \t]+)?(?P<name>[A-Za-z_][\w.]*+)")
_SUFFIXES = frozenset(
    {"py", "pyi", "pyx", "md", "rst", "txt", "cfg", "toml", "ini", "yml", "yaml", "json", "html", "htm", "css", "js"}
    | {"ts", "svg", "png", "jpg", "gif", "ico", "conf", "env", "sh", "bat", "exe", "lock", "log", "service", "socket"}
    | {"sock", "pid", "db", "sqlite", "sqlite3", "csv", "xml", "po", "mo", "pot", "c", "h", "so", "dll", "zip", "gz"}
    | {
        "tar",
        "whl",
        "egg",
        "in",
        "rb",
        "go",
        "jar",
        "ipynb",
        "com",
        "org",
        "io",
        "net",
        "dev",
        "ai",
        "app",
        "co",
        "edu",
    }
    | {"gov", "me", "uk", "de", "eu", "info", "ml", "tv", "gg", "xyz", "git", "github", "readthedocs", "rtfd"}
)
"""How files and hosts end."""
_SHORT, _LONG = 2, 3
_TOLD = 4
"""Of names that are told together, beside the last."""


class DocNames:
    """Holds the names in documents against the repository's own packages."""

    def __init__(self, own: OwnNames, documents: Sequence[Document]) -> None:
        self._own = own
        self._defined = {name for document in documents for name in _described(document)}

    def sightings(self, document: Document, code: Sequence[Code]) -> Iterator[Sighting]:
        """Give every name that a current document speaks of and that is certainly not there."""
        if not self._own.packages or era_of(document.source.path) != "current":
            return
        for item in code:
            for number, parts in imported(item.tree):
                if parts[0] in self._own.packages and self._is_absent(parts):
                    yield _seen(document, "unknown-import", item.first + number - 1, detail=".".join(parts))
        pulled: dict[str, int] = {}
        for number, line in document.prose:
            if any(hit["name"] in self._own.packages for hit in _FIRST.finditer(line)):
                for name in dict.fromkeys(self._named(document, line)):
                    if _AUTO.match(line):
                        pulled.setdefault(name, number)
                    else:
                        yield _seen(document, "unknown-name", number, detail=name)
        if pulled:
            first = min(pulled.values())
            yield _seen(document, "unknown-name", first, detail=_together([*pulled]), count=len(pulled))

    def _named(self, document: Document, line: str) -> Iterator[str]:
        for name, is_plain in _mentions(document, line):
            parts = name.split(".")
            if parts[0] not in self._own.packages or len(parts) < _SHORT or "" in parts:
                continue
            if is_plain and not self._is_code(parts):
                continue
            if name not in self._defined and parts[-1] not in self._defined and self._is_absent(parts):
                yield name

    def _is_code(self, parts: Sequence[str]) -> bool:
        """Say whether a dotted name that nothing else marks is one of code, and not of a file, a host or a logger."""
        last = parts[-1]
        if last.lower() in _SUFFIXES:
            return False
        is_deep = len(parts) >= _LONG and self._own.is_module(parts[:2])
        return is_deep or (last[0].isupper() and not last.isupper())

    def _is_absent(self, parts: Sequence[str]) -> bool:
        return self._own.find(parts) == "absent"


def _mentions(document: Document, line: str) -> Iterator[tuple[str, bool]]:
    """Give the dotted names of a line, each with whether nothing but its form says that it is one."""
    if (auto := _AUTO.match(line)) is not None:
        yield auto["name"], False
    marked = spans(line) if document.is_markdown else literals(line)
    for _start, _end, text in marked:
        if (name := _DOTTED.match(text.strip())) is not None:
            yield name["name"], not name["call"]
    if ":`" in line:
        for role in _ROLE.finditer(line if document.is_markdown else without_code(line, literals)):
            said = role["angle"] or role["plain"] or ""
            if not said.startswith("!"):
                yield said.lstrip("~"), False


def imported(tree: ast.Module) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Give what a snippet imports, with the lines; not what it only tries to import."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.Try():
                continue
            case ast.Import(names=names):
                yield from ((node.lineno, tuple(alias.name.split("."))) for alias in names)
            case ast.ImportFrom(level=0, module=str(module), names=names):
                for alias in names:
                    last = () if alias.name == "*" else (alias.name,)
                    yield node.lineno, (*module.split("."), *last)
            case _:
                waiting.extend(item for item in ast.iter_child_nodes(node) if isinstance(item, ast.stmt))


def _described(document: Document) -> Iterator[str]:
    for _number, line in document.prose:
        if ".. " in line and (name := _DEFINED.match(line)) is not None and "auto" not in line[:12]:
            yield name["name"]
            yield name["name"].rpartition(".")[2]


def _together(names: Sequence[str]) -> str:
    """Give the names that a page of generated documentation pulls in as one: they went with one change."""
    *before, last = (name[:120] for name in names)
    more = f", {len(before) - _TOLD} more" if len(before) > _TOLD else ""
    return f"{'`, `'.join(before[:_TOLD])}`{more} and `{last}" if before else last


def _seen(document: Document, rule: str, line: int, *, detail: str, count: int = 1) -> Sighting:
    said = document.source.line(line)
    detail = detail if count > 1 else detail[:120]
    return Sighting(rule=rule, path=document.source.path, line=line, text=said, detail=detail, measure=count - 1)
