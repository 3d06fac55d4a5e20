"""Lock files: which versions they pin, and where that contradicts what is declared beside them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from remit.teams.audit.code.complexity import seen
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import Source, UnreadableError
from remit.teams.audit.supply.import_names import normal
from remit.teams.audit.supply.need import UNREAD, Manifest, Need

SHOWN, _LONGEST = 3, 120
"""Dependencies of one lock that are named."""
Pins = Mapping[str, Sequence[str]]
"""Distribution -> versions; a version is empty where the lock names none."""
_ASKED = {
    "Pipfile.lock": ("Pipfile",),
    "poetry.lock": ("pyproject.toml",),
    "uv.lock": ("pyproject.toml",),
    "pdm.lock": ("pyproject.toml",),
}
_SET = re.compile(r'^(?P<key>name|version)\s*=\s*"(?P<value>[^"]*)"\s*$')


def pins(source: Source) -> Pins:
    """Read a lock file.

    Raises:
        UnreadableError: it does not parse.
    """
    return _pipenv(source) if source.path.endswith("Pipfile.lock") else _packages(source)


def _packages(source: Source) -> Pins:
    """Read `[[package]]` blocks line by line: a parser of TOML takes seconds for what two keys say."""
    found: dict[str, list[str]] = {}
    inside, name = False, ""
    for line in source.lines:
        if line.startswith("["):
            inside, name = line.strip() == "[[package]]", ""
        elif inside and (said := _SET.match(line)):
            name = normal(said["value"]) if said["key"] == "name" else name
            if name:
                found.setdefault(name, []).extend([said["value"]] if said["key"] == "version" else [])
    return found


def _pipenv(source: Source) -> Pins:
    try:
        data = json.loads(source.text)
    except (ValueError, RecursionError) as error:
        raise UnreadableError("", f"it does not parse: {type(error).__name__}") from error
    found: dict[str, list[str]] = {}
    for section in ("default", "develop"):
        packages = data.get(section) if isinstance(data, dict) else None
        for name, options in packages.items() if isinstance(packages, dict) else ():
            version = options.get("version") if isinstance(options, dict) else None
            found.setdefault(normal(name), []).extend([version.lstrip("=")] if isinstance(version, str) else [])
    return found


def drifts(lock: Source, manifests: Sequence[Manifest]) -> Iterator[Sighting]:
    """Give the manifest beside a lock with what the lock lacks or pins otherwise, in one sighting.

    Raises:
        UnreadableError: the lock does not parse.
    """
    name = PurePosixPath(lock.path).name
    locked = pins(lock)
    for manifest in manifests:
        beside = PurePosixPath(manifest.path).parent == PurePosixPath(lock.path).parent
        if not beside or PurePosixPath(manifest.path).name not in _ASKED[name]:
            continue
        drifting = [(need, said) for need in asked(manifest) if (said := _drift(need, locked))]
        if drifting and locked:
            told = ", ".join(said[:_LONGEST] for _need, said in drifting[:SHOWN])
            more = f" and {len(drifting) - SHOWN} more" if len(drifting) > SHOWN else ""
            line = drifting[0][0].line
            yield seen(manifest.source, "lock-drift", line, measure=len(drifting), detail=f"{name} {told}{more}")


def asked(manifest: Manifest) -> list[Need]:
    """Give what a lock must pin: needed always, and fetched from an index."""
    elsewhere = {need.name for need in manifest.needs if need.url}
    if "override-dependencies" in manifest.source.text:  # what is pinned then is what the override says
        return []
    return [
        need
        for need in manifest.needs
        if need.group == "runtime" and not need.is_conditional and need.name and need.name not in elsewhere
    ]


def _drift(need: Need, locked: Pins) -> str:
    """Say what is wrong with one dependency, or nothing."""
    if need.name not in locked:
        return f"lacks {need.name}"
    versions = locked[need.name]
    if need.range in {"", UNREAD} or not versions or any(is_within(version, need.range) for version in versions):
        return ""
    return f"pins {need.name} {', '.join(versions)} against {need.range}"


def is_within(version: str, span: str) -> bool:
    """Say whether a version lies in a range; what neither of them says plainly is no contradiction."""
    try:
        return SpecifierSet(span).contains(Version(version), prereleases=True)
    except (InvalidSpecifier, InvalidVersion, ValueError):
        return True
