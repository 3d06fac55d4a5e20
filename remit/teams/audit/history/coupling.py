"""Files of different packages that change together, with no import between them to say why."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from remit.teams.audit.code.module_graph import Module, ModuleGraph, Unit, unit
from remit.teams.audit.history.commit_log import YEAR_S, History
from remit.teams.audit.place import place_of
from remit.teams.audit.source import Source, UnreadableError, load

WINDOW_S = 3 * YEAR_S
SUPPORT = 8
"""Commits that changed both."""
OF_RARER, OF_BUSIER = 0.7, 0.4
"""Share of these in the commits of the one that changes less often, and of the other."""
TOGETHER = 10
"""Shipped files in one commit; in a larger one it is no sign that two of them belong together."""
MOST = 200
"""Pairs whose imports are read."""
_NEVER = frozenset({"__init__.py", "__main__.py", "__version__.py", "version.py", "__about__.py"})
"""Files that change with everything, or with every release."""


class Pair(NamedTuple):
    """Two files, the first path first, and how many commits changed both."""

    one: str
    other: str
    commits: int


def pairs(history: History) -> list[Pair]:
    """Give the files that change together, most often first, whatever they import."""
    alone: Counter[str] = Counter()
    both: Counter[tuple[str, str]] = Counter()
    for commit in history.narrow:
        if commit.at <= history.now - WINDOW_S:
            continue
        shipped = sorted({path for path in commit.paths if _may_speak(path)})
        alone.update(shipped)
        if len(shipped) <= TOGETHER:
            both.update(combinations(shipped, 2))
    found = [
        Pair(one, other, count) for (one, other), count in both.items() if _is_close(alone[one], alone[other], count)
    ]
    apart = [pair for pair in found if PurePosixPath(pair.one).parent != PurePosixPath(pair.other).parent]
    return sorted(apart, key=lambda pair: (-pair.commits, pair.one, pair.other))


def hidden(root: Path, files: Iterable[str], found: Iterable[Pair]) -> list[Pair]:
    """Give those pairs of which neither imports or names the other; each file once, with its closest companion."""
    candidates = [*found][:MOST]
    graph = Imports(root, files, {path for pair in candidates for path in pair[:2]})
    told: list[Pair] = []
    for pair in candidates:
        spoken = {path for item in told for path in item[:2]}
        if not {pair.one, pair.other} & spoken and not graph.joins(pair.one, pair.other):
            told.append(pair)
    return told


class Imports:
    """What some files of a tree import; the others are known by their names only."""

    def __init__(self, root: Path, files: Iterable[str], read: set[str]) -> None:
        units = [_unit(root, path) if path in read else _stub(path) for path in files]
        self._unread = {item.source.path for item in units if not item.source.digest}
        self._graph = ModuleGraph(units)
        self._modules: Mapping[str, Module] = {module.source.path: module for module in self._graph.modules}

    def joins(self, one: str, other: str) -> bool:
        """Say whether one file imports or names the other, or its package, or whether that cannot be known."""
        if {one, other} & self._unread:
            return True
        first, second = self._modules[one], self._modules[other]
        return self._reaches(first, second) or self._reaches(second, first)

    def _reaches(self, module: Module, target: Module) -> bool:
        package = str(PurePosixPath(target.source.path).parent / "__init__.py")
        named = "." in target.name and target.name in module.source.text
        return named or bool({target.source.path, package} & set(self._imported(module)))

    def _imported(self, module: Module) -> Iterator[str]:
        for node in module.unit.imports:
            yield from (found.source.path for found in self._graph.imported(module, node))


def _unit(root: Path, path: str) -> Unit:
    try:
        return unit(load(root, path))
    except UnreadableError:
        return _stub(path)


def _stub(path: str) -> Unit:
    return Unit(source=Source(path, "", ""), at_start=(), imports=(), idle=frozenset())


def _may_speak(path: str) -> bool:
    return PurePosixPath(path).name not in _NEVER and place_of(path) == "shipped"


def _is_close(one: int, other: int, both: int) -> bool:
    rarer, busier = sorted((one, other))
    return both >= SUPPORT and both >= OF_RARER * rarer and both >= OF_BUSIER * busier
