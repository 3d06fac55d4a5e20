"""What the processes of a measurement cost: memory that is their own, and CPU time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """One process, now."""

    rss_mb: float
    pss_mb: float
    cpu_s: float


def usage(pid: int) -> Usage:
    """Give what a process has used until now."""
    sizes = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:] if ":" in line
    )
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return Usage(_mb(sizes["Rss"]), _mb(sizes["Pss"]), ticks / _TICKS)


def _mb(text: str) -> float:
    return int(text.split(maxsplit=1)[0]) / 1024
