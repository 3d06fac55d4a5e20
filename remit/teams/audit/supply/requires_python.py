"""Which Python a repository asks for: what is written for a newer one than runs here cannot be judged by its syntax."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from remit.teams.audit.source import UnreadableError, load
from remit.teams.audit.supply.toml_text import table, text_of, texts, values

Version = tuple[int, int]
RUNNING: Version = sys.version_info[:2]
_BOUND = re.compile(r"(?:>=?|~=?|===?|\^)\s*(?P<major>\d{1,3})(?:\.(?P<minor>\d{1,3}))?")
_KEYWORD = re.compile(r"^\s*python_requires\s*=\s*[\"']?(?P<range>[^\"'\n#]{1,200})", re.MULTILINE)
_CLASSIFIER = re.compile(r"Programming Language :: Python :: (?P<major>\d{1,3})\.(?P<minor>\d{1,3})\b")
_MANIFESTS = ("pyproject.toml", "setup.cfg", "setup.py")


def named(version: Version) -> str:
    """Write a version as people do."""
    return ".".join(map(str, version))


class RequiredPython:
    """What the manifests of one tree ask for; each folder's are read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._wanted: dict[PurePosixPath, Version | None] = {}

    def newer(self, path: str) -> str:
        """Name the Python that the nearest manifest above a file asks for, if it is newer than this; else nothing."""
        for folder in PurePosixPath(path).parents:
            if folder not in self._wanted:
                self._wanted[folder] = _wanted(self._root, folder)
            if (wanted := self._wanted[folder]) is not None:
                return named(wanted) if wanted > RUNNING else ""
        return ""


def _wanted(root: Path, folder: PurePosixPath) -> Version | None:
    """Give the oldest Python for which the manifests of a folder are meant; classifiers count where no range is."""
    said = [(name, text) for name in _MANIFESTS if (text := _text(root, str(folder / name)))]
    found = [bound for name, text in said if (bound := oldest(_range(name, text))) is not None]
    classified = [version for name, text in said for version in _classified(name, text)]
    return max(found, default=None) or min(classified, default=None)


def oldest(wanted: str) -> Version | None:
    """Give the oldest Python that a range allows; None if it names no lower bound."""
    bounds = [(int(item["major"]), int(item["minor"] or 0)) for item in _BOUND.finditer(wanted)]
    return max(bounds, default=None)


def _text(root: Path, path: str) -> str:
    try:
        return load(root, path).text
    except UnreadableError:  # there is none, or the supply view says so
        return ""


def _range(name: str, text: str) -> str:
    if name != "pyproject.toml":
        found = _KEYWORD.search(text)
        return found["range"] if found else ""
    try:
        data = values(text)
    except UnreadableError:  # the supply view says so
        return ""
    poetry = table(data, "tool", "poetry", "dependencies").get("python")
    return text_of(table(data, "project").get("requires-python")) or text_of(poetry)


def _classified(name: str, text: str) -> Iterator[Version]:
    if name == "pyproject.toml":
        try:
            data = values(text)
        except UnreadableError:
            return
        text = "\n".join(texts(table(data, "project").get("classifiers")))
    for found in _CLASSIFIER.finditer(text):
        yield int(found["major"]), int(found["minor"])
