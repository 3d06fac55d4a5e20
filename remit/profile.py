"""What a durability profile promises, and how the processes of a deployment are to write under it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remit.bus.topology import Profile


def gathers(profile: Profile) -> bool:
    """Say whether appends are gathered into batches: where the server syncs its disk for every write."""
    return profile != "embedded"
