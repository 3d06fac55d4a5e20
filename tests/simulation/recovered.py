"""Held against each other when a supervisor begins: what it read from a snapshot, and what the whole journal says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.bus import subject
from remit.contracts.ids import is_run
from remit.supervisor import versions
from remit.supervisor.fold import Fold
from remit.supervisor.versions import Versions
from tests.simulation.replay import entry_of
from tests.simulation.subjects import matcher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remit.supervisor.service import Supervisor
    from tests.simulation.world import World


def recovery_differences(world: World, supervisor: Supervisor) -> Iterator[str]:
    """Give what a supervisor that has just recovered knows otherwise than it would from the first entry on."""
    found = supervisor.recovered
    assert found is not None
    fold, state = Fold(supervisor._team), Versions()
    for item in world.journal.messages.values():
        if item.seq <= found.seq:
            fold.apply(entry_of(item))
    matchers = [matcher(filter_) for filter_ in versions.FILTERS]
    for item in world.journal.messages.values():
        if item.seq <= found.state_seq and any(matches(item.subject) for matches in matchers):
            run = versions.run_of(item.subject)
            if not is_run(run) or run in fold.runs:
                state.apply(entry_of(item))
    state.forget_all_but(fold.runs)
    pairs: dict[str, tuple[object, object]] = {
        "open runs": (fold.runs, found.fold.runs),
        "runs with steps that are held": (fold.left, found.fold.left),
        "revocations": (list(fold.revoked), list(found.fold.revoked)),
        "state": (_plain(state), _plain(supervisor.arbiter.versions)),
    }
    for what, (whole, read) in pairs.items():
        if whole != read:
            yield f"{what} from {found.start_seq} on:\n{read}\nfrom the first entry on:\n{whole}"
    begun = {name: run.first_seq for name, run in fold.runs.items()}
    if found.index.open != begun:
        yield f"the index has {found.index.open}, the journal {begun}"


def _plain(state: Versions) -> dict[str, object]:
    """Everything that is known of versions; of a proposal's versions the order says nothing."""
    committed = {
        (run, *proposal): sorted(refs) for run, found in state._committed.items() for proposal, refs in found.items()
    }
    return {
        "held": {name: held for name, held in sorted(state._scopes.items()) if held},
        "origins": {name: found for name, found in sorted(state._origins.items()) if found},
        "conflicts": {name: found for name, found in sorted(state._conflicts.items()) if found},
        "committed": dict(sorted(committed.items())),
        "requests": {name: dict(sorted(found.items())) for name, found in sorted(state._requests.items()) if found},
        "lost": {name: dict(sorted(found.items())) for name, found in sorted(state._lost.items()) if found},
    }


def stands_before(world: World, seq: int) -> bool:
    """Say whether anything of a run stands before a place in the journal: reading on from there left it out."""
    return any(item.seq < seq and subject.parse_run(item.subject) for item in world.journal.messages.values())
