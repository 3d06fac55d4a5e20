"""Which build serves the runs that another one began, as was found out when the deployment started."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from remit.bus import subject
from remit.supervisor import admission
from remit.supervisor.dispatch import Append
from remit.supervisor.finish import finish
from remit.supervisor.run_view import held_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remit.contracts.task import RunBound
    from remit.supervisor.open_run import OpenRun
    from remit.supervisor.run_state import RunState
    from remit.supervisor.runs import Runs


@dataclass(frozen=True, kw_only=True)
class Inheritance:
    """What a deployment takes over from another build."""

    bindings: tuple[RunBound, ...] = ()
    """Which build serves each run."""
    stranded: tuple[str, ...] = ()
    """Runs that end, because nobody can go on with them."""


NOTHING_INHERITED = Inheritance()


async def inherit(runs: Runs, inheritance: Inheritance, *, build: str) -> None:
    """Runs of other builds are served by the build that is named for them, or have their outcome."""
    await strand(runs, inheritance.stranded, build=build)
    await bind(runs, inheritance.bindings)


async def bind(runs: Runs, bindings: Sequence[RunBound]) -> None:
    """Each of these runs is served by the build that is named for it; said once, however often it is found out."""
    for bound in bindings:
        run = runs.get(bound.run_id)
        if run is None:
            continue
        async with run.lock:
            while run.state.finished is None and not _is_bound(run.state, bound):
                name = subject.decision(bound.run_id, run.state.number + 1, "bound")
                await runs.store(run, Append(name, replace(bound, held=held_names(run.state))))


async def strand(runs: Runs, names: Sequence[str], *, build: str) -> None:
    """Runs that this build cannot read have their outcome, because somebody said that they are to be given up."""
    for run in (runs.get(name) for name in names):
        if run is not None:
            await _strand(runs, run, build)


async def _strand(runs: Runs, run: OpenRun, build: str) -> None:
    async with run.lock:
        while run.state.finished is None:
            error = admission.stranded(run.state.started, build=build)
            end = finish(run.state, "stopped", now=datetime.now(UTC), stopped_by="build", error=error)
            await runs.store(run, end)
        await runs.advance(run)


def older_builds(runs: Runs) -> set[str]:
    """Give the older builds to which open runs are pinned."""
    return {run.state.team.build for run in runs if run.state.is_bound}


def _is_bound(run: RunState, bound: RunBound) -> bool:
    """Say whether the journal says so: whichever build comes next asks it where the run was served last."""
    return (run.bound_to or run.started.build, run.is_bound) == (bound.build, bound.is_older)
