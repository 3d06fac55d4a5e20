"""Runs one seed and says what came of it."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from remit.bus import connection, group_commit
from remit.bus.group_commit import FEW
from tests.simulation.bus import SimWire
from tests.simulation.clock import virtual
from tests.simulation.faults import FAULTS
from tests.simulation.invariants import violations
from tests.simulation.loop import EndlessError, VirtualLoop
from tests.simulation.trace import Trace
from tests.simulation.world import Plan, World

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_TURNS: Final = 150_000
"""Of the loop, in one seed: what needs more does not end."""
_SEAM: Final = "WireClient"
"""The name in `remit.bus.connection` under which a `Bus` finds its client: the one seam of the bus."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a seed showed."""

    seed: int
    plan: Plan
    digest: str
    wrong: tuple[str, ...]
    turns: int
    virtual_s: float
    entries: int
    faults: dict[str, int]
    lines: tuple[str, ...] = ()


def plan_of(seed: int) -> Plan:
    """Draw what a seed does: every tenth is undisturbed, the others have some of the faults; every third gathers."""
    chance = random.Random(f"{seed} plan")  # noqa: S311  # it must be foreseen
    names = sorted(FAULTS)
    faults = [] if seed % 10 == 0 else chance.sample(names, chance.randrange(1, len(names) + 1))
    tasks, trouble_s = chance.randrange(1, 5), chance.uniform(2.0, 8.0)
    return Plan(tasks=tasks, faults=tuple(sorted(faults)), trouble_s=trouble_s, gathers=seed % 3 == 1)


@contextmanager
def simulated(seed: int, loop: VirtualLoop, processor: structlog.typing.Processor | None = None) -> Iterator[None]:
    """Have the product run on this loop, in its time, with its chances, over simulated wires."""
    config, client = structlog.get_config(), connection.__dict__[_SEAM]
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet if processor is None else structlog.BoundLogger)
    if processor is not None:
        structlog.configure(processors=[processor])
    setattr(connection, _SEAM, SimWire)
    asyncio.set_event_loop(loop)
    try:
        with virtual(seed):
            try:
                yield
            finally:
                _end(loop)
    finally:
        setattr(connection, _SEAM, client)
        structlog.configure(**config)
        asyncio.set_event_loop(None)
        loop.close()


def simulate(seed: int, plan: Plan | None = None, *, keeps_lines: bool = False) -> Outcome:
    """Run one seed to its end."""
    plan = plan or plan_of(seed)
    trace = Trace(keeps_lines=keeps_lines)
    loop = VirtualLoop(MOST_TURNS)
    wrong: list[str] = []
    loop.set_exception_handler(lambda _loop, facts: wrong.append(f"unhandled: {facts}"))
    with gathering(few=0 if plan.gathers else FEW), simulated(seed, loop, _noting(trace) if keeps_lines else None):
        world = World(seed, plan, loop, trace)
        try:
            loop.run_until_complete(world.run())
        except EndlessError as error:
            wrong.append(f"does not end: {error}")
        wrong += world.wrong + violations(world)
        return Outcome(
            seed=seed,
            plan=plan,
            digest=trace.digest,
            wrong=tuple(wrong),
            turns=loop.turns,
            virtual_s=loop.time(),
            entries=len(world.journal.messages),
            faults=world.chaos.counts,
            lines=tuple(trace.lines),
        )


@contextmanager
def gathering(*, few: int) -> Iterator[None]:
    """Have batches begin above so many entries."""
    before = group_commit.FEW
    group_commit.FEW = few  # type: ignore[misc]  # of this process, for one seed
    try:
        yield
    finally:
        group_commit.FEW = before  # type: ignore[misc]


def _noting(trace: Trace) -> structlog.typing.Processor:
    def note(_logger: object, _name: str, event: structlog.typing.EventDict) -> str:
        what = event.pop("event")
        trace.lines.append(f"{'':10} {'log':22} {what} {event}")
        raise structlog.DropEvent

    return note


def _end(loop: VirtualLoop) -> None:
    """What still runs is ended, so that nothing is left for the next seed."""
    loop.set_exception_handler(lambda _loop, _facts: None)
    loop.most_turns += MOST_TURNS
    for _ in range(100):
        tasks = [task for task in asyncio.all_tasks(loop) if not task.done()]
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks))
