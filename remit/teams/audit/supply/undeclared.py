"""Distributions that shipped code imports and no manifest declares."""

from collections.abc import Iterator

from remit.teams.audit.code.complexity import seen
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.supply.import_names import known_as, providers
from remit.teams.audit.supply.need import Manifest
from remit.teams.audit.supply.supply import Supply

WHAT = "imports that no manifest declares"
"""How it is told when this was not looked for."""

Key = tuple[tuple[str, ...], str]
"""The manifests that speak for a file, and the imported name."""


def sightings(supply: Supply) -> Iterator[Sighting]:
    """Give the first import of every such name, if the module cannot be imported without it.

    What is imported in a function, a condition or a `try` is left to whoever needs it.
    """
    files: dict[Key, list[str]] = {}
    for path in supply.python:
        scope = supply.scope(path)
        if not scope.ships(path):
            continue
        names = {known_as(name) for name in supply.foreign(path)}
        if names and scope.gap:
            supply.skip(WHAT, scope.gap)
            continue
        for name in sorted(names):
            files.setdefault((tuple(map(_path, scope.manifests)), name), []).append(path)
    for (_manifests, name), paths in sorted(files.items()):
        if found := _first(supply, name, paths):
            yield found


def _path(manifest: Manifest) -> str:
    return manifest.path


def _first(supply: Supply, name: str, paths: list[str]) -> Sighting | None:
    for path in paths:
        found = [item for item in supply.imports(path) if item.name == name]
        source = supply.text(path) if found and all(item.way == "firm" for item in found) else None
        if source is not None:
            told = providers(name)[0]
            line = min(item.line for item in found)
            return seen(source, "undeclared-dependency", line, measure=len(paths), detail=f"`{name}` ({told})")
    return None
