"""Measure runs that wait: 10,000 parked on a timer or on a person, everything killed, everything started again."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

import structlog
import team as bench
import uvloop
from platformdirs import user_cache_path
from stage import Stage

from remit import loader, places
from remit.bus import subject
from remit.client import Client
from remit.contracts.control import DecideReview
from remit.contracts.message import decode, raw
from remit.contracts.review import ReviewOpened
from remit.contracts.step import StepParked
from remit.contracts.task import TaskRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from process import Usage

    from remit.bus.connection import Incoming

FEW: Final = 1_000
MANY: Final = int(os.environ.get("RUNS", "10000"))
IDLE_S: Final = float(os.environ.get("IDLE_S", "60"))
AHEAD_S: Final = float(os.environ.get("AHEAD_S", "150"))
IN_FLIGHT: Final = 128
SETTLE_S: Final = 3.0
PARKED: Final = {"timer": "parked", "review": "review_opened"}


class Counter:
    """Runs of which something was said, and an event when it was said of enough of them."""

    def __init__(self, token: int) -> None:
        self._token = token
        self._runs: set[str] = set()
        self._wanted = 0
        self._is_enough = asyncio.Event()
        self.first_at = self.last_at = 0.0

    def hear(self, message: Incoming) -> None:
        """Count the run that a subject names."""
        self._runs.add(message.subject.split(".")[self._token])
        self.last_at = time.perf_counter()
        self.first_at = self.first_at or self.last_at
        if len(self._runs) >= self._wanted:
            self._is_enough.set()

    async def reach(self, wanted: int, within_s: float = 120.0) -> None:
        """Return when so many were heard of."""
        self._wanted = wanted
        self._is_enough.clear()
        if len(self._runs) < wanted:
            try:
                async with asyncio.timeout(within_s):
                    await self._is_enough.wait()
            except TimeoutError:
                raise RuntimeError(f"{len(self._runs)} of {wanted}") from None


async def side_by_side(work: Iterable[Awaitable[object]]) -> None:
    """Await all, `IN_FLIGHT` at once."""
    todo = iter(work)

    async def some() -> None:
        for item in todo:
            await item

    await asyncio.gather(*(some() for _ in range(IN_FLIGHT)))


async def submit(client: Client, kind: str, count: int, *, until: Callable[[int], datetime]) -> None:
    """So many tasks are published."""

    def task(number: int) -> Awaitable[str]:
        return client.submit(kind, TaskRequest(goal="be measured", input=raw(bench.Nap(until=until(number)))))

    await side_by_side(task(number) for number in range(count))


async def decide_all(client: Client) -> None:
    """A person who reads and decides very fast."""
    reviews = [decode(ReviewOpened, entry.data) async for entry in client.journal.read("remit.run.*._.*.review_opened")]

    def decision(review: ReviewOpened) -> Awaitable[object]:
        return client.decide(DecideReview(review_id=review.review_id, subject=review.subject, decision="approved"))

    await side_by_side(decision(review) for review in reviews)


def costs(before: Mapping[str, Usage], after: Mapping[str, Usage]) -> str:
    """Say what each process used between two looks."""
    return ", ".join(f"{kind} {after[kind].cpu_s - before[kind].cpu_s:.2f} s" for kind in after)


def sizes(found: Mapping[str, Usage]) -> str:
    """Say how large each process is."""
    return ", ".join(f"{kind} {item.pss_mb:.1f} ({item.rss_mb:.1f})" for kind, item in found.items())


async def park(stage: Stage, kind: str) -> datetime:
    """Park 1,000 runs, then 10,000, and say what they cost; give when the timers are due."""
    until = datetime.now(UTC) + timedelta(seconds=AHEAD_S)
    async with await Client.connect(stage.place) as client:
        counter = Counter(2)
        await client.bus.subscribe(f"remit.run.*._.*.{PARKED[kind]}", counter.hear)
        await asyncio.sleep(SETTLE_S)
        empty = stage.usage()
        print(f"0 parked: PSS (RSS) MB: {sizes(empty)}")
        for so_far, wanted in ((0, min(FEW, MANY)), (min(FEW, MANY), MANY)):
            before, began = stage.usage(), time.perf_counter()
            await submit(client, kind, wanted - so_far, until=lambda _: until)
            await counter.reach(wanted)
            taken_s = counter.last_at - began
            print(f"{wanted - so_far} parked in {taken_s:.1f} s: {(wanted - so_far) / taken_s:,.0f}/s")
            await asyncio.sleep(SETTLE_S)
            now = stage.usage()
            each = (now["supervisor"].pss_mb - empty["supervisor"].pss_mb) * 1024 / wanted
            each_server = (now["nats-server"].pss_mb - empty["nats-server"].pss_mb) * 1024 / wanted
            print(f"{wanted} parked: PSS (RSS) MB: {sizes(now)}; {each:.2f} and {each_server:.2f} KiB a run")
            print(f"  CPU: {costs(before, now)}")
        before = stage.usage()
        await asyncio.sleep(IDLE_S)
        print(f"CPU over {IDLE_S:g} s of waiting: {costs(before, stage.usage())}")
    return until


async def resume(stage: Stage, kind: str, home: Path) -> None:
    """Start everything again, and say how long it takes until all runs are complete."""
    began = time.perf_counter()
    starting = asyncio.create_task(asyncio.to_thread(stage.up))
    while len(stage.pieces) < 2:  # noqa: ASYNC110  # another thread starts them
        await asyncio.sleep(0.005)
    stage.profile("supervisor", int(os.environ.get("PROFILE_S", "30")), home.parent / f"profile-{kind}.txt")
    async with await Client.connect(stage.place) as client:
        finished = Counter(2)
        await client.bus.subscribe(subject.RESULT_ALL, finished.hear)
        await starting
        print("started again: " + ", ".join(f"{what} {seconds:.2f} s" for what, seconds in stage.marks.items()))
        ready = time.perf_counter()
        if kind == "review":
            await decide_all(client)
            print(f"all decided {time.perf_counter() - ready:.1f} s after it was ready")
        await finished.reach(MANY)
        last = finished.last_at
        print(f"{MANY} complete {last - began:.1f} s after the start, {last - ready:.1f} s after it was ready")
        print(f"  CPU: {', '.join(f'{name} {item.cpu_s:.1f} s' for name, item in stage.usage().items())}")
        print(f"  PSS (RSS) MB: {sizes(stage.usage())}")


async def lateness(stage: Stage, spread_s: float) -> None:
    """How long after its time a run is dispatched again, as the server's clock stores it."""
    first = datetime.now(UTC) + timedelta(seconds=float(os.environ.get("LATE_AHEAD_S", "45")))
    async with await Client.connect(stage.place) as client:
        parked, finished, start = Counter(2), Counter(2), await client.journal.last_seq() + 1
        await client.bus.subscribe("remit.run.*._.*.parked", parked.hear)
        await client.bus.subscribe(subject.RESULT_ALL, finished.hear)
        await submit(client, "timer", MANY, until=lambda number: first + timedelta(seconds=spread_s * number / MANY))
        await parked.reach(MANY)
        if datetime.now(UTC) > first:
            raise RuntimeError("not all were parked before the first was due")
        await asyncio.sleep((first - datetime.now(UTC)).total_seconds() - 1)
        before = stage.usage()
        await finished.reach(MANY)
        dues: dict[str, datetime] = {}
        late_ms = []
        async for entry in client.journal.read("remit.run.*._.>", start_seq=start):
            run = entry.subject.split(".")[2]
            if entry.subject.endswith(".parked"):
                dues[run] = decode(StepParked, entry.data).until_at or first
            elif ".work." in entry.subject and entry.subject.endswith(".2") and entry.stored_at is not None:
                late_ms.append((entry.stored_at - dues[run]).total_seconds() * 1000)
        late_ms.sort()
        at = [late_ms[min(int(len(late_ms) * share), len(late_ms) - 1)] for share in (0.5, 0.99, 1)]
        early = sum(late < 0 for late in late_ms)
        print(
            f"{len(late_ms)} due within {spread_s:g} s: dispatched p50 {at[0]:.0f} p99 {at[1]:.0f} max {at[2]:.0f} ms"
            f" late, {early} early; all complete {(datetime.now(UTC) - first).total_seconds():.1f} s after the first"
        )
        print(f"  CPU: {costs(before, stage.usage())}")


async def _measured(stage: Stage, kind: str, home: Path) -> None:
    await asyncio.to_thread(stage.up)
    if kind.startswith("late"):
        await lateness(stage, float(kind.removeprefix("late")))
        return
    until = await park(stage, kind)
    stage.kill()
    if kind == "timer":
        left_s = (until - datetime.now(UTC)).total_seconds()
        print(f"killed {left_s:.0f} s before they were due")
        await asyncio.sleep(max(left_s, 0.0))
    await resume(stage, kind, home)


def main() -> None:
    """One pass of each kind that is named, printed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    for kind in sys.argv[1:] or ("timer", "review", "late1", "late60"):
        home = user_cache_path("remit", ensure_exists=True) / f"bench-parked-{os.getpid()}"
        home.mkdir(parents=True)
        os.environ[places.HOME] = str(home)
        print(f"\n{kind}: load {os.getloadavg()[0]:.1f}, {time.strftime('%FT%TZ', time.gmtime())}")
        stage = Stage(
            loader.load(loader.resolve(str(Path(bench.__file__)))), name="parked", port=None, durability="embedded"
        )
        try:
            uvloop.run(_measured(stage, kind, home))
        finally:
            stage.kill()
            shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
