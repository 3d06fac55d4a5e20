"""The second look: what a first pass only guessed, held against the whole file and the tests."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from remit.teams.audit.code import excuse, excuse_child, excuse_data
from remit.teams.audit.code.excuse import Spot
from remit.teams.audit.code.own_limits import OwnLimits
from remit.teams.audit.code.secret import masked
from remit.teams.audit.code.untested import words_of
from remit.teams.audit.docs import excuse as excuse_docs
from remit.teams.audit.place import is_test_data, place_of
from remit.teams.audit.sighting import Doubt, Look
from remit.teams.audit.source import Source, UnreadableError, load
from remit.teams.audit.supply import excuse as excuse_supply
from remit.teams.audit.supply.supply import Supply

_ASSIGNED = re.compile(r"^([A-Za-z]\w*)\s*(?::[^=\n]{0,200})?=(?!=)", re.MULTILINE)


class Again:
    """The repository as a second look sees it: files are read once, the tests only if somebody asks."""

    def __init__(self, root: Path, files: Sequence[str]) -> None:
        self.root = root
        self.files = files
        self._sources: dict[str, Source] = {}
        self._said: dict[str, dict[str, list[int]]] = {}
        self.limits = OwnLimits(root)

    def source(self, path: str) -> Source:
        """Give one parsed file.

        Raises:
            UnreadableError: it cannot be read or parsed.
        """
        if path not in self._sources:
            source = load(self.root, path)
            if path.endswith((".py", ".pyw")):
                _ = source.tree
            self._sources[path] = source
        return self._sources[path]

    def found(self, source: Source, text: str, near: int) -> int:
        """Give the line of a file that says a text and is nearest to a line, or 0; the file is read once for all."""
        if source.path not in self._said:
            said = self._said[source.path] = {}
            for number in range(1, len(source.lines) + 1):
                for line in {source.line(number), masked(source.line(number))}:
                    said.setdefault(line, []).append(number)
        return min(self._said[source.path].get(text, ()), key=lambda number: abs(number - near), default=0)

    @property
    def _tests(self) -> list[str]:
        return [path for path in self.files if place_of(path) == "test" and not is_test_data(path)]

    @cached_property
    def tested(self) -> set[str]:
        """Every word in the tests of the tree."""
        return {word for path in self._tests for word in self._words(path)}

    @cached_property
    def shared(self) -> set[str]:
        """Every name to which more than one shipped file assigns at its first column."""
        shipped = [path for path in self.files if path.endswith((".py", ".pyw")) and place_of(path) == "shipped"]
        counts = Counter(name for path in shipped for name in {*_ASSIGNED.findall(self._text(path))})
        return {name for name, count in counts.items() if count > 1}

    @cached_property
    def supply(self) -> Supply:
        """What the repository depends on."""
        return Supply(self.root, self.files)

    def callers(self, name: str) -> list[Source]:
        """Give the files, other than tests, that call a method of a name; those that do not parse are left out."""
        python = [path for path in self.files if path.endswith((".py", ".pyw")) and place_of(path) != "test"]
        return [source for path in python if f".{name}(" in self._text(path) and (source := self._parsed(path))]

    def _parsed(self, path: str) -> Source | None:
        try:
            return self.source(path)
        except UnreadableError:
            return None

    def _text(self, path: str) -> str:
        try:
            return load(self.root, path).text
        except UnreadableError:
            return ""

    def _words(self, path: str) -> set[str]:
        try:
            return words_of(load(self.root, path))
        except UnreadableError:
            return set()


def looks(root: Path, files: Sequence[str], doubts: Sequence[Doubt]) -> tuple[Look, ...]:
    """Look at every doubt again: does it still stand where it was seen, and does it hold?"""
    repository = Again(root, files)
    return tuple(_look(repository, doubt) for doubt in doubts)


def _look(repository: Again, doubt: Doubt) -> Look:
    def said(line: int, *, holds: bool, reason: str) -> Look:
        return Look(fingerprint=doubt.fingerprint, holds=holds, line=line, reason=reason)

    try:
        source = repository.source(doubt.path)
    except UnreadableError as error:
        if error.rule == doubt.rule:
            return said(error.line, holds=True, reason=f"it is so: {error.cause}")
        return said(doubt.line, holds=False, reason=error.cause)
    line = repository.found(source, doubt.snippet, doubt.line)
    if not line:
        return said(doubt.line, holds=False, reason="the cited text is not there")
    seen = Spot(
        source=source,
        line=line,
        message=doubt.message,
        tested=lambda: repository.tested,
        supply=lambda: repository.supply,
        shared=lambda: repository.shared,
        limits=lambda: repository.limits,
        callers=repository.callers,
    )
    try:
        way_out = WAYS_OUT.get(doubt.rule, nothing)(seen)
        minor = "" if way_out else MINOR.get(doubt.rule, nothing)(seen)
    except RecursionError:
        return said(line, holds=True, reason="what is around it nests too deeply for a second look")
    if minor:
        return Look(fingerprint=doubt.fingerprint, holds=True, line=line, reason=minor, is_minor=True)
    return said(line, holds=not way_out, reason=way_out or "nothing speaks against it")


def nothing(_spot: Spot) -> str:
    """Say that nothing speaks against a finding."""
    return ""


def first_of(*reasons: Callable[[Spot], str]) -> Callable[[Spot], str]:
    """Let the first of several that gives a reason speak."""
    return lambda spot: next((said for reason in reasons if (said := reason(spot))), "")


WAYS_OUT: dict[str, Callable[[Spot], str]] = {
    "complex-function": first_of(excuse.left_out, excuse.own_limit, excuse.flat_dispatch),
    "long-function": excuse.left_out,
    "long-file": excuse.left_out,
    "duplicate-code": first_of(excuse.left_out, excuse.declarations),
    "untested-module": first_of(excuse.left_out, excuse.tested_by_name),
    "swallowed-exception": excuse.harmless_silence,
    "missing-timeout": excuse.other_timeout,
    "dynamic-code": excuse.own_text,
    "unsafe-deserialisation": excuse.own_bytes,
    "secret-in-source": excuse.no_secret,
    "assert-validation": excuse.invariant,
    "hidden-coupling": excuse.counterpart,
    "stale-todo": excuse.tracked,
    "F811": excuse.chosen_at_import,
    "F821": excuse.unseen_names,
    "F822": excuse.unseen_names,
    "B006": excuse.never_changed,
    "B018": excuse.probe,
    "B023": excuse.called_at_once,
    "undeclared-dependency": excuse_supply.supplied_otherwise,
    "unused-dependency": excuse_supply.used_otherwise,
    "broken-snippet": excuse_docs.sketch,
    "broken-doctest": excuse_docs.wrong_on_purpose,
    "broken-link": excuse_docs.made_later,
    "unknown-name": excuse_docs.speaks_of_past,
    "unknown-import": excuse_docs.speaks_of_past,
}
"""What may speak against a finding of a rule: nothing, or a reason."""
MINOR: dict[str, Callable[[Spot], str]] = {
    "complex-function": excuse.flat,
    "duplicate-code": excuse.twin,
    "unknown-name": excuse_docs.unfinished,
    "unknown-import": excuse_docs.unfinished,
    "broken-snippet": excuse_docs.unfinished,
    "missing-timeout": excuse_child.own_child,
    "dynamic-code": excuse_data.quoted,
    "unsafe-deserialisation": excuse_data.written_here,
    "undeclared-dependency": excuse_supply.brought_along,
}
"""What may make little of a finding that holds: nothing, or a reason."""
