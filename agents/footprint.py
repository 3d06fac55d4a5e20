"""How old this process is, and how much memory it holds."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_STARTED: Final = time.monotonic()
_STATM: Final = Path("/proc/self/statm")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def age_s() -> float:
    """Give the seconds since this process first looked at the time: a moment after it began."""
    return time.monotonic() - _STARTED


def memory_bytes() -> int:
    """Give what this process holds in memory; 0 where the system does not say it so."""
    with suppress(OSError):
        return int(_STATM.read_text().split()[1]) * _PAGE_BYTES
    return 0
