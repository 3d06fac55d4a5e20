"""One pass over what the repository depends on."""

from pathlib import Path

from remit.teams.audit.sighting import Scan
from remit.teams.audit.tally import summed


def scan(_root: Path, files: tuple[str, ...]) -> Scan:
    """Give what there is to see."""
    return summed([], {}, [], files=len(files), lines=0)
