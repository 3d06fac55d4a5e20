"""Requirements of a program that any version satisfies, so that two installations differ."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from remit.teams.audit.code.complexity import seen
from remit.teams.audit.sighting import Sighting
from remit.teams.audit.supply.need import Manifest
from remit.teams.audit.supply.paths import folder_of, for_use, home_of, is_above, is_requirements, is_shipped
from remit.teams.audit.supply.supply import Supply

ALONE, SHOWN = 3, 5
"""More than `ALONE` in one file are said together, the first `SHOWN` of them by name."""


def sightings(supply: Supply) -> Iterator[Sighting]:
    """Give the requirements without any bound; a library rightly has some, and what a lock pins needs none."""
    for manifest in supply.manifests:
        if _is_program(manifest, supply):
            yield from _unbounded(manifest)


def _is_program(manifest: Manifest, supply: Supply) -> bool:
    path = manifest.path
    if not (is_requirements(path) and for_use(path) and is_shipped(path)) or manifest.is_compiled:
        return False
    home = home_of(path)
    locked = any(is_above(folder_of(lock.path), path) for lock in supply.locks)
    packaged = any(item.is_package and is_above(home_of(item.path), path) for item in supply.manifests)
    return not (locked or packaged or _is_constrained(supply.manifests, home))


def _is_constrained(manifests: Sequence[Manifest], home: str) -> bool:
    """Say whether constraints, or a list that a tool compiled, stand beside."""
    beside = [item for item in manifests if home_of(item.path) == home]
    return any(item.is_compiled or "constraints" in PurePosixPath(item.path).name for item in beside)


def _unbounded(manifest: Manifest) -> Iterator[Sighting]:
    listed = [need for need in manifest.needs if need.name and not need.url]
    loose = [need for need in listed if not need.range]
    if len(loose) > ALONE:
        names = ", ".join(need.name for need in loose[:SHOWN]) + (", …" if len(loose) > SHOWN else "")
        detail = f"{len(loose)} of {len(listed)} requirements take any version: {names}"
        yield seen(manifest.source, "unpinned-dependency", loose[0].line, detail=detail)
        return
    for need in loose:
        yield seen(manifest.source, "unpinned-dependency", need.line, detail=f"any version of {need.name} will do")
