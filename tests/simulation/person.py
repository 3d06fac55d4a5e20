"""A person who looks at the open reviews now and then, and decides them by whim."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from remit.bus import subject
from remit.bus.connection import Bus
from remit.contracts.control import DecideReview
from remit.contracts.errors import RemitError
from remit.contracts.message import decode, encode, raw
from remit.contracts.review import ReviewDecided, ReviewOpened
from tests.simulation.process import Process

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from tests.simulation.world import World

LOOK_S = 1.0


class Person:
    """Decides through the same door as the command line."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self._seen = 0
        self._open: dict[str, ReviewOpened] = {}

    def begin(self) -> None:
        """From now on reviews are decided."""
        Process("person", self._world).spawn(self._work())

    async def _work(self) -> None:
        bus = await Bus.connect("sim", name="person")
        while True:
            await asyncio.sleep(LOOK_S * (0.5 + self._chance.random()))
            for review in tuple(self._look()):
                wish = self._wish(review)
                try:
                    await bus.request(subject.control("decide", "ann"), encode(wish), timeout_s=2.0)
                except RemitError:
                    continue

    def _look(self) -> Iterator[ReviewOpened]:
        """Read the journal over the supervisor's shoulder."""
        for item in self._world.journal.after(self._seen + 1, "remit.run.*._.*.*"):
            self._seen = item.seq
            if item.subject.endswith("review_opened"):
                opened = decode(ReviewOpened, item.body)
                self._open[opened.review_id] = opened
            elif item.subject.endswith("review_decided"):
                self._open.pop(decode(ReviewDecided, item.body).review_id, None)
            elif item.subject.endswith("finished"):
                run = item.subject.split(".")[2]
                self._open = {name: review for name, review in self._open.items() if review.run_id != run}
        yield from self._open.values()

    def _wish(self, review: ReviewOpened) -> DecideReview:
        agreed = self._chance.random() < 0.8
        wish = DecideReview(
            review_id=review.review_id,
            subject=review.subject,
            decision="approved" if agreed else "rejected",
            by="ann",
        )
        if review.kind != "in_doubt":
            return wish
        resolution = self._chance.choice(("again", "done", "skip"))
        return DecideReview(
            review_id=review.review_id,
            subject=review.subject,
            decision="approved",
            by="ann",
            resolution=resolution,  # type: ignore[arg-type]  # one of three words
            value=raw(7),
        )
