"""Distributions that shipped code imports and no manifest declares."""

from collections.abc import Iterator

from remit.teams.audit.complexity import seen
from remit.teams.audit.import_names import known_as, providers
from remit.teams.audit.imports import imports
from remit.teams.audit.need import Manifest
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.source import UnreadableError
from remit.teams.audit.supply import Supply

SHOWN = 2
"""Distributions that may provide a name, as far as they are told."""
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
            supply.skip("imports that no manifest declares", scope.gap)
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
        source = supply.text(path)
        try:
            found = [item for item in imports(source) if known_as(item.name) == name] if source else []
        except UnreadableError:  # the code view says so
            continue
        firm = [item for item in found if item.way == "firm"]
        if source is not None and firm and len(firm) == len(found):
            told = " or ".join(providers(name)[:SHOWN])
            line = min(item.line for item in firm)
            return seen(source, "undeclared-dependency", line, measure=len(paths), detail=f"`{name}` ({told})")
    return None
