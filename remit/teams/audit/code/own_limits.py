"""What a repository asks of itself: how complex its own linters let a function be, and what they leave out.

Patterns are the repository's and may be hostile, so only those are used whose matching takes no longer than a path.
"""

import configparser
import re
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path, PurePosixPath

import yaml

from remit.teams.audit.source import UnreadableError, content

_FLAKE8 = (".flake8", "setup.cfg", "tox.ini")
_RUFF = (".ruff.toml", "ruff.toml", "pyproject.toml")
_HOOKS = (".pre-commit-config.yaml", ".pre-commit-config.yml")
_PLAIN = re.compile(r"(?:[\w/^$|()\s-]|\\[./-]|\.\*|\.)+")
_NUMBER = re.compile(r"[0-9]{1,6}")
_MOST = 200
"""Patterns of one file."""
_LENGTH = 2000
"""Characters of a regular expression."""
_ANY = 3
"""Of `.*` in one pattern."""
_LONGEST = 240
"""Characters of a path that is held against a pattern."""


class OwnLimits:
    """The settings of the linters at the top of a repository; what cannot be read sets nothing."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @cached_property
    def complexity(self) -> tuple[int, str]:
        """The complexity that a function may have, and where that is said; 0 if nowhere."""
        for name, section in self._sections:
            said = section.get("max-complexity", section.get("max_complexity"))
            lint = _table(_table(section, "lint"), "mccabe") or _table(section, "mccabe")
            value = said if said is not None else lint.get("max-complexity")
            if _NUMBER.fullmatch(str(value).strip()):
                return int(str(value)), name
        return 0, ""

    def left_out(self, path: str) -> str:
        """Give the file that says that the repository's own linters do not look at a path; empty if none does."""
        for name, section in self._sections:
            keys = ("exclude", "extend-exclude", "extend_exclude")
            patterns = [item for key in keys for item in _listed(section.get(key))]
            patterns += _listed(_table(section, "lint").get("exclude"))
            if any(_matches(path, pattern) for pattern in patterns[:_MOST]):
                return name
        for name in _HOOKS:
            pattern = self._hooks(name)
            if pattern and len(path) <= _LONGEST and re.search(pattern, path):
                return name
        return ""

    @cached_property
    def _sections(self) -> list[tuple[str, Mapping[str, object]]]:
        return [*self._flake8(), *self._ruff()]

    def _flake8(self) -> Iterator[tuple[str, Mapping[str, object]]]:
        for name in _FLAKE8:
            parser = configparser.RawConfigParser(strict=False)
            try:
                parser.read_string(self._text(name))
            except configparser.Error:
                continue
            if parser.has_section("flake8"):
                yield name, dict(parser["flake8"])

    def _ruff(self) -> Iterator[tuple[str, Mapping[str, object]]]:
        for name in _RUFF:
            try:
                found: object = tomllib.loads(self._text(name))
            except (tomllib.TOMLDecodeError, RecursionError):
                continue
            if name == "pyproject.toml":
                found = _table(_table(found, "tool"), "ruff")
            yield name, _table({"": found}, "")

    def _hooks(self, name: str) -> str:
        try:
            found: object = yaml.safe_load(self._text(name))
        except (yaml.YAMLError, RecursionError, ValueError):
            return ""
        return _plain(_table({"": found}, "").get("exclude"))

    def _text(self, name: str) -> str:
        try:
            return content(self._root, name).decode(errors="replace")
        except UnreadableError:  # it is not there, or the view of the manifests says so
            return ""


def _table(value: object, key: str) -> Mapping[str, object]:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _listed(value: object) -> list[str]:
    if isinstance(value, str):
        lines = (line.partition("#")[0] for line in value.splitlines())
        return [part.strip() for line in lines for part in line.split(",") if part.strip()]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _matches(path: str, pattern: str) -> bool:
    """Say whether a linter leaves a path out: a name counts for every file and folder, a path from the top."""
    pattern = pattern.removeprefix("./").rstrip("/").removesuffix("/**").removesuffix("/*")
    parts = PurePosixPath(path).parts
    if "/" not in pattern:
        return bool(pattern.strip("*")) and any(fnmatch(part, pattern) for part in parts)
    starts = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
    return any(fnmatch(start, pattern) for start in starts)


def _plain(pattern: object) -> str:
    """Give a regular expression if it holds nothing that makes matching slow; empty otherwise."""
    if not isinstance(pattern, str):
        return ""
    text = pattern.strip()
    if len(text) > _LENGTH:
        return ""
    if text.startswith("(?x)"):
        text = "".join(line.partition("#")[0].strip() for line in text.removeprefix("(?x)").splitlines())
    text = "".join(text.split()).replace("(?:", "(")
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return ""
    return text if _PLAIN.fullmatch(text) and text.count(".*") <= _ANY else ""
