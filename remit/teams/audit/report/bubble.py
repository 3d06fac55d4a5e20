"""Files as bubbles: how complex a file is, how often it was changed, how long it is, and what was found in it."""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from remit.teams.audit.finding import WEIGHT, Finding, by_path
from remit.teams.audit.report.hotspot import Hotspot
from remit.teams.audit.sighting import Measure

BUBBLES = 150
"""More on one chart hide one another."""
HEAVY = 10
"""Weight of one finding of high severity."""

Across = Literal["commits", "lines"]
Load = Literal["quiet", "some", "heavy"]


class Bubble(msgspec.Struct, frozen=True, kw_only=True):
    """One measured file."""

    path: str
    complexity: int
    lines: int
    commits: int
    """0 if nobody counted them."""
    findings: int
    weight: int
    rank: int = 0
    """Its place among the files to mend first, from 1; 0 if it is none of them."""

    @property
    def load(self) -> Load:
        """Say how much was found, as the chart tells it."""
        return "heavy" if self.weight >= HEAVY else "some" if self.findings else "quiet"


class Cloud(msgspec.Struct, frozen=True, kw_only=True):
    """The bubbles of one chart."""

    across: Across
    """What grows to the right: commits, or lines where there is no history to count."""
    bubbles: tuple[Bubble, ...]
    """Those to mend first, then the longest."""
    measured: int
    """Files that there are numbers of, drawn or not."""


def cloud(measures: Iterable[Measure], kept: Iterable[Finding], spots: Sequence[Hotspot]) -> Cloud:
    """Give the bubbles of the files that were measured; of very many the longest, and always those to mend first."""
    known: dict[str, dict[str, int]] = {}
    for item in measures:
        known.setdefault(item.path, {})[item.name] = item.value
    found, ranks = by_path(kept), {spot.path: number for number, spot in enumerate(spots, 1)}
    made = [
        _bubble(path, numbers, found.get(path, ()), rank=ranks.get(path, 0))
        for path, numbers in known.items()
        if "complexity" in numbers
    ]
    ordered = sorted(made, key=lambda item: (item.rank or len(spots) + 1, -item.lines, item.path))
    across: Across = "commits" if any(item.commits for item in made) else "lines"
    return Cloud(across=across, bubbles=tuple(ordered[:BUBBLES]), measured=len(made))


def _bubble(path: str, numbers: dict[str, int], found: Sequence[Finding], *, rank: int) -> Bubble:
    return Bubble(
        path=path,
        complexity=numbers["complexity"],
        lines=numbers.get("lines", 0),
        commits=numbers.get("commits", 0),
        findings=len(found),
        weight=sum(WEIGHT[finding.severity] for finding in found),
        rank=rank,
    )
