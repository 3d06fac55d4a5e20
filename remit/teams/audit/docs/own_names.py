"""Which names the repository's own packages have, read from their source only where somebody asks.

The answer is `absent` only where every way in which the name could be there was looked at; a name that is bound, put
into a module or inherited in a way that source does not show is `unsure`.
"""

import ast
import builtins
import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from remit.teams.audit.docs.module_facts import ClassFacts, Facts, facts_of, said
from remit.teams.audit.docs.site import Site
from remit.teams.audit.place import place_of
from remit.teams.audit.source import UnreadableError, load

Answer = Literal["there", "absent", "unsure"]
Seen = frozenset[str]
"""Modules and classes that were asked on the way: a circle brings nothing new."""

_COMMON = frozenset(
    {"app", "apps", "main", "client", "server", "config", "settings", "db", "core", "api", "utils", "util", "src"}
    | {"lib", "common", "models", "model", "test", "tests", "docs", "doc", "example", "examples", "project", "plugin"}
    | {"plugins", "package", "scripts", "tools", "data", "types", "service", "services", "setup", "conf", "conftest"}
    | {"request", "response", "session", "logger", "log", "self", "cls", "module", "backend", "frontend", "web", "site"}
    | {"mypackage"}
)
"""Names of packages that are names of variables and of other people's packages too."""
_PLAIN_BASES = frozenset({"object", "ABC", "Protocol", "Generic", "abc.ABC", "typing.Protocol", "typing.Generic"})
_FAR = 30
"""Steps from import to import after which nobody follows."""
_DEEPEST, _STEPS = 60, 1000
"""Modules and classes behind one another, and of all ways together, that are asked for one name."""


