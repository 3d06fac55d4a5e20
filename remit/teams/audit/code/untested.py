"""Modules that no test mentions: neither imported by a test nor named in one."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from remit.teams.audit.code.complexity import seen
from remit.teams.audit.code.module_graph import Module, ModuleGraph
from remit.teams.audit.place import place_of
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import Source

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NEVER = frozenset({"__init__.py", "__main__.py", "conftest.py", "setup.py", "_version.py", "version.py"})


class Tests:
    """What the tests of a tree import, and every word in them."""

    def __init__(self, graph: ModuleGraph) -> None:
        self.words: set[str] = set()
        self.imported: set[str] = set()
        self.named: set[str] = set()
        """What test files are called after: `cart` for `test_cart.py`."""
        for module in graph.modules:
            if place_of(module.source.path) == "test":
                self.words.update(words_of(module.source))
                self.named.add(PurePosixPath(module.source.path).stem.removeprefix("test_").removesuffix("_test"))
                for node in module.unit.imports:
                    self.imported.update(target.source.path for target in graph.imported(module, node))

    def mention(self, module: Module) -> bool:
        """Say whether a test imports a module, is called after it, or says its name, if that is no common word."""
        stem = module.name.rpartition(".")[2]
        bare = stem.strip("_")
        is_said = bare in self.named or ("_" in bare and stem in self.words)
        return is_said or module.source.path in self.imported


def sightings(graph: ModuleGraph, shipped: frozenset[str]) -> Iterator[Sighting]:
    """Give every shipped module of a package that no test mentions; nothing if there are no tests at all."""
    tests = Tests(graph)
    for module in graph.modules if tests.words else ():
        path = module.source.path
        if path not in shipped or PurePosixPath(path).name in _NEVER or "." not in module.name:
            continue
        if not tests.mention(module):
            yield seen(module.source, "untested-module", 1, measure=code_lines(module.source), detail=module.name)


def words_of(source: Source) -> set[str]:
    """Give every word of a file, in code, text and comments."""
    return set(_WORD.findall(source.text))


def code_lines(source: Source) -> int:
    """Count the lines that are neither blank nor a comment."""
    return sum(1 for line in source.lines if line.strip() and not line.lstrip().startswith("#"))
