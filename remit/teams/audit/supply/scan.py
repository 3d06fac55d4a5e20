"""One pass over what the repository depends on: its manifests held against its code, its locks and its licence."""

from collections.abc import Callable, Iterator
from pathlib import Path

from remit.teams.audit.sighting import Scan, Sighting, Skipped
from remit.teams.audit.source import UnreadableError
from remit.teams.audit.supply import fetched, licence, lock_file, undeclared, unpinned, unused
from remit.teams.audit.supply.supply import Supply
from remit.teams.audit.tools.tally import summed

OFFLINE = Skipped(
    what="licences and known vulnerabilities of what the repository depends on", cause="an audit asks no network"
)
DETECTORS: tuple[Callable[[Supply], Iterator[Sighting]], ...] = (
    undeclared.sightings,
    unused.sightings,
    unpinned.sightings,
    fetched.sightings,
    licence.sightings,
)


def scan(root: Path, files: tuple[str, ...]) -> Scan:
    """Give what manifests, locks and code say against one another."""
    supply = Supply(root, files)
    found = [item for see in DETECTORS for item in see(supply)]
    found += _drifts(supply)
    blobs = {item.path: item.source.digest for item in supply.manifests}
    for path in {item.path for item in found} - blobs.keys():
        if (source := supply.text(path)) is not None:
            blobs[path] = source.digest
    skipped = sorted(supply.skipped, key=lambda item: (item.what, item.cause))
    return summed(found, blobs, [*skipped, OFFLINE], files=len(supply.manifests), lines=0)


def _drifts(supply: Supply) -> list[Sighting]:
    found: list[Sighting] = []
    for lock in supply.locks:
        try:
            found.extend(lock_file.drifts(lock, supply.manifests))
        except UnreadableError as error:
            supply.skip(lock.path, error.cause)
    return found
