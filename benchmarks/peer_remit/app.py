"""Remit as a peer: the benchmark's team, and the three things that the harness drives."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.append(str(Path(__file__).resolve().parents[1]))
import stage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Drive = Callable[[int], Awaitable[object]]

ASKS = stage.ASKS


def drives(client: stage.Client) -> tuple[Drive, Drive, Drive]:
    """Give one task of W1, one run of W2, one run of W3."""
    return client.task, client.run, client.talk
