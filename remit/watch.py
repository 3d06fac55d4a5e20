"""Follow a run entry by entry, as they are stored, across outages of the bus."""

from __future__ import annotations

import asyncio
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from remit.bus import subject
from remit.contracts.errors import BusUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remit.bus.journal import Entry
    from remit.client import Client
    from remit.history import History

LOOK_S: Final = 2.0
"""How long news may be overlooked: what wakes us is heard at most once."""
EVERY_S: Final = 0.02
"""A busy run is read in groups of what came meanwhile."""
PARKED_S: Final = 0.3
"""A run that rests on a review for so long will not go on by itself."""
OUTAGE_S: Final = 60.0


async def follow(client: Client, history: History, *, stops_when_parked: bool = False) -> AsyncIterator[Entry]:
    """Give the entries of a run from `history.next_seq` on, each applied to `history`, until the run is finished.

    With `stops_when_parked`, ends also when nothing but a person can carry the run on.

    Raises:
        BusUnavailableError: the bus was away for a minute; `history` is right as far as it goes.
    """
    news = asyncio.Event()
    watching = await client.bus.subscribe(subject.run_all(history.run_id), lambda _message: news.set())
    try:
        while True:
            news.clear()
            for entry in await _read_on(client, history):
                history.apply(entry)
                yield entry
            if history.finished is not None:
                return
            await asyncio.sleep(EVERY_S)
            may_stop = stops_when_parked and history.is_parked
            if not await _happens(news, PARKED_S if may_stop else LOOK_S) and may_stop:
                return
    finally:
        watching.drop()


async def _read_on(client: Client, history: History) -> list[Entry]:
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + OUTAGE_S
    while True:
        try:
            return await read(client, history.run_id, start_seq=history.next_seq)
        except BusUnavailableError:
            if loop.time() > give_up_at:
                raise
            await asyncio.sleep(LOOK_S / 4)


async def read(client: Client, run: str, *, start_seq: int = 1) -> list[Entry]:
    """Give the entries of a run and the versions of its state, in journal order, as many as there are.

    Raises:
        BusUnavailableError: they could not be read.
    """
    end = await client.journal.last_seq()  # what is stored while we read is read next time, all of it
    found = [entry async for entry in client.journal.read(subject.state_filter(run), start_seq=start_seq)]
    found += [entry async for entry in client.entries(run, start_seq=start_seq)]
    return sorted((entry for entry in found if entry.seq <= end), key=attrgetter("seq"))


async def _happens(news: asyncio.Event, within_s: float) -> bool:
    try:
        await asyncio.wait_for(news.wait(), within_s)
    except TimeoutError:
        return False
    return True
