"""Time and chance of the simulated world, put in the place of the machine's for as long as one simulation runs.

This is the one place that reaches into the product's modules: what they import as `datetime`, `time`, `secrets`,
`random`, `uuid` and `os` is replaced by what the world says. A process may be mistaken about the time by its `skew_s`.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
import time
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from remit.agents import footprint
from remit.agents.passage import Passage
from tests.simulation.process import PROCESS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
_PLANES: Final = ("remit.agents.", "remit.bus.", "remit.contracts.ids", "remit.supervisor.", "remit.tools.")


def now() -> datetime:
    """Give the time as the process that asks believes it to be."""
    process = PROCESS.get(None)
    skew_s = process.skew_s if process is not None else 0.0
    return EPOCH + timedelta(seconds=asyncio.get_running_loop().time() + skew_s)


class VirtualDatetime(datetime):
    """`datetime` whose `now` is the world's; all else is as it was."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain one, as messages hold
        return now().astimezone(tz)


async def _passage_now(self: Passage) -> datetime:
    """`Passage.now` names `datetime` as the type of what it journals: that has to be the plain one."""
    return await self._once("now", datetime, now)


class VirtualTime:
    """`time` of the world."""

    @staticmethod
    def monotonic() -> float:
        return asyncio.get_running_loop().time()

    perf_counter = monotonic

    @staticmethod
    def time() -> float:
        return now().timestamp()


class SeededSecrets:
    """`secrets` that the seed gives away."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def token_hex(self, size: int) -> str:
        return self._chance.randbytes(size).hex()

    def randbits(self, bits: int) -> int:
        return self._chance.getrandbits(bits)


class SeededUuid:
    """`uuid` that the seed gives away."""

    UUID = uuid.UUID

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def uuid4(self) -> uuid.UUID:
        return uuid.UUID(int=self._chance.getrandbits(128), version=4)


class OneProcess:
    """`os` of a world in which process numbers mean nothing."""

    @staticmethod
    def getpid() -> int:
        return 1


def _no_footprint() -> int:
    """Give how old and how large a process of the world is: that means nothing in it."""
    return 0


@contextmanager
def virtual(seed: int) -> Iterator[None]:
    """Have every plane live in the world's time; what stood there stands there again afterwards."""
    chance = random.Random(f"{seed} names")  # noqa: S311  # it must be foreseen
    stead: dict[str, tuple[object, object]] = {
        "datetime": (datetime, VirtualDatetime),
        "time": (time, VirtualTime),
        "secrets": (secrets, SeededSecrets(chance)),
        "random": (random, chance),
        "uuid": (uuid, SeededUuid(chance)),
    }
    import os

    changed: list[tuple[object, str, object]] = [(Passage, "now", Passage.now)]
    Passage.now = _passage_now  # type: ignore[method-assign]  # for as long as the seed runs
    for told in ("age_s", "memory_bytes"):  # the real process is not that of the world
        changed.append((footprint, told, getattr(footprint, told)))
        setattr(footprint, told, _no_footprint)
    for name, module in sorted(sys.modules.items()):
        if not name.startswith(_PLANES):
            continue
        here = stead | ({"os": (os, OneProcess)} if name.startswith("remit.agents.") else {})
        for attribute, (real, simulated) in here.items():
            if name != "remit.bus.stream" and module.__dict__.get(attribute) is real:
                changed.append((module, attribute, real))
                setattr(module, attribute, simulated)
    try:
        yield
    finally:
        for changed_module, attribute, real in changed:
            setattr(changed_module, attribute, real)
