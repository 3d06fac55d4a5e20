"""Everything that the supply view reads of a repository: its manifests, its locks, and what its code imports."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from remit.teams.audit.place import place_of
from remit.teams.audit.sighting import Skipped
from remit.teams.audit.source import Source, UnreadableError, load
from remit.teams.audit.supply.import_names import STANDARD, beginnings, known_as, normal
from remit.teams.audit.supply.imports import Import, Own, imports, named
from remit.teams.audit.supply.need import MOST, Manifest
from remit.teams.audit.supply.paths import (
    LOCKS,
    home_of,
    is_above,
    is_conda,
    is_licence,
    is_manifest,
    is_python,
    is_wiring,
)
from remit.teams.audit.supply.pyproject import pipfile, pyproject
from remit.teams.audit.supply.requirements_file import conda, requirements
from remit.teams.audit.supply.scope import Scope
from remit.teams.audit.supply.setup_files import setup_cfg, setup_py

MOST_FILES, MOST_CHARACTERS, MOST_TEXTS = 300, 4 * 1024 * 1024, 50
"""Manifests of one repository, what they may hold together, and its locks or licences, that are read."""
MORE, SOME = " manifests", "dependencies in "
"""How it is told that there are more than are read: of manifests, and of what one of them lists."""
MOST_KEPT = 32 * 1024 * 1024
"""Characters of files that are kept for whoever asks again; what is above is read again."""
_WIDEST = 400
"""Characters of a line in which an import is looked for."""
_READERS: Mapping[str, Callable[[Source], Manifest]] = {
    "pyproject.toml": pyproject,
    "Pipfile": pipfile,
    "setup.py": setup_py,
    "setup.cfg": setup_cfg,
}


class Supply:
    """A repository as the supply view sees it; files are read when somebody asks."""

    def __init__(self, root: Path, paths: Sequence[str]) -> None:
        self.root = root
        self.paths = tuple(dict.fromkeys(paths))
        self.skipped: list[Skipped] = []
        self.own = Own(self.paths)
        self._texts: dict[str, Source | None] = {}
        self._room = MOST_KEPT
        self._imports: dict[str, tuple[Import, ...]] = {}
        self._scopes: dict[tuple[str, ...], Scope] = {}

    @cached_property
    def manifests(self) -> tuple[Manifest, ...]:
        """Every manifest that can be read, with the files that they include."""
        listed = [path for path in self.paths if is_manifest(path) and PurePosixPath(path).name not in LOCKS]
        if len(listed) > MOST_FILES:
            self.skip(f"{len(listed) - MOST_FILES}{MORE}", f"an audit reads {MOST_FILES}")
        waiting, found, size = listed[:MOST_FILES], dict[str, Manifest](), 0
        for path in waiting:
            if path in found or len(found) > 2 * MOST_FILES:
                continue
            if size > MOST_CHARACTERS:
                self.skip(path, f"an audit reads {MOST_CHARACTERS} characters of manifests")
                continue
            try:
                found[path] = self._read(path)
            except UnreadableError as error:
                self.skip(path, error.cause)
                continue
            size += len(found[path].source.text)
            waiting.extend(found[path].includes)
        return tuple(found[path] for path in sorted(found))

    @cached_property
    def locks(self) -> tuple[Source, ...]:
        """Every lock file that can be read."""
        found = map(self.text, self._first(lambda path: PurePosixPath(path).name in LOCKS))
        return tuple(lock for lock in found if lock is not None)

    @cached_property
    def licences(self) -> tuple[Source, ...]:
        """The texts of licences."""
        found = map(self.text, self._first(is_licence))
        return tuple(licence for licence in found if licence is not None)

    @cached_property
    def wiring(self) -> tuple[str, ...]:
        """Files that may name a dependency without importing it."""
        return tuple(path for path in self.paths if is_wiring(path))

    @cached_property
    def python(self) -> tuple[str, ...]:
        """All Python files."""
        return tuple(path for path in self.paths if is_python(path))

    @cached_property
    def names(self) -> Mapping[str, frozenset[str]]:
        """What each Python file seems to import from elsewhere."""
        found = {path: source for path in self.python if (source := self.text(path)) is not None}
        return {
            path: frozenset(name for name in named(source.text) if name.partition(".")[0] not in STANDARD)
            for path, source in found.items()
        }

    @cached_property
    def imported(self) -> frozenset[str]:
        """Every name that code or a notebook seems to import from elsewhere, with its beginnings."""
        notebooks = [source for path in self.wiring if path.endswith(".ipynb") and (source := self.text(path))]
        names = {name for found in self.names.values() for name in found}
        names.update(name for source in notebooks for name in named(source.text))
        return frozenset(part for name in names for part in beginnings(name))

    @cached_property
    def _homes(self) -> Mapping[str, list[Manifest]]:
        found: dict[str, list[Manifest]] = {}
        for manifest in self.manifests:
            found.setdefault(home_of(manifest.path), []).append(manifest)
        return found

    def scope(self, path: str) -> Scope:
        """Give what is declared for a file: by the manifests of every folder above it, the root's included."""
        homes = tuple(home for home in self._homes if is_above(home, path))
        if homes not in self._scopes:
            unread = [item for item in self.skipped if is_manifest(item.what) and home_of(item.what) in homes]
            manifests = tuple(manifest for home in homes for manifest in self._homes[home])
            self._scopes[homes] = Scope(manifests, self.own, unread=tuple(unread))
        return self._scopes[homes]

    def foreign(self, path: str) -> list[str]:
        """Give the names that a file seems to import from a distribution which nobody declares, as far as is known."""
        scope = self.scope(path)
        return sorted(
            name
            for name in self.names.get(path, ())
            if known_as(name) and not self.own.has(name, path) and not scope.provides(name)
        )

    @cached_property
    def has_riddles(self) -> bool:
        """Whether a name is imported of which nobody can say where it comes from: any dependency may provide it."""
        return any(
            not known_as(name) and not self.own.has(name, path) and not self.scope(path).provides(name)
            for path, names in self.names.items()
            for name in names
        )

    def imports(self, path: str) -> tuple[Import, ...]:
        """Give the imports of a file whose names the table knows, each by that name; none if it does not parse."""
        if path not in self._imports:
            source = self.text(path)
            try:
                found = list(imports(replace(source))) if source else []  # a copy: its tree need not stay
            except UnreadableError:  # the code view says so
                found = []
            known = [replace(item, name=name) for item in found if (name := known_as(item.name))]
            self._imports[path] = tuple(known)
        return self._imports[path]

    def guarded(self, name: str, scope: Scope) -> str:
        """Give a file that can do without a name, because it tries the import first; empty if none can."""
        for path in self.python:
            if not any(known_as(item) == name for item in self.names.get(path, ())):
                continue
            is_beside = self.scope(path) is scope and place_of(path) == "shipped"
            if is_beside and any(item.name == name and item.way == "tried" for item in self.imports(path)):
                return path
        return ""

    def backs(self, distribution: str) -> str:
        """Give a file that imports a submodule, of another distribution, which is called after this one."""
        called = {distribution, distribution.removesuffix("s")}
        for path, names in self.names.items():
            foreign = {name.rpartition(".")[0] for name in names if not self.own.has(name, path)}
            if any(normal(part) in called for module in foreign for part in module.split(".")[1:]):
                return path
        return ""

    def is_loaded(self, path: str) -> bool:
        """Say whether something in the repository imports a module, or a manifest names it."""
        pure = PurePosixPath(path)
        word = re.compile(rf"\b{re.escape(pure.parent.name if pure.stem == '__init__' else pure.stem)}\b")
        if any(word.search(item.source.text) for item in self.manifests):
            return True
        others = (source for other in self.python if other != path and (source := self.text(other)) is not None)
        return any(
            _imports_it(line, found)
            for source in others
            if word.search(source.text)
            for line in source.lines
            if (found := word.search(line[:_WIDEST]))
        )

    def vendored(self, name: str) -> str:
        """Give the place where a copy of a module lies in the repository; empty if there is none."""
        places = (path for path in self.python if place_of(path) == "vendored")
        return next((path for path in places if name in {*PurePosixPath(path).parts, PurePosixPath(path).stem}), "")

    def mentions(self, distribution: str) -> Iterator[tuple[str, str]]:
        """Give the lines, with their files, that name a distribution and neither declare nor import it."""
        words = re.split("-", distribution)
        word = re.compile(rf"(?<![\w-]){'[-_.]?'.join(map(re.escape, words))}(?![\w-])", re.IGNORECASE)
        for path in (*self.python, *self.wiring):
            source = self.text(path)
            if source is not None and _may_say(source.text, words[0]) and word.search(source.text):
                lines = self._lines_of_needs(path)
                for number, line in enumerate(source.lines, 1):
                    found = None if number in lines or line.lstrip().startswith("#") else word.search(line)
                    if found and (not is_python(path) or _is_quoted(line, found.start())):
                        yield path, line

    def text(self, path: str) -> Source | None:
        """Give a file; None if it cannot be read, which others say of code."""
        if path in self._texts:
            return self._texts[path]
        source = self._loaded(path)
        self._room -= len(source.text) if source is not None else 0
        if self._room > 0:
            self._texts[path] = source
        return source

    def _loaded(self, path: str) -> Source | None:
        try:
            return load(self.root, path)
        except UnreadableError as error:
            if not is_python(path):
                self.skip(path, error.cause)
            return None

    def skip(self, what: str, cause: str) -> None:
        """Say once that something was not looked at."""
        item = Skipped(what=what, cause=cause)
        if item not in self.skipped:
            self.skipped.append(item)

    def _lines_of_needs(self, path: str) -> set[int]:
        return {need.line for item in self.manifests if item.path == path for need in item.needs}

    def _read(self, path: str) -> Manifest:
        source = load(self.root, path)
        reader = _READERS.get(PurePosixPath(path).name, conda if is_conda(path) else requirements)
        manifest = reader(source)
        if len(manifest.needs) <= MOST:
            return manifest
        self.skip(f"{SOME}{path}", f"an audit reads {MOST} of them")
        return replace(manifest, needs=manifest.needs[:MOST], gaps=(*manifest.gaps, "it lists more than is read"))

    def _first(self, wanted: Callable[[str], bool]) -> list[str]:
        return [path for path in self.paths if wanted(path)][:MOST_TEXTS]


def _imports_it(line: str, found: re.Match[str]) -> bool:
    """Say whether a line imports the word in it: after `from` or `import`, or alone in a list of imported names."""
    before = line[: found.start()]
    return re.search(r"\b(?:from|import)\b", before) is not None or not (before + line[found.end() :]).strip(" \t,")


def _may_say(text: str, word: str) -> bool:
    """Say whether a text may hold a word in any case: a quick look, before a pattern without a firm beginning."""
    return not (text.isascii() and word.isascii()) or word.lower() in text.lower()


def _is_quoted(line: str, at: int) -> bool:
    return re.search(r"[\"']", line[:at]) is not None
