"""The team that is measured: writers that meet on one key, writers on keys of their own, and a reader of many keys."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Annotated

from remit import Context, Message, Role, Team, policy, state
from remit.contracts.message import raw
from remit.contracts.proposal import ProposeState, StateChange, StateCommitted


class Load(Message, tag="state.load.v1"):
    """How many writers commit how often, on one key or on one each."""

    name: str
    writers: int
    commits: int
    is_one_key: bool = False
    is_recorded: bool = True
    """Through `ctx.state`, which records every answer; else to the arbiter alone."""


class Times(Message, tag="state.times.v1"):
    """Milliseconds of every operation, and seconds of all."""

    seconds: float
    each_ms: tuple[float, ...]
    conflicts: int = 0


class Tally(Message, tag="state.tally.v1"):
    """Some 200 bytes, two of whose fields every writer changes."""

    count: Annotated[int, policy.counter()] = 0
    top: Annotated[int, policy.maximum()] = 0
    text: str = "x" * 120


class Writer(Role[Load, Times]):
    """Writes, and says how long each commit took."""

    pool = 1

    async def handle(self, work: Load, ctx: Context) -> Times:
        """Run all writers side by side."""
        began = time.perf_counter()
        if work.is_recorded:
            parts = await ctx.gather(*(_recorded(work, ctx, number) for number in range(work.writers)))
        else:
            parts = tuple(await asyncio.gather(*(_plain(work, ctx, number) for number in range(work.writers))))
        return Times(
            seconds=time.perf_counter() - began,
            each_ms=tuple(taken for taken_ms, _conflicts in parts for taken in taken_ms),
            conflicts=sum(conflicts for _taken, conflicts in parts),
        )


class Reader(Role[Load, Times]):
    """Reads all keys of the last load at one point, some times."""

    pool = 1

    async def handle(self, work: Load, ctx: Context) -> Times:
        """Read by prefix."""
        taken_ms: list[float] = []
        await ctx.port.hold()  # the lease is not what is measured
        began = time.perf_counter()
        for _ in range(work.commits):
            start = time.perf_counter()
            found = await ctx.state.list(f"tally.{work.name}.", Tally)
            taken_ms.append((time.perf_counter() - start) * 1000)
            assert len(found) == work.writers, len(found)  # noqa: S101  # a wrong answer must not be counted
        return Times(seconds=time.perf_counter() - began, each_ms=tuple(taken_ms))


def _key(work: Load, writer: int) -> str:
    return f"tally.{work.name}.{0 if work.is_one_key else writer}"


async def _recorded(work: Load, ctx: Context, writer: int) -> tuple[list[float], int]:
    taken_ms: list[float] = []
    version, conflicts, value = 0, 0, Tally()
    for number in range(work.commits):
        start = time.perf_counter()
        wished = Tally(count=value.count + 1, top=writer * 1000 + number)
        answer = await ctx.state.propose(_key(work, writer), wished, base=version)
        taken_ms.append((time.perf_counter() - start) * 1000)
        assert isinstance(answer, StateCommitted), answer  # noqa: S101  # as above
        version, conflicts, value = answer.version, conflicts + bool(answer.decisions), _tally(answer)
    return taken_ms, conflicts


async def _plain(work: Load, ctx: Context, writer: int) -> tuple[list[float], int]:
    taken_ms: list[float] = []
    version, conflicts, value = 0, 0, Tally()
    await ctx.port.hold()
    for number in range(work.commits):
        start = time.perf_counter()
        wished = raw(Tally(count=value.count + 1, top=writer * 1000 + number))
        proposal = ProposeState(
            run_id=ctx.run_id,
            step=ctx.step_id,
            epoch=ctx.epoch,
            position=f"{writer}-{number}",
            changes=(StateChange(key=_key(work, writer), base_version=version, value=wished),),
            proposed_at=datetime.now(UTC),
        )
        answer = await ctx.port.propose(proposal)
        taken_ms.append((time.perf_counter() - start) * 1000)
        assert isinstance(answer, StateCommitted), answer  # noqa: S101  # as above
        version, conflicts, value = answer.version, conflicts + bool(answer.decisions), _tally(answer)
    return taken_ms, conflicts


def _tally(answer: StateCommitted) -> Tally:
    from remit.contracts.message import decode

    return decode(Tally, answer.value)


team = Team(
    "state",
    roles=[Writer, Reader],
    workflows={"write": Writer, "read": Reader},
    state=[state("tally.{load}.{writer}", Tally, scope="team")],
)
