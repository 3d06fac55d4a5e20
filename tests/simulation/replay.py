"""Held against each other while a seed runs: what the supervisor believes, and what its journal says."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from remit.bus import subject
from remit.bus.journal import Entry
from remit.contracts.lease import Lease
from remit.contracts.message import decode
from remit.supervisor.fold import SETTLED, Fold, settle
from remit.supervisor.run import on_leased
from tests.property.simulation import same
from tests.simulation.teams import spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remit.supervisor.open_run import OpenRun
    from remit.supervisor.run_state import RunState
    from tests.simulation.stream import Stored
    from tests.simulation.world import World


def entry_of(item: Stored) -> Entry:
    """Give a stored message as the product reads it."""
    return Entry(item.subject, item.seq, item.body, None, item.stored_at)


def differences(world: World) -> Iterator[str]:
    """Give the open runs whose live state, once it has heard all that is stored, is not what the fold gives."""
    if world.supervisor is None or world.supervising is None or world.supervising.is_dead:
        return
    for run in world.supervisor.runs:
        if not run.lock.locked() and (text := _difference(world, run)):
            yield text


def _difference(world: World, run: OpenRun) -> str:
    name = run.state.run_id
    fold, live = Fold(spec()), copy.deepcopy(run.state)
    for item in world.journal.after(1, subject.run_all(name)):
        fold.apply(entry_of(item))
        _hear(live, item, run.unanswered)
    folded = fold.runs.get(name)
    if folded is None:
        return f"{name} is open, and its journal says that it is not"
    left, right = same(_timeless(folded)), same(_timeless(live))
    return "" if left == right else f"{name} folded\n{left}\nlive\n{right}"


def _hear(live: RunState, item: Stored, unanswered: set[tuple[str, int]]) -> None:
    """What an agent says last comes by itself; of a lease that nobody answered the supervisor reads before that."""
    parts = subject.parse_run(item.subject)
    if parts is not None and parts.kind == "lease" and (parts.lane, int(parts.index)) in unanswered:
        on_leased(live, item.seq, decode(Lease, item.body))
    if parts is not None and parts.kind in SETTLED:
        settle(spec(), live, parts, name=item.subject, data=item.body, at=item.stored_at)


def _timeless(run: RunState) -> RunState:
    """When a failure was heard of is not when it was stored."""
    for step in run.steps.values():
        step.failed_at = None
    return run
