"""Whether a process of somebody else runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def lives(pid: int) -> bool:
    """Say whether a process runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


async def gone(pids: Iterable[int], within_s: float) -> None:
    """None of these runs any more."""
    async with asyncio.timeout(within_s):
        while any(map(lives, pids)):
            await asyncio.sleep(0.005)  # the kernel tells only the parent
