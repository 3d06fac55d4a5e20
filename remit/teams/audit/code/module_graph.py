"""Which module imports which when it is imported, and the cycles among them."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from remit.teams.audit.code.complexity import seen
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import Source, children, parsed, statements, unparsed

_BLOCKS = (ast.Module, ast.ClassDef, ast.If, ast.Try, ast.With, ast.ExceptHandler, ast.For, ast.While)
"""What runs at import time and may hold an import."""
_NEVER_RUNS = re.compile(r"TYPE_CHECKING|__name__ == ['\"]__main__")
"""Conditions under which nothing is imported when somebody else imports the module."""
SHOWN = 4
"""Modules of a cycle that are named."""


Import = ast.Import | ast.ImportFrom


@dataclass(frozen=True)
class Unit:
    """What the view of the whole tree keeps of a file: its text and its imports; its syntax tree is dropped."""

    source: Source
    at_start: tuple[Import, ...]
    """Imports that run when the module is imported: not those in functions or for type checkers."""
    imports: tuple[Import, ...]
    idle: frozenset[int]
    """Lines of documentation and imports."""


def unit(source: Source) -> Unit:
    """Read what the view of the whole tree needs.

    Raises:
        UnreadableError: the file does not parse.
    """
    tree = parsed(source.text)
    every = statements(tree)
    idle = [node for node in every if isinstance(node, Import) or _is_text(node)]
    return Unit(
        source=source,
        at_start=tuple(at_start(tree)),
        imports=tuple(node for node in every if isinstance(node, Import)),
        idle=frozenset(line for node in idle for line in range(node.lineno, (node.end_lineno or 0) + 1)),
    )


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@dataclass(frozen=True)
class Module:
    """A file under its imported name, and the folder from which that name counts."""

    name: str
    root: str
    unit: Unit

    @property
    def source(self) -> Source:
        """The file."""
        return self.unit.source

    @property
    def package(self) -> str:
        """The package that relative imports count from."""
        return self.name if self.source.path.endswith("/__init__.py") else self.name.rpartition(".")[0]


class ModuleGraph:
    """The modules of a tree, found by the names under which they import one another."""

    def __init__(self, units: Sequence[Unit]) -> None:
        paths = [item.source.path for item in units]
        packages = {str(PurePosixPath(path).parent) for path in paths if path.endswith("/__init__.py")}
        self.modules = [_module(item, packages) for item in units]
        self._by_name = {(module.root, module.name): module for module in reversed(self.modules)}
        self._anywhere = {module.name: module for module in reversed(self.modules)}

    def find(self, name: str, root: str) -> Module | None:
        """Give the module of a name: in the same root, else in another one."""
        return self._by_name.get((root, name)) or self._anywhere.get(name)

    def imported(self, module: Module, node: Import) -> Iterator[Module]:
        """Give the modules of the tree that one import statement names."""
        for _alias, found, _is_whole in self.bound(module, node):
            yield found

    def bound(self, module: Module, node: Import) -> Iterator[tuple[ast.alias, Module, bool]]:
        """Give what an import binds: the name, its module of the tree, and whether it is the module itself."""
        for alias, name in zip(node.names, _names(node, module.package), strict=True):
            whole = self.find(name, module.root)
            found = whole or self.find(name.rpartition(".")[0], module.root)
            if found is not None and found is not module:
                yield alias, found, whole is not None

    def cycles(self) -> Iterator[Sighting]:
        """Give every group of modules that import one another, at its first module."""
        lines: dict[tuple[str, str], int] = {}
        edges: dict[str, list[str]] = {}
        by_path = {module.source.path: module for module in self.modules}
        for module in self.modules:
            targets = edges.setdefault(module.source.path, [])
            for node in module.unit.at_start:
                for target in self.imported(module, node):
                    lines.setdefault((module.source.path, target.source.path), node.lineno)
                    targets.append(target.source.path)
        for group in components(edges):
            loop = shortest_loop(group[0], edges, frozenset(group))
            names = " -> ".join(by_path[path].name for path in loop[:SHOWN])
            names += " -> …" if len(loop) > SHOWN else ""
            line = lines[loop[0], loop[1]]
            yield seen(by_path[group[0]].source, "import-cycle", line, measure=len(group), detail=names)


def at_start(tree: ast.Module) -> Iterator[Import]:
    """Give the imports that run when the module is imported."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Import):
            yield node
        elif isinstance(node, _BLOCKS) and not (isinstance(node, ast.If) and _NEVER_RUNS.search(unparsed(node.test))):
            waiting.extend(reversed(children(node)))


def components(edges: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Give the groups of two and more nodes that reach one another, each sorted (Tarjan, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    waiting: set[str] = set()
    found: list[list[str]] = []
    for start in sorted(edges):
        if start in index:
            continue
        work: list[tuple[str, Iterator[str]]] = [(start, iter(edges[start]))]
        index[start] = low[start] = len(index)
        stack.append(start)
        waiting.add(start)
        while work:
            node, targets = work[-1]
            target = next(targets, None)
            if target is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    found.append(_popped(stack, waiting, node))
            elif target not in index:
                index[target] = low[target] = len(index)
                stack.append(target)
                waiting.add(target)
                work.append((target, iter(edges.get(target, ()))))
            elif target in waiting:
                low[node] = min(low[node], index[target])
    return sorted(sorted(group) for group in found if len(group) > 1)


def _popped(stack: list[str], waiting: set[str], node: str) -> list[str]:
    group: list[str] = []
    while not group or group[-1] != node:
        group.append(stack.pop())
        waiting.discard(group[-1])
    return group


def shortest_loop(start: str, edges: Mapping[str, Sequence[str]], group: frozenset[str]) -> list[str]:
    """Give the shortest way from a node back to itself, both ends included."""
    before: dict[str, str] = {}
    front = [start]
    while front:
        reached: list[str] = []
        for node in front:
            for target in sorted(set(edges[node]) & group):
                if target == start:
                    return [*_way(before, start, node), start]
                if target not in before:
                    before[target] = node
                    reached.append(target)
        front = reached
    return [start]


def _way(before: Mapping[str, str], start: str, node: str) -> list[str]:
    way = [node]
    while way[-1] != start:
        way.append(before[way[-1]])
    return way[::-1]


def _module(item: Unit, packages: set[str]) -> Module:
    path = PurePosixPath(item.source.path)
    parts = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while str(folder) in packages:
        parts.append(folder.name)
        folder = folder.parent
    return Module(name=".".join(reversed(parts)) or path.parent.name, root=str(folder), unit=item)


def _names(node: Import, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = node.module or ""
    if node.level:
        parts = package.split(".")
        kept = parts[: len(parts) - node.level + 1]
        base = ".".join([*kept, *([node.module] if node.module else [])])
    yield from (f"{base}.{alias.name}" for alias in node.names)
