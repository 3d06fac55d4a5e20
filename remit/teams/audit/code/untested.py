"""Modules that no test reaches: neither imported by a test nor named in one, nor put to use by a module that is."""

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import PurePosixPath

from remit.teams.audit.code.complexity import seen
from remit.teams.audit.code.module_graph import Module, ModuleGraph
from remit.teams.audit.place import is_test_data, place_of
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import Source

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEFINED = re.compile(r"^(?:async )?def ([A-Za-z]\w*)", re.MULTILINE)
_QUOTED = re.compile(r"[\"']([A-Za-z_]\w*(?:\.\w+){1,8})[\"']")
UNUSED = "nothing imports it and no test names it"
_NEVER = frozenset({"__init__.py", "__main__.py", "conftest.py", "setup.py", "_version.py", "version.py"})


class Tests:
    """What the tests of a tree import, and every word in them."""

    def __init__(self, graph: ModuleGraph) -> None:
        self.words: set[str] = set()
        self.imported: set[str] = set()
        self.named: set[str] = set()
        """What test files are called after: `cart` for `test_cart.py`."""
        for module in graph.modules:
            if place_of(module.source.path) == "test" and not is_test_data(module.source.path):
                self.words.update(words_of(module.source))
                self.named.add(PurePosixPath(module.source.path).stem.removeprefix("test_").removesuffix("_test"))
                for node in module.unit.imports:
                    self.imported.update(target.source.path for target in graph.imported(module, node))
                self.imported.update(_quoted(graph, module))
        self._follow(graph)

    def mention(self, module: Module) -> bool:
        """Say whether a test imports a module, is called after it, or says its name, if that is no common word."""
        package, _dot, stem = module.name.rpartition(".")
        bare = stem.strip("_")
        is_called = bare in self.named or f"{package.rpartition('.')[2]}_{bare}" in self.named
        return is_called or ("_" in bare and stem in self.words) or module.source.path in self.imported

    def _follow(self, graph: ModuleGraph) -> None:
        """Add what stands behind the packages that tests import, and what the modules that tests reach use by name."""
        packages = [module for module in graph.modules if module.source.path.endswith("/__init__.py")]
        waiting = [module for module in packages if module.source.path in self.imported]
        while waiting:
            package = waiting.pop()
            words = None if self.words & {*_DEFINED.findall(package.source.text)} else self.words
            new = {item.source.path for item in self._used(graph, package, words)} - self.imported
            self.imported |= new
            waiting += [module for module in packages if module.source.path in new]
        reached = [module for module in graph.modules if self.mention(module) and module not in packages]
        while reached:
            module = reached.pop()
            if place_of(module.source.path) != "test":
                used = {item.source.path: item for item in self._used(graph, module, None)}
                reached += [item for path, item in used.items() if path not in self.imported]
                self.imported |= used.keys()

    def _used(self, graph: ModuleGraph, module: Module, words: set[str] | None) -> Iterator[Module]:
        """Give the modules of which one imports a public name, or one of some words, when it is imported itself."""
        for node in module.unit.at_start:
            for alias, found, is_whole in graph.bound(module, node) if isinstance(node, ast.ImportFrom) else ():
                name = alias.asname or alias.name
                if is_whole and f"{name}." not in module.source.text:
                    continue
                if not alias.name.startswith(("_", "*")) and (words is None or name in words):
                    yield found


class Users:
    """Who imports or names the modules of a tree."""

    def __init__(self, graph: ModuleGraph, declared: str) -> None:
        self._graph, self._declared = graph, declared

    def has(self, module: Module) -> bool:
        """Say whether somebody imports a module, names it in full, runs it, or is likely to load it by its folder."""
        path = PurePosixPath(module.source.path)
        if module.source.path in self._imported or "__main__" in module.source.text:
            return True
        beside = [item for item in self._modules_beside(path) if item is not module]
        if not any(item.source.path in self._imported for item in beside):
            return True  # modules of which nobody imports any are loaded by their folder, as migrations are
        texts = (item.source.text for item in self._graph.modules if item is not module)
        return module.name in self._declared or any(module.name in text for text in texts)

    def _modules_beside(self, path: PurePosixPath) -> Iterator[Module]:
        for item in self._graph.modules:
            other = PurePosixPath(item.source.path)
            if other.parent == path.parent and other.name != "__init__.py":
                yield item

    @cached_property
    def _imported(self) -> set[str]:
        graph = self._graph
        nodes = ((module, node) for module in graph.modules for node in module.unit.imports)
        return {target.source.path for module, node in nodes for target in graph.imported(module, node)}


def sightings(graph: ModuleGraph, shipped: frozenset[str], declared: str = "") -> Iterator[Sighting]:
    """Give every shipped module of a package that no test mentions; nothing if there are no tests at all.

    `declared` is the text in which the project names what others start, such as its `pyproject.toml`.
    """
    tests, users = Tests(graph), Users(graph, declared)
    for module in graph.modules if tests.words else ():
        path = module.source.path
        if path not in shipped or PurePosixPath(path).name in _NEVER or "." not in module.name:
            continue
        if not tests.mention(module):
            said = "no test names it" if users.has(module) else UNUSED
            yield seen(module.source, "untested-module", 1, measure=code_lines(module.source), detail=said)


def _quoted(graph: ModuleGraph, test: Module) -> Iterator[str]:
    """Give the modules that a test names in its texts, as it does for what it replaces."""
    for name in dict.fromkeys(_QUOTED.findall(test.source.text)):
        parts = name.split(".")
        prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        found = next(filter(None, (graph.find(prefix, test.root) for prefix in prefixes)), None)
        if found is not None:
            yield found.source.path


def words_of(source: Source) -> set[str]:
    """Give every word of a file, in code, text and comments."""
    return set(_WORD.findall(source.text))


def code_lines(source: Source) -> int:
    """Count the lines that are neither blank nor a comment."""
    return sum(1 for line in source.lines if line.strip() and not line.lstrip().startswith("#"))
