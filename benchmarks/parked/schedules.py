"""Measure JetStream's message schedules: what 10,000 of them cost, how late they fire, what a restart does to them."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

import uvloop
from platformdirs import user_cache_path
from process import usage

from remit.bus import stream
from remit.bus.connection import Bus
from remit.bus.embedded import binary
from remit.contracts.errors import BusUnavailableError, RemitError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

MANY: Final = 10_000
IN_FLIGHT: Final = 256
IDLE_S: Final = float(os.environ.get("IDLE_S", "60"))
AHEAD_S: Final = 8.0
PORT: Final = 14233
URL: Final = f"nats://127.0.0.1:{PORT}"


class Server:
    """A nats-server of its own with its data on a real disk; killed, and started again, as often as is wished."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        """Give the process; it may not listen yet."""
        command = [str(binary()), "-js", "-sd", str(self._home), "-a", "127.0.0.1", "-p", str(PORT)]
        self._child = subprocess.Popen([*command, "-l", str(self._home / "log")])
        return self._child.pid

    def kill(self) -> None:
        """The process is gone from one moment to the next."""
        if self._child is not None:
            self._child.send_signal(signal.SIGKILL)
            self._child.wait()


async def connected() -> Bus:
    """Give a connection, once the server listens."""
    while True:
        try:
            return await Bus.connect(URL, name="bench")
        except BusUnavailableError:
            await asyncio.sleep(0.005)


async def made(bus: Bus, name: str, **more: object) -> object:
    """Make a stream that takes schedules on `<name>.at.*` and puts what is due on `<name>.due.*`."""
    config = {"name": name, "subjects": [f"{name}.>"], "storage": "file", "allow_direct": True}
    return await stream.try_api(
        bus, "STREAM.CREATE", name, body=config | {"allow_msg_schedules": True} | more, timeout_s=10
    )


async def publish(bus: Bus, name: str, number: int, *, at: datetime) -> None:
    """One schedule is stored."""
    headers = {
        "Nats-Schedule": f"@at {at.isoformat().replace('+00:00', 'Z')}",
        "Nats-Schedule-Target": f"{name}.due.{number}",
    }
    await stream.store(bus, f"{name}.at.{number}", f'{{"run_id":"r{number}"}}'.encode(), headers=headers, timeout_s=60)


async def all_of(act: Callable[[int], Awaitable[object]], count: int) -> float:
    """Do something so many times, `IN_FLIGHT` at once; give the seconds."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await act(number)

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return time.perf_counter() - began


async def fired(bus: Bus, name: str, dues: Sequence[datetime], *, since: datetime | None = None) -> str:
    """Await all, and say how late they were stored on their targets; from `since` on, if it is later than the time."""
    late_ms: list[float] = []
    while len(late_ms) < len(dues):
        late_ms = []
        async for entry in stream.entries(bus, name, f"{name}.due.>"):
            at = dues[int(entry.subject.rpartition(".")[2])]
            if entry.stored_at is not None:
                late_ms.append((entry.stored_at - max(at, since or at)).total_seconds() * 1000)
        await asyncio.sleep(0.5)
    late_ms.sort()
    early = sum(late < 0 for late in late_ms)
    at = [late_ms[min(int(len(late_ms) * share), len(late_ms) - 1)] for share in (0.5, 0.99, 1)]
    return f"p50 {at[0]:.0f} p99 {at[1]:.0f} max {at[2]:.0f} ms ({early} early, {len(late_ms)} fired)"


async def waiting(bus: Bus, pid: int) -> None:
    """What 10,000 cost while they wait."""
    await made(bus, "FAR")
    await asyncio.sleep(1)
    before = usage(pid)
    far = datetime.now(UTC) + timedelta(hours=1)
    taken_s = await all_of(lambda number: publish(bus, "FAR", number, at=far), MANY)
    await asyncio.sleep(2)
    after = usage(pid)
    print(f"published {MANY / taken_s:,.0f}/s; CPU {(after.cpu_s - before.cpu_s) / MANY * 1e6:.0f} us each")
    print(f"server PSS {before.pss_mb:.1f} -> {after.pss_mb:.1f} MB, RSS {before.rss_mb:.1f} -> {after.rss_mb:.1f}")
    await asyncio.sleep(IDLE_S)
    print(f"CPU over {IDLE_S:g} s of waiting: {usage(pid).cpu_s - after.cpu_s:.2f} s")


