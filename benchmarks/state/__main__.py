"""Measure shared state on a fresh embedded deployment: commits under contention and side by side, reads, merges."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent))

import msgspec
import structlog
import team as bench
import uvloop
from platformdirs import user_cache_path

from remit import loader, places
from remit.client import Client
from remit.contracts.document import StateContract
from remit.contracts.message import canonical, decode, raw
from remit.contracts.task import TaskRequest
from remit.embedded import Embedded
from remit.supervisor.merge import Author, Merge

if TYPE_CHECKING:
    from collections.abc import Sequence

LOADS = (
    bench.Load(name="warm", writers=8, commits=50),
    bench.Load(name="one", writers=8, commits=300, is_one_key=True),
    bench.Load(name="one-plain", writers=8, commits=300, is_one_key=True, is_recorded=False),
    bench.Load(name="many", writers=64, commits=100),
    bench.Load(name="many-plain", writers=64, commits=150, is_recorded=False),
    bench.Load(name="wide", writers=1000, commits=1, is_recorded=False),
)
MERGES = 20


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value below which this share of them is."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def _line(name: str, taken_ms: Sequence[float], per_s: float, *, note: str = "") -> str:
    return f"| {name} | {per_s:,.0f} | {quantile(taken_ms, 0.5):.2f} | {quantile(taken_ms, 0.99):.2f} | {note} |"


async def _measured(place: places.Place) -> list[str]:
    lines: list[str] = []
    async with await Client.connect(place) as client:

        async def times(workflow: str, load: bench.Load) -> bench.Times:
            run = await client.submit(workflow, TaskRequest(goal="be measured", input=raw(load)))
            outcome = await client.outcome(run, 300)
            if outcome.outcome != "complete":
                raise RuntimeError(repr(outcome))
            return decode(bench.Times, outcome.result)

        for load in LOADS:
            found = await times("write", load)
            where = "one key" if load.is_one_key else "one key each"
            through = "ctx.state, recorded" if load.is_recorded else "the arbiter alone"
            name = f"{load.writers} writers, {where}, {through}"
            lines.append(
                _line(name, found.each_ms, len(found.each_ms) / found.seconds, note=f"{found.conflicts} conflicts")
            )
        read = await times("read", bench.Load(name="wide", writers=1000, commits=20))
        lines.append(_line("read 1,000 keys at one point", read.each_ms, len(read.each_ms) / read.seconds))
    return lines


def _merges() -> str:
    kind = StateContract(template="doc.{name}", kind=dict[str, int])
    author = Author("writer", "writer-1", "r1", "s", "0", proposed_at=_NOW)
    base: dict[str, object] = {f"key-{number:07d}-{'x' * 24}": number for number in range(24_000)}
    current = {name: value + (value % 7 == 0) for name, value in base.items() if isinstance(value, int)}
    proposed = {name: value + (value % 7 == 1) for name, value in base.items() if isinstance(value, int)}
    taken_ms = []
    for _ in range(MERGES):
        began = time.perf_counter()
        merged = Merge(author).run(kind.node, base, current, proposed)
        taken_ms.append((time.perf_counter() - began) * 1000)
    size = len(canonical(merged)) // 1024
    return _line(f"merge two documents of {size} KiB", taken_ms, 1000 / quantile(taken_ms, 0.5))


_NOW = bench.datetime.now(bench.UTC)


def main() -> None:
    """One pass, printed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    home = user_cache_path("remit", ensure_exists=True) / f"bench-state-{os.getpid()}"
    home.mkdir(parents=True)
    os.environ[places.HOME] = str(home)
    loaded = loader.load(loader.resolve(str(Path(bench.__file__))))
    load = os.getloadavg()[0]
    try:
        with Embedded(loaded, name="state", port=None, durability="embedded"):
            lines = uvloop.run(_measured(places.current("state")))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print(f"load {load:.1f}, {time.strftime('%FT%TZ', time.gmtime())}, msgspec {msgspec.__version__}\n")
    print("| operation | per second | p50 ms | p99 ms | |\n|---|---:|---:|---:|---|")
    print("\n".join([*lines, _merges()]))


if __name__ == "__main__":
    main()
