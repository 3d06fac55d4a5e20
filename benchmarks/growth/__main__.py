"""Measure what a long journal costs: restart, throughput, disk and memory, with 100,000 finished runs and 500 open."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import signal
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

import history
import msgspec
import structlog
import team as growing
import uvloop
from platformdirs import user_cache_path

from remit import archive, loader, offline, places
from remit.bus import stream, subject
from remit.bus.connection import Bus
from remit.bus.identity import Authority
from remit.bus.permission import Permissions
from remit.bus.snapshot import Snapshots
from remit.bus.subject import JOURNAL, RESULTS, SNAPSHOT
from remit.client import Client
from remit.contracts.message import raw
from remit.contracts.task import TaskRequest
from remit.embedded import Embedded
from remit.local_ray import NAMESPACE
from remit.supervisor.recovery import recover
from remit.supervisor.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from remit.contracts.message import Message

Figures = dict[str, object]
NAME: Final = "growth"
ROLES: Final = ("trivial", "thinker", "sleeper")
LANES: Final = 64
NOTICED_S: Final = 0.2
"""By then the server knows that the killed process is gone, and gives it no task any more."""
ANYTHING: Final = Permissions(account="core", publish_allow=(">",), subscribe_allow=(">",))
"""The past is written by somebody who may write everything; the deployment itself has what it always has."""


@contextmanager
def up(home: Path) -> Iterator[Embedded]:
    """The deployment serves, from the data that there is."""
    os.environ[places.HOME] = str(home)
    loaded = loader.load(loader.resolve(str(Path(growing.__file__))))
    with Embedded(loaded, name=NAME, port=None, durability="embedded") as deployment:
        yield deployment


async def finish(client: Client, workflow: str, work: Message) -> str:
    """Give the run of a task, once it is over."""
    run = await client.submit(workflow, TaskRequest(goal="be measured", input=raw(work)))
    outcome = await client.outcome(run, 60.0)
    if outcome.outcome != "complete":
        raise RuntimeError(repr(outcome))
    return run


async def rate(client: Client, seconds: float, *, workflow: str = "task") -> float:
    """Give how many runs a second are finished, with `LANES` in flight."""
    done, ends = 0, time.perf_counter() + seconds

    async def lane() -> None:
        nonlocal done
        while time.perf_counter() < ends:
            await finish(client, workflow, growing.Task(id=done))
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(LANES)))
    return done / (time.perf_counter() - began)


def memory_mb() -> dict[str, float]:
    """Give the memory that is their own of all processes below this one, by kind."""
    found: dict[str, float] = {}
    for pid in _below(os.getpid()):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            sizes = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        kind = _kind(command)
        pss = int(next(line for line in sizes.splitlines() if line.startswith("Pss:")).split()[1]) / 1024
        found[kind] = round(found.get(kind, 0.0) + pss, 1)
    return {"all": round(sum(found.values()), 1)} | found


def _kind(command: str) -> str:
    for word in ("nats-server", "SupervisorActor", "GatewayActor", "HostActor"):
        if word in command:
            return word
    return "ray"


def _below(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, todo = list[int](), [root]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


async def restart_s(client: Client) -> float:
    """Kill the supervisor; give the seconds until its successor has decided something new."""
    import ray

    actor = ray.get_actor(f"{NAME}.supervisor", namespace=NAMESPACE)
    pid = ray.get(actor.pid.remote())
    os.kill(pid, signal.SIGKILL)
    began = time.perf_counter()
    await asyncio.sleep(NOTICED_S)
    run = await client.submit("task", TaskRequest(goal="be decided", input=raw(growing.Task(id=0))))
    while await client.journal.get(subject.lane(run)) is None:  # noqa: ASYNC110  # another process: there is no event to await
        await asyncio.sleep(0.01)
    took = time.perf_counter() - began
    await client.outcome(run, 60.0)
    return round(took, 2)


async def fold_s(client: Client) -> tuple[float, int]:
    """Give the seconds in which this process finds out what is open, and where it began to read."""
    began = time.perf_counter()
    found = await recover(client.journal, loader.load_spec(client.place.team_ref), Versions())
    return round(time.perf_counter() - began, 2), found.start_seq


async def disk(client: Client, folder: Path) -> Figures:
    """Give bytes of the streams, as the server counts them and as the disk does."""
    journal, results = await stream.state(client.bus, JOURNAL), await stream.state(client.bus, RESULTS)
    used = sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
    return {
        "entries": journal.messages,
        "journal MB": round(journal.bytes / 1e6, 1),
        "results MB": round(results.bytes / 1e6, 1),
        "disk MB": round(used / 1e6, 1),
    }


async def written(admin: Bus, reached: int) -> None:
    """Return when there is a snapshot of the journal up to there."""
    while (head := await Snapshots(admin).head()) is None or head.seq < reached:  # noqa: ASYNC110  # another process: there is no event to await
        await asyncio.sleep(0.2)


async def ready(client: Client) -> None:
    """Return when every role has its hosts and answers."""
    while any(role.ready < role.desired for role in (await client.status()).roles):  # noqa: ASYNC110  # another process: there is no event to await
        await asyncio.sleep(0.1)
    await asyncio.gather(*(finish(client, kind, growing.Task(id=0)) for kind in ("task", "run")))


async def look(client: Client, admin: Bus, folder: Path, *, asked: argparse.Namespace) -> Figures:
    """Measure a deployment as it is."""
    await ready(client)
    await asyncio.gather(*(rate(client, asked.seconds, workflow=kind) for kind in ("task", "run")))
    before, held = memory_mb(), await client.journal.last_seq()
    found: Figures = {"W1 a second": [round(await rate(client, asked.seconds)) for _ in range(asked.passes)]}
    found["memory MB"], found["after entries more"] = before, await client.journal.last_seq() - held
    found["memory then MB"] = memory_mb()
    found |= await disk(client, folder)
    await written(admin, await client.journal.last_seq() - 10_000)
    found["fold with a snapshot s"], found["read from"] = await fold_s(client)
    found["restart with a snapshot s"] = [await restart_s(client) for _ in range(asked.passes)]
    await ready(client)
    await stream.api(admin, "STREAM.PURGE", SNAPSHOT)
    found["fold without s"], _ = await fold_s(client)
    found["restart without s"] = await restart_s(client)
    return found


async def archive_half(client: Client, folder: Path) -> Figures:
    """The older half of what is over is taken out, as `remit run archive` does it."""
    began = time.perf_counter()
    choice = await archive.choose(client, older_than=timedelta())
    half = archive.Choice(runs=choice.runs[len(choice.runs) // 2 :])
    chosen_s = time.perf_counter() - began
    archivist = await archive.Archivist.connect(client)
    report = await archivist.archive(half)
    await archivist.close()
    return {
        "runs": report.runs,
        "chosen in s": round(chosen_s, 1),
        "archived in s": round(time.perf_counter() - began - chosen_s, 1),
        "files": len(report.files),
        "MB of entries": round(report.bytes_in / 1e6, 1),
        "MB of files": round(report.bytes_out / 1e6, 1),
        "refused": len(report.refused),
    } | await disk(client, folder)


async def record(client: Client) -> list[history.Recorded]:
    """Give one real run of each kind: two that are over, one that waits."""
    await ready(client)
    over = [await history.recorded(client, await finish(client, kind, growing.Task(id=1))) for kind in ("task", "run")]
    nap = growing.Nap(until=datetime.now(UTC) + timedelta(days=90))
    run = await client.submit("nap", TaskRequest(goal="wait", input=raw(nap)))
    while (last := await client.journal.get(subject.lane(run))) is None or not last.subject.endswith("parked"):  # noqa: ASYNC110  # another process: there is no event to await
        await asyncio.sleep(0.05)
    return [*over, await history.recorded(client, run)]


async def within(place: places.Place, act: Callable[[Client, Bus], Awaitable[Figures]]) -> Figures:
    """Act with a client of the deployment, and a connection that may do anything."""
    authority = Authority.create_or_load(Path(place.data) / "keys")
    credentials = authority.issue("history", permissions=ANYTHING)
    admin = await Bus.connect(place.url, name="history", credentials=credentials)
    try:
        async with await Client.connect(place) as client:
            return await act(client, admin)
    finally:
        await admin.close()


def _said(what: str, found: object) -> None:
    print(f"\n## {what}", flush=True)
    for key, value in found.items() if isinstance(found, dict) else []:
        print(f"{key}: {value}", flush=True)


def measure(home: Path, asked: argparse.Namespace) -> dict[str, Figures]:
    """Give the figures of an empty journal, of a long one, and of one half of which was archived."""
    folder, figures = home / "deployments" / NAME, dict[str, Figures]()
    kinds: list[history.Recorded] = []

    async def begin(client: Client, admin: Bus) -> Figures:
        kinds.extend(await record(client))
        return await look(client, admin, folder, asked=asked)

    async def fill(client: Client, admin: Bus) -> Figures:
        began, runs = time.perf_counter(), history.past(kinds, count=asked.runs, still_open=asked.open)
        await history.write(admin, runs, ROLES)
        return {"written in s": round(time.perf_counter() - began, 1)} | await disk(client, folder)

    async def again(client: Client, admin: Bus) -> Figures:
        return await look(client, admin, folder, asked=asked)

    def note(what: str, found: Figures) -> None:
        figures[what] = found
        print(f"\n## {what}\n" + "\n".join(f"{key}: {value}" for key, value in found.items()), flush=True)

    with up(home) as deployment:
        note("empty", uvloop.run(within(deployment.place, begin)))
    with offline.served(places.current(NAME)) as place:
        note("filled", uvloop.run(within(place, fill)))

    async def halve(client: Client, _admin: Bus) -> Figures:
        return await archive_half(client, folder)

    with up(home) as deployment:
        note(f"{asked.runs} finished, {asked.open} open", uvloop.run(within(deployment.place, again)))
        note("half archived", uvloop.run(within(deployment.place, halve)))
        note("after that", uvloop.run(within(deployment.place, again)))
    return figures


def main() -> None:
    """One pass, printed and written."""
    parser = argparse.ArgumentParser(prog="benchmarks/growth", description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--open", type=int, default=500)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    home = user_cache_path("remit", ensure_exists=True) / "bench" / f"growth-{os.getpid()}"
    load = os.getloadavg()[0]
    try:
        figures = measure(home, asked)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print(f"\nload before {load:.1f}, after {os.getloadavg()[0]:.1f}, {len(os.sched_getaffinity(0))} cores")
    print(msgspec.json.format(msgspec.json.encode(figures), indent=1).decode())


if __name__ == "__main__":
    main()
