"""Modules that no test mentions: neither imported by a test nor named in one."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from remit.teams.audit.complexity import seen
from remit.teams.audit.module_graph import Module, ModuleGraph
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import Source, UnreadableError

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NEVER = frozenset({"__init__.py", "__main__.py", "conftest.py", "setup.py", "_version.py", "version.py"})


class Tests:
    """What the tests of a tree import, and every word in them."""

    def __init__(self, graph: ModuleGraph, tests: Sequence[Source]) -> None:
        paths = {source.path for source in tests}
        self.words: set[str] = set()
        self.imported: set[str] = set()
        for module in graph.modules:
            if module.source.path in paths:
                self.words.update(_WORD.findall(module.source.text))
                self.imported.update(_imported(graph, module))

    def mention(self, module: Module) -> bool:
        """Say whether a test imports a module, or says its name."""
        stem = module.name.rpartition(".")[2]
        return module.source.path in self.imported or ("_" in stem.strip("_") and stem in self.words)


def sightings(graph: ModuleGraph, shipped: Sequence[Source], tests: Sequence[Source]) -> Iterator[Sighting]:
    """Give every shipped module of a package that no test mentions; nothing if there are no tests at all."""
    if not tests:
        return
    known = Tests(graph, tests)
    ours = {source.path for source in shipped}
    for module in graph.modules:
        path = module.source.path
        if path not in ours or PurePosixPath(path).name in _NEVER or "." not in module.name:
            continue
        if not known.mention(module):
            yield seen(module.source, "untested-module", 1, code_lines(module.source), detail=module.name)


def code_lines(source: Source) -> int:
    """Count the lines that are neither blank nor a comment."""
    return sum(1 for line in source.lines if line.strip() and not line.lstrip().startswith("#"))


def public_names(source: Source) -> set[str]:
    """Name the functions and classes that a module defines for others."""
    defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {node.name for node in source.tree.body if isinstance(node, defined) and not node.name.startswith("_")}


def _imported(graph: ModuleGraph, module: Module) -> Iterator[str]:
    try:
        tree = module.source.tree
    except UnreadableError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (target.source.path for target in graph.imported(module, node))
