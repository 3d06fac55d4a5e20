"""What Python files import: widely by the look of a line, and exactly by syntax where somebody asks."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from remit.teams.audit.source import Source, children, unparsed
from remit.teams.audit.supply.paths import is_above, is_python

_ONE = r"[\w.]+(?:[ \t]+as[ \t]+\w+)?"
_FROM = re.compile(r"from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^()]{0,2000}|[ \t\w,]*)")
_IMPORT = re.compile(rf"import[ \t]+({_ONE}(?:[ \t]*,[ \t]*{_ONE})*)")
_OPENS = (";", ":", '"', ">>>", "...")
"""What an import stands after, if not at the start of its line: a statement, a notebook's quote, a doctest."""
_DYNAMIC = re.compile(
    r"(?:import_module|__import__|importorskip|find_spec|try_import|lazy_import\w*)\([ \t\n]*[\"']([\w.]+)"
)
_WIDEST = 400
"""Characters before an import that are looked at."""
_FIRM = (ast.Module, ast.ClassDef)
"""Blocks whose statements run whenever the module is imported, and in no other case."""
Way = Literal["firm", "tried", "other"]
"""firm: the module cannot be imported without it · tried: in a `try`, or where one fell through · other: in a function,
or under a condition."""


@dataclass(frozen=True, kw_only=True)
class Import:
    """One name that a file imports."""

    name: str
    """In full: `google.cloud.storage` for `from google.cloud import storage`."""
    line: int
    way: Way


def named(text: str) -> set[str]:
    """Give every name that a text seems to import, in full, also in doctests and in notebooks."""
    found = set(_DYNAMIC.findall(text))
    for said in _FROM.finditer(text):
        base, names = said.groups()
        if not base.startswith(".") and _begins(text, said.start()):
            found.add(base)
            found.update(f"{base}.{name}" for name in re.findall(r"\w+", names))
    for said in _IMPORT.finditer(text):
        if _begins(text, said.start()):
            found.update(part.split()[0] for part in said[1].split(",") if part.split())
    return found


def _begins(text: str, at: int) -> bool:
    """Say whether a statement may begin at a place; asked afterwards, so that patterns begin with a word, for speed."""
    before = text[max(text.rfind("\n", 0, at) + 1, at - _WIDEST) : at].strip()
    return not before or before.endswith(_OPENS)


def imports(source: Source) -> Iterator[Import]:
    """Give what the statements of a file import, relative imports left out.

    Raises:
        UnreadableError: it does not parse.
    """
    waiting: list[tuple[ast.AST, Way]] = [(source.tree, "firm")]
    while waiting:
        node, way = waiting.pop()
        inner = _inside(node, way)
        waiting.extend((child, inner) for child in reversed(children(node)))
        for name in _names(node):
            yield Import(name=name, line=getattr(node, "lineno", 1), way=way)


def _inside(node: ast.AST, way: Way) -> Way:
    """Say how what stands in a block is imported."""
    if isinstance(node, ast.Try) or (isinstance(node, ast.With) and "suppress" in unparsed(node.items[0])):
        return "tried"
    return way if isinstance(node, _FIRM) or way == "tried" else "other"


def _names(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str() as base, level=0, names=names):
            return [f"{base}.{alias.name}" for alias in names]
        case _:
            return []


class Own:
    """Names under which the repository's own modules are imported."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        python = [PurePosixPath(path) for path in paths if is_python(path)]
        packages = {path.parent for path in python if path.stem == "__init__"}
        self._tops = {path.parent: _top(path.parent, packages) for path in python}
        self._names: set[str] = set()
        self._beside: dict[PurePosixPath, set[str]] = {}
        for path in python:
            top = self._tops[path.parent]
            outside = path.parent if top is None else top.parent
            self._names.update(outside.parts, {path.stem if top is None else top.name})
            self._beside.setdefault(path.parent, set()).add(path.stem)

    def has(self, name: str, path: str) -> bool:
        """Say whether a file that imports a name may mean a module of the repository."""
        top = name.partition(".")[0]
        return top in self._names or top in self._beside.get(PurePosixPath(path).parent, ())

    def package(self, path: str) -> PurePosixPath | None:
        """Give the folder of the topmost package around a file; None if it is in none."""
        return self._tops.get(PurePosixPath(path).parent)

    def packages(self, home: str) -> set[PurePosixPath]:
        """Give the topmost packages below a folder."""
        return {top for top in self._tops.values() if top is not None and is_above(home, str(top))}


def _top(folder: PurePosixPath, packages: set[PurePosixPath]) -> PurePosixPath | None:
    if folder not in packages:
        return None
    while folder.parent in packages and folder.parent != folder:
        folder = folder.parent
    return folder
