"""A team that does at most a hundred tasks a second: one host with ten slots, each step a tenth of a second."""

from __future__ import annotations

import asyncio
from typing import Final

from remit import Context, Message, Role, Team

STEP_S: Final = 0.1
SLOTS: Final = 10
PER_S: Final = SLOTS / STEP_S


class Piece(Message, tag="bench.piece.v1"):
    """About 500 bytes as JSON."""

    number: int
    body: str


class Done(Message, tag="bench.piece_done.v1"):
    """The number of what was done."""

    number: int


class Worker(Role[Piece, Done]):
    """Waits, as for a model."""

    pool = 1

    async def handle(self, work: Piece, ctx: Context) -> Done:
        """Give the number back a moment later."""
        await asyncio.sleep(STEP_S)
        return Done(work.number)


team = Team("overload", roles=[Worker], workflows={"flood": Worker, "other": Worker})
