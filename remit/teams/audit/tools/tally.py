"""What a pass over files gives in the end: sightings that are worth a word, and the files that they cite."""

from collections.abc import Sequence

from remit.teams.audit.judge.rules import RULES
from remit.teams.audit.sighting import Blob, Measure, Scan, Sighting, Skipped, clipped, few


def summed(
    found: list[Sighting],
    blobs: dict[str, str],
    skipped: list[Skipped],
    *,
    files: int,
    lines: int,
    measures: Sequence[Measure] = (),
) -> Scan:
    """Give a scan of what is above the floor of its rule."""
    kept, more = clipped([item for item in found if item.measure >= RULES[item.rule].floor])
    cited = sorted({item.path for item in kept} & blobs.keys())
    return Scan(
        files=files,
        lines=lines,
        sightings=kept,
        blobs=tuple(Blob(path=path, digest=blobs[path]) for path in cited),
        skipped=(*few(skipped), *more),
        measures=tuple(measures),
    )