class OwnNames:
    """The repository's own packages."""

    def __init__(self, root: Path, files: Sequence[str], site: Site) -> None:
        self._root = root
        self._site = site
        self._paths: dict[str, list[str]] = {}
        self._facts: dict[str, Facts | None] = {}
        self._left = 0
        packages = {posixpath.dirname(path) for path in files if posixpath.basename(path) == "__init__.py"}
        for path in files:
            if path.endswith(".py") and place_of(path) in {"shipped", "generated"}:
                self._paths.setdefault(_dotted(path, packages), []).append(path)
        tops = {name for name, paths in self._paths.items() if "." not in name and paths[0].endswith("/__init__.py")}
        self.packages = frozenset(name for name in tops if name.lower() not in _COMMON and len(name) > 1)

    def find(self, parts: Sequence[str]) -> Answer:
        """Say whether a dotted name is there; its first part is one of the packages."""
        self._left = _STEPS
        at = 1
        while at < len(parts) and self.is_module(parts[: at + 1]):
            at += 1
        if at == len(parts):
            return "there"
        answer = self._in_module(".".join(parts[:at]), parts[at:], frozenset())
        if answer == "absent" and at > 1 and self._is_shadowed(parts[: at - 1], parts[at - 1]):
            return "unsure"
        return answer

    def is_module(self, parts: Sequence[str]) -> bool:
        """Say whether a dotted name is a module or package of the repository."""
        return ".".join(parts) in self._paths

    def _is_shadowed(self, package: Sequence[str], name: str) -> bool:
        """Say whether a package binds the name of its module to something else."""
        for facts in self._all(".".join(package)):
            if facts is None or name in facts.names or name in facts.classes:
                return True
            if facts.imported.get(name, (*package, name)) != (*package, name):
                return True
        return False

    def _all(self, module: str) -> list[Facts | None]:
        return [self._read(path, module) for path in self._paths.get(module, ())]

    def _in_module(self, module: str, rest: Sequence[str], seen: Seen) -> Answer:
        if module in seen:
            return "absent"
        if self._is_too_far(seen):
            return "unsure"
        if rest[0].startswith("__") or self._is_compiled(module, rest[0]):
            return "unsure"
        answers = [self._in_facts(facts, rest, seen | {module}) for facts in self._all(module)]
        return _best(answers)

    def _in_facts(self, facts: Facts | None, rest: Sequence[str], seen: Seen) -> Answer:
        if facts is None or facts.is_dynamic:
            return "unsure"
        name, *more = rest
        if name in facts.names:
            return "unsure" if more else "there"
        if name in facts.imported:
            return self._elsewhere(facts.imported[name], more, seen) if more else "there"
        if name in facts.classes:
            return self._in_class((facts, facts.classes[name]), more, seen) if more else "there"
        stars = [self._in_module(star, rest, seen) if star in self._paths else "unsure" for star in facts.stars]
        return _best(["absent", *stars])

    def _elsewhere(self, target: Sequence[str], rest: Sequence[str], seen: Seen) -> Answer:
        """Look for something behind an imported name."""
        at = len(target)
        while at and not self.is_module(target[:at]):
            at -= 1
        parts = [*target, *rest]
        if not at or len(seen) > _FAR:
            return "unsure"
        while at < len(parts) and self.is_module(parts[: at + 1]):
            at += 1
        module = ".".join(parts[:at])
        if at == len(parts):
            return "there"
        return "unsure" if module in seen else self._in_module(module, parts[at:], seen)

    def _in_class(self, where: tuple[Facts, ClassFacts | None], rest: Sequence[str], seen: Seen) -> Answer:
        facts, found = where
        if found is None or self._is_too_far(seen) or not found.is_plain:
            return "unsure"
        if rest[0] in found.names or f".{rest[0]} = " in facts.source.text:
            return "there" if len(rest) == 1 else "unsure"
        return _best(["absent", *(self._in_base(facts, base, rest, seen=seen) for base in found.node.bases)])

    def _in_base(self, facts: Facts, base: ast.expr, rest: Sequence[str], *, seen: Seen) -> Answer:
        name = said(base)
        mark = f"{facts.module}:{name}"
        if mark in seen:
            return "unsure"
        if name in facts.classes:
            return self._in_class((facts, facts.classes[name]), rest, seen | {mark})
        if name in _PLAIN_BASES:
            return "absent"
        if name in facts.imported:
            return self._elsewhere(facts.imported[name], rest, (seen - {facts.module}) | {mark})
        kind = getattr(builtins, name, None)
        if isinstance(kind, type) and issubclass(kind, BaseException):
            return "there" if hasattr(kind, rest[0]) else "absent"
        return "unsure"

    def _is_too_far(self, seen: Seen) -> bool:
        """Say whether nobody follows any further; two ways to each of many modules are very many ways."""
        self._left -= 1
        return self._left < 0 or len(seen) > _DEEPEST

    def _is_compiled(self, module: str, name: str) -> bool:
        """Say whether something beside the source has the name: an extension, a stub, a folder of data."""
        folders = {posixpath.dirname(path) for path in self._paths.get(module, ()) if path.endswith("/__init__.py")}
        return any(name in self._stems(folder) for folder in folders)

    def _stems(self, folder: str) -> set[str]:
        return {entry.partition(".")[0] for entry in self._site.entries(folder) or {}}

    def _read(self, path: str, module: str) -> Facts | None:
        if path not in self._facts:
            try:
                self._facts[path] = facts_of(load(self._root, path), module)
            except UnreadableError:  # the code view says so
                self._facts[path] = None
        return self._facts[path]


def _best(answers: Iterable[Answer]) -> Answer:
    """Give the best of some answers: what is there is there, and what is unsure is not absent."""
    found = {*answers}
    if "there" in found:
        return "there"
    return "unsure" if "unsure" in found or not found else "absent"


def _dotted(path: str, packages: set[str]) -> str:
    pure = PurePosixPath(path)
    parts = [] if pure.name == "__init__.py" else [pure.stem]
    folder = posixpath.dirname(path)
    while folder in packages:
        parts.append(posixpath.basename(folder))
        folder = posixpath.dirname(folder)
    return ".".join(reversed(parts)) or pure.parent.name
