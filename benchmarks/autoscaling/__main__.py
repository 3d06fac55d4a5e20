"""How a pool follows a step, a ramp and a burst: backlog, hosts and the oldest wait over time, on a real deployment.

`python benchmarks/autoscaling [--load step|ramp|burst] [--out docs/images]`: one command, three minutes for each load.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
import team as bench
from platformdirs import user_cache_path
from plot import Panel, svg

from remit import loader, places
from remit.bus import subject
from remit.client import Client
from remit.contracts.message import raw
from remit.contracts.task import TaskRequest
from remit.embedded import Embedded

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY_S: Final = 0.5
PER_HOST: Final = bench.SLOTS / bench.STEP_S
ENDS_S: Final = 170.0
LOADS: Final[dict[str, Callable[[float], float]]] = {
    "step": lambda at: 20.0 if 5 <= at < 65 else 0.0,
    "ramp": lambda at: 24.0 * (at - 5) / 60 if 5 <= at < 65 else 0.0,
    "burst": lambda at: 600.0 if 5 <= at < 6 else 0.0,
}
"""Tasks a second."""


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen at one moment."""

    at_s: float
    arrived: int
    backlog: int
    oldest_wait_s: float
    wished: int
    ready: int


async def follow(place: places.Place, load: Callable[[float], float]) -> tuple[list[Moment], list[str], int]:
    """Drive one load; give what was seen, the changes of the pool, and how many tasks were finished."""
    seen: list[Moment] = []
    runs: list[str] = []
    async with await Client.connect(place) as client:
        began, owed = time.perf_counter(), 0.0
        before = 0.0
        while (at := time.perf_counter() - began) < ENDS_S:
            owed += sum(load(before + (at - before) * part / 10) for part in range(10)) / 10 * (at - before)
            before = at
            due, owed = int(owed), owed - int(owed)
            numbers = range(len(runs), len(runs) + due)
            runs += await asyncio.gather(*(_submit(client, number) for number in numbers))
            (role,) = (await client.status()).roles
            seen.append(
                Moment(
                    at_s=round(at, 2),
                    arrived=len(runs),
                    backlog=role.backlog,
                    oldest_wait_s=role.oldest_wait_s,
                    wished=role.desired,
                    ready=role.ready,
                )
            )
            await asyncio.sleep(max(0.0, EVERY_S - (time.perf_counter() - began - at)))
        done = [await client.outcome(run, 60) for run in runs]
        changes = [entry.data async for entry in client.journal.read(subject.state_filter("team", "pool.worker"))]
    told = [_told(msgspec.json.decode(data)) for data in changes]
    return seen, told, sum(outcome.outcome == "complete" for outcome in done)


async def _submit(client: Client, number: int) -> str:
    return await client.submit("piece", TaskRequest(goal="be measured", input=raw(bench.Piece(number))))


def _told(version: dict[str, dict[str, object]]) -> str:
    value = version["value"]
    return f"{value['was']} -> {value['hosts']}: {value['reason']}"


def picture(name: str, seen: list[Moment]) -> str:
    """Give the plot of one load."""
    rates = [(after.arrived - before.arrived) / EVERY_S for before, after in pairwise(seen)]
    panels = [
        Panel(
            "tasks a second", {"arriving": [0.0, *rates], "done by the hosts": [item.ready * PER_HOST for item in seen]}
        ),
        Panel("backlog (steps that wait)", {"backlog": [float(item.backlog) for item in seen]}),
        Panel(
            "hosts", {"wished": [float(item.wished) for item in seen], "ready": [float(item.ready) for item in seen]}
        ),
        Panel(
            f"oldest wait in seconds; the objective is {bench.POOL.wait_s:g}",
            {"oldest wait": [item.oldest_wait_s for item in seen], "objective": [bench.POOL.wait_s] * len(seen)},
        ),
    ]
    return svg(f"A pool under a {name}", [item.at_s for item in seen], panels)


def summary(name: str, seen: list[Moment], *, changes: list[str], done: int) -> str:
    """Give the figures of one load in words."""
    late = [item for item in seen if item.oldest_wait_s > bench.POOL.wait_s]
    said = (
        f"{name}: {seen[-1].arrived} tasks, {done} complete; at most {max(item.wished for item in seen)} hosts, "
        f"backlog {max(item.backlog for item in seen)}, oldest wait {max(item.oldest_wait_s for item in seen):.1f} s; "
        f"later than {bench.POOL.wait_s:g} s for {len(late) * EVERY_S:.0f} s; {len(changes)} changes, in the end "
        f"{seen[-1].wished} hosts"
    )
    return "\n  ".join([said, *changes])


def main() -> None:
    """Drive each load on a deployment of its own; print the figures and write the plots."""
    parser = argparse.ArgumentParser(prog="benchmarks/autoscaling", description=__doc__)
    parser.add_argument("--load", choices=sorted(LOADS), action="append", help="one of them; else all")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[2] / "docs" / "images")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    home = user_cache_path("remit", ensure_exists=True) / "bench" / f"autoscaling-{os.getpid()}"
    os.environ[places.HOME] = str(home)
    loaded = loader.load(loader.resolve(str(Path(bench.__file__))))
    asked.out.mkdir(parents=True, exist_ok=True)
    for name in asked.load or LOADS:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        try:
            with Embedded(loaded, name="autoscaling", port=None, durability="embedded"):
                seen, changes, done = asyncio.run(follow(places.current("autoscaling"), LOADS[name]))
        finally:
            shutil.rmtree(home, ignore_errors=True)
        (asked.out / f"autoscaling-{name}.svg").write_text(picture(name, seen))
        print(f"load {os.getloadavg()[0]:.1f}; " + summary(name, seen, changes=changes, done=done), flush=True)


if __name__ == "__main__":
    main()
