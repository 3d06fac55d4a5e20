"""Carry a parked run of an embedded deployment on: bring the deployment up, decide, let the run end, take it down."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from remit import deciding, foreground, listing, loader, offline
from remit.client import Client
from remit.history import fold
from remit.watch import follow, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from remit.bus.journal import Entry
    from remit.contracts.control import DecideReview
    from remit.history import History
    from remit.places import Place


def finish(
    place: Place, wish: DecideReview, *, on_start: Callable[[], None], on_entry: Callable[[Entry], None]
) -> History:
    """The review is decided and its run went on until it was finished, or waits for a person again.

    Raises: as `deciding.decide`, before Ray is started; as `Embedded.start`; KeyboardInterrupt. No process is left.
    """
    with offline.served(place) as here:
        asyncio.run(_check(here, wish))
    on_start()
    loaded = loader.load(place.team_ref)
    data = Path(place.data)
    durability = offline.durability(data)
    with foreground.deployed(loaded, name=place.name, port=offline.first_choice(data), durability=durability) as up:
        return asyncio.run(_finish(up.place, wish, on_entry))


async def _check(place: Place, wish: DecideReview) -> None:
    async with await Client.connect(place) as client:
        deciding.check(await listing.review(client, wish.review_id), wish)


async def _finish(place: Place, wish: DecideReview, on_entry: Callable[[Entry], None]) -> History:
    async with await Client.connect(place) as client:
        run = wish.review_id.rpartition("-v")[0]
        history = fold(run, await read(client, run))
        await deciding.decide(client, wish)
        async for entry in follow(client, history, stops_when_parked=True):
            on_entry(entry)
        return history
