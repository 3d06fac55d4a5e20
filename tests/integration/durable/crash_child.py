"""A process of its own that is a host, a gateway or a supervisor, and ends itself with SIGKILL at one point.

It says `ready <names>` when it serves. `CRASH_AT` holds the point as JSON; without it the process lives.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from remit.bus.connection import Bus
from tests.integration.durable.crash_points import Point, Probe, Victim
from tests.integration.durable.crash_run import CrashHouse

if TYPE_CHECKING:
    from tests.integration.durable.crash_points import Kind

CRASH_AT = "CRASH_AT"


class _Process(Victim):
    """This process: when it dies, it does."""

    def die(self) -> None:
        for bus in self.buses:
            bus._wire.write_now()
        os.kill(os.getpid(), signal.SIGKILL)


async def _open(house: CrashHouse, kind: Kind, gateways: tuple[str, ...]) -> Victim:
    if kind == "host":
        for role in house.team.roles:
            await house.hire(role)
    elif kind == "gateway":
        await house.open_gateway()
    else:
        house.known.names = gateways
        house.supervisor = await house.supervise(house.spec)
    victim = house.victim(kind)
    return _Process(victim.kind, victim.buses, victim.names, victim.end)


async def main(kind: Kind, url: str, place: str, *gateways: str) -> None:
    """Serve until killed."""
    house = CrashHouse(url, await Bus.connect(url, name="child"), Path(place))
    victim = await _open(house, kind, gateways)
    at = os.environ.get(CRASH_AT)
    if at:
        Probe(victim, msgspec.json.decode(at, type=Point)).arm(place)
    print("ready", *victim.names, flush=True)  # noqa: T201  # whoever started it waits for that
    await asyncio.Event().wait()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asyncio.run(main(*sys.argv[1:]))  # type: ignore[arg-type]  # as whoever started it said
