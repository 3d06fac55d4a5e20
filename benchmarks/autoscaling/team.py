"""A team of one role whose steps wait for half a second: a host with four slots does eight of them a second."""

from __future__ import annotations

import asyncio
from typing import Final

from remit import Context, Message, Pool, Role, Team

STEP_S: Final = 0.5
SLOTS: Final = 4
POOL: Final = Pool(min=0, max=4, slots=SLOTS, wait_s=2, idle_s=20, isolated=True)


class Piece(Message, tag="bench.piece.v1"):
    """One piece of work, by number."""

    number: int


class Done(Message, tag="bench.piece_done.v1"):
    """The number of what was done."""

    number: int


class Worker(Role[Piece, Done]):
    """Waits, as for a model."""

    pool = POOL

    async def handle(self, work: Piece, ctx: Context) -> Done:
        """Give the number back, half a second later."""
        await asyncio.sleep(STEP_S)
        return Done(work.number)


team = Team("autoscaling", roles=[Worker], workflows={"piece": Worker})
