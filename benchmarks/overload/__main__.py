"""A producer ten times faster than its consumers: what memory, refusals and outcomes say of it.

`python benchmarks/overload [--seconds 60] [--queue 5000]`: one command, which stops by itself when all that was
accepted has its outcome. Another workflow's task is published every five seconds beside the flood.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import time
from collections import Counter, defaultdict
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import psutil
import structlog
import team as bench
from platformdirs import user_cache_path

from remit import loader, places
from remit.bus import stream, subject
from remit.bus.connection import Bus
from remit.bus.identity import Credentials
from remit.client import Client
from remit.contracts.errors import QueueFullError, RetryableError
from remit.contracts.message import raw
from remit.contracts.task import TaskRequest
from remit.embedded import Embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

FASTER: Final = 10
SAMPLE_S: Final = 2.0
OTHER_S: Final = 5.0
IN_FLIGHT: Final = 64
_MIB: Final = 1024 * 1024


class Flood:
    """What was published, and what became of it."""

    def __init__(self, client: Client, seconds: float) -> None:
        self.client = client
        self.ends = time.perf_counter() + seconds
        self.accepted: list[str] = []
        self.said: Counter[str] = Counter()
        self.others_s: list[float] = []
        self._numbers = count()
        self._began = time.perf_counter()

    async def run(self) -> None:
        """Publish at the producer's rate until the time is over."""
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(self._lane())
            group.create_task(self._beside())

    async def _lane(self) -> None:
        rate = FASTER * bench.PER_S
        while time.perf_counter() < self.ends:
            number = next(self._numbers)
            await asyncio.sleep(max(0.0, self._began + number / rate - time.perf_counter()))
            await self._publish("flood", number)

    async def _publish(self, workflow: str, number: int) -> str:
        request = TaskRequest(goal="be measured", input=raw(bench.Piece(number, "x" * 400)))
        try:
            run = await self.client.submit(workflow, request)
        except QueueFullError as error:
            self.said[f"{error.code} {error.message}; next: {error.fix}"] += 1
            return ""
        except RetryableError as error:
            self.said[f"{error.code} {error.message}"] += 1
            return ""
        self.accepted.append(run)
        return run

    async def _beside(self) -> None:
        while time.perf_counter() < self.ends:
            began = time.perf_counter()
            if run := await self._publish("other", 0):
                await self.client.outcome(run, 120)
                self.others_s.append(time.perf_counter() - began)
            await asyncio.sleep(max(0.0, OTHER_S - (time.perf_counter() - began)))


async def watched(memory: dict[str, list[float]]) -> None:
    """Note the memory of every process of the deployment again and again, until cancelled."""
    while True:
        for name, held in (await asyncio.to_thread(_memory)).items():
            memory[name].append(held)
        await asyncio.sleep(SAMPLE_S)


def _memory() -> dict[str, float]:
    held: dict[str, float] = defaultdict(float)
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            held[_kind(process)] += process.memory_full_info().pss / _MIB
    return held


def _kind(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    for word, kind in (
        ("SupervisorActor", "supervisor"),
        ("HostActor", "host"),
        ("GatewayActor", "gateway"),
        ("nats-server", "nats-server"),
    ):
        if word in line:
            return kind
    return "Ray"


async def measured(place: places.Place, seconds: float, queue: int) -> Iterator[str]:
    """Flood the deployment, wait until all is done; give the figures in words."""
    await _bound(place, queue)
    memory: dict[str, list[float]] = defaultdict(list)
    async with await Client.connect(place) as client:
        await client.outcome(await client.submit("other", TaskRequest(goal="warm", input=raw(bench.Piece(0, "")))), 60)
        watching = asyncio.create_task(watched(memory))
        flood, began = Flood(client, seconds), time.perf_counter()
        await flood.run()
        flooded_s = time.perf_counter() - began
        outcomes = Counter([(await client.outcome(run, 600)).outcome for run in flood.accepted])
        done_s = time.perf_counter() - began
        watching.cancel()
        ended: Counter[str] = Counter()
        async for entry in client.journal.read(subject.FINISHED_FILTER):
            ended[entry.subject.split(".")[2]] += 1
    accepted = set(flood.accepted)
    return _told(flood, memory, outcomes, (ended[run] for run in accepted), flooded_s=flooded_s, done_s=done_s)


def _told(  # noqa: PLR0917  # what was measured
    flood: Flood,
    memory: dict[str, list[float]],
    outcomes: Counter[str],
    ended: Iterator[int],
    *,
    flooded_s: float,
    done_s: float,
) -> Iterator[str]:
    refused = sum(flood.said.values())
    tried = len(flood.accepted) + refused
    yield f"{tried} tasks in {flooded_s:.0f} s ({tried / flooded_s:.0f}/s against {bench.PER_S:.0f}/s that are done)"
    yield f"accepted {len(flood.accepted)}, refused {refused}: " + "; ".join(
        f"{n} x {w}" for w, n in flood.said.items()
    )
    yield f"all accepted done after {done_s:.0f} s: {dict(outcomes)}"
    times = Counter(ended)
    yield f"outcomes of an accepted task: {dict(times)} (1 is: exactly one)"
    slowest = max(flood.others_s, default=0.0)
    yield f"{len(flood.others_s)} tasks of another workflow beside it: slowest {slowest:.1f} s from publish to outcome"
    for name, held in sorted(memory.items()):
        first, middle, last = held[0], held[len(held) // 2], held[-1]
        yield f"{name}: {first:.0f} MiB at first, {middle:.0f} then, {max(held):.0f} at most, {last:.0f} at last"


async def _bound(place: places.Place, queue: int) -> None:
    """Make the queue small, so that it fills in the time there is."""
    credentials = Credentials.read(Path(place.operator).with_name("topology.creds"))
    bus = await Bus.connect(place.url, name="topology", credentials=credentials)
    config = msgspec.json.decode(await stream.api(bus, "STREAM.INFO", subject.TASKS))["config"]
    await stream.api(
        bus, "STREAM.UPDATE", subject.TASKS, body=config | {"max_msgs": queue, "max_msgs_per_subject": queue // 2}
    )
    await bus.close()


def main() -> None:
    """Flood a fresh deployment, and print what came of it."""
    parser = argparse.ArgumentParser(prog="benchmarks/overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument(
        "--queue", type=int, default=5000, help="tasks that the queue holds, half of them of one workflow"
    )
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    home = user_cache_path("remit", ensure_exists=True) / "bench" / f"overload-{os.getpid()}"
    os.environ[places.HOME] = str(home)
    home.mkdir(parents=True)
    loaded = loader.load(loader.resolve(str(Path(bench.__file__))))
    try:
        with Embedded(loaded, name="overload", port=None, durability="embedded"):
            lines = asyncio.run(measured(places.current("overload"), asked.seconds, asked.queue))
            print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores", *lines, sep="\n")
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
