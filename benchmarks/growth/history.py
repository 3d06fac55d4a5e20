"""A past for a deployment: real runs, recorded once, written again under many names."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from remit.bus import stream, topology
from remit.bus.journal import Draft, Journal
from remit.bus.subject import JOURNAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remit.bus.connection import Bus
    from remit.client import Client

FIRST: Final = 1_000_000
"""The first run's number: above every task that is really published."""
BATCH: Final = 500
Recorded = list[tuple[str, bytes]]


async def recorded(client: Client, run: str) -> Recorded:
    """Give the entries of a run under a name that is easily replaced."""
    word = re.compile(rb"\b" + run.encode() + rb"\b")
    return [(entry.subject.replace(run, "RUN"), word.sub(b"RUN", entry.data)) async for entry in client.entries(run)]


def _drafts(runs: Iterator[tuple[str, Recorded]]) -> Iterator[Draft]:
    for name, entries in runs:
        for where, data in entries:
            yield Draft(subject=where.replace("RUN", name), body=data.replace(b"RUN", name.encode()))


def past(kinds: Sequence[Recorded], *, count: int, still_open: int) -> Iterator[tuple[str, Recorded]]:
    """Give runs by name: all kinds but the last are over, those of the last are spread over the newer half."""
    *finished, waiting = kinds
    every = max(count // 2 // max(still_open, 1), 1)
    left = still_open
    for number in range(count):
        if number >= count // 2 and number % every == 0 and left:
            left -= 1
            yield f"r{FIRST + count + left}", waiting
        yield f"r{FIRST + number}", finished[number % len(finished)]


async def write(bus: Bus, runs: Iterator[tuple[str, Recorded]], roles: Sequence[str]) -> None:
    """The journal holds these runs, and nobody is given work of theirs again: all of it was settled."""
    for name in (*roles, topology.SUPERVISOR):
        await stream.api(bus, "CONSUMER.DELETE", JOURNAL, name)
    journal, drafts = Journal(bus, timeout_s=60.0), _drafts(runs)
    while batch := [draft for _, draft in zip(range(BATCH), drafts, strict=False)]:
        await journal.append_batch(batch)
        await asyncio.sleep(0)
    last = await journal.last_seq()
    await topology.ensure(bus, [*roles], oldest_open_seq=last + 1)