async def lateness(bus: Bus, name: str, spread_s: float) -> None:
    """How late so many fire that are due within a time."""
    await made(bus, name)
    first = datetime.now(UTC) + timedelta(seconds=AHEAD_S)
    dues = [first + timedelta(seconds=spread_s * number / MANY) for number in range(MANY)]
    taken_s = await all_of(lambda number: publish(bus, name, number, at=dues[number]), MANY)
    print(f"{MANY} within {spread_s:g} s (published {MANY / taken_s:,.0f}/s): {await fired(bus, name, dues)}")
    print(f"  left in the stream: {await stream.state(bus, name)}")


async def cancelled(bus: Bus) -> None:
    """Both ways to take a schedule back."""
    await made(bus, "CANCEL")
    at = datetime.now(UTC) + timedelta(seconds=20)
    await all_of(lambda number: publish(bus, "CANCEL", number, at=at), 2000)

    async def purge(number: int) -> None:
        await stream.api(bus, "STREAM.PURGE", "CANCEL", body={"filter": f"CANCEL.at.{number}"}, timeout_s=30)

    async def replace(number: int) -> None:
        headers = {"Nats-Schedule-Next": "purge", "Nats-Scheduler": f"CANCEL.at.{1000 + number}"}
        await stream.store(bus, f"CANCEL.gone.{number}", b"", headers=headers)

    print(f"cancelled by purge of its subject: {1000 / await all_of(purge, 1000):,.0f}/s")
    try:
        print(f"cancelled by a message that names it: {1000 / await all_of(replace, 1000):,.0f}/s")
    except RemitError as error:
        print(f"cancelled by a message that names it: refused: {error}")
    left = (at - datetime.now(UTC)).total_seconds() + 4
    await asyncio.sleep(left)
    found = [entry.subject async for entry in stream.entries(bus, "CANCEL", "CANCEL.due.>")]
    print(f"  fired all the same: {len(found)}")


async def journal(bus: Bus) -> None:
    """What a stream with the journal's settings says to a schedule."""
    told = {"discard": "new", "discard_new_per_subject": True, "max_msgs_per_subject": 1, "deny_delete": True}
    answer = await made(bus, "ONCE", **told)
    print(f"a stream with the journal's settings: {answer if isinstance(answer, stream.ApiError) else 'made'}")


async def restarted(bus: Bus, server: Server) -> None:
    """Kill the server while schedules wait; some are due while it is away."""
    await made(bus, "OVER")
    first = datetime.now(UTC) + timedelta(seconds=10)
    dues = [first + timedelta(seconds=10 * (number % 2)) for number in range(MANY)]
    await all_of(lambda number: publish(bus, "OVER", number, at=dues[number]), MANY)
    await bus.close()
    await asyncio.sleep(1)
    server.kill()
    await asyncio.sleep((dues[0] - datetime.now(UTC)).total_seconds() + 1)
    began, since = time.perf_counter(), datetime.now(UTC)
    server.start()
    again = await connected()
    print(f"killed and started: listens after {time.perf_counter() - began:.2f} s with all streams of this pass")
    print(
        f"  {MANY} of which half were due meanwhile: {await fired(again, 'OVER', dues, since=since)} from its start on"
    )
    await again.close()


async def _measured(home: Path) -> None:
    server = Server(home)
    pid = server.start()
    try:
        bus = await connected()
        print(
            f"nats-server {bus.server_version}, {time.strftime('%FT%TZ', time.gmtime())}, load {os.getloadavg()[0]:.1f}"
        )
        await journal(bus)
        await waiting(bus, pid)
        await lateness(bus, "BURST", 1.0)
        await lateness(bus, "SPREAD", 60.0)
        await cancelled(bus)
        await restarted(bus, server)
    finally:
        server.kill()


def main() -> None:
    """One pass, printed."""
    home = user_cache_path("remit", ensure_exists=True) / f"bench-schedules-{os.getpid()}"
    home.mkdir(parents=True)
    try:
        uvloop.run(_measured(home))
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
