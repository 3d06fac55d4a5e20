"""What must hold of every rollback: what was undone was taken back outside, once, and newest first."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from remit.contracts.ids import base_position, intent_key, node_of
from remit.contracts.message import decode
from remit.contracts.rollback import RollbackBegun, RolledBack
from tests.simulation.teams import TRIP_ORDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remit.bus.subject import RunSubject
    from tests.simulation.invariants import Record
    from tests.simulation.stream import Stored


class Way:
    """One way back that came to its end: from the checkpoint, to the entry that says what was undone."""

    def __init__(self, begun: RollbackBegun, done: RolledBack, seq: int) -> None:
        self.begun = begun
        self.done = done
        self.seq = seq

    def effects(self, entries: list[tuple[RunSubject, Stored]]) -> Iterator[tuple[str, str]]:
        """Give the step and the key of each call of an undone step that was begun after the checkpoint."""
        first: dict[tuple[str, str], int] = {}
        for parts, item in entries:
            if parts.kind == "called":
                first.setdefault((parts.lane, base_position(parts.index)), item.seq)
        for (step, position), seq in first.items():
            if step in self.done.undone and self.begun.at_seq < seq < self.seq:
                yield step, intent_key(self.begun.run_id, step, position)


def ways(record: Record) -> Iterator[tuple[Way, list[tuple[RunSubject, Stored]]]]:
    """Give the rollbacks that are over, each with the entries of its run."""
    for entries in record.runs.values():
        begun: RollbackBegun | None = None
        for parts, item in entries:
            if parts.kind == "rollback_begun":
                begun = decode(RollbackBegun, item.body)
            elif parts.kind == "rolled_back" and begun is not None:
                yield Way(begun, decode(RolledBack, item.body), item.seq), entries


def what_is_undone_is_undone_once(record: Record) -> Iterator[str]:
    """Each effect of a step that counts as undone was taken back, and nothing was taken back twice."""
    outside = record.world.outside
    taken = Counter(effect for effect, _ in outside.taken_back)
    for effect, count in taken.items():
        if count > 1:
            yield f"{effect} was taken back {count} times"
    happened = {key for _, key in outside.happened}
    for way, entries in ways(record):
        for step, key in way.effects(entries):
            if key in happened and not taken[key]:
                yield f"{key} stands, and step {step} counts as undone"


def newest_is_undone_first(record: Record) -> Iterator[str]:
    """What a rollback undid was taken back in the reverse order of its steps."""
    moments: dict[str, int] = {}
    for number, (effect, _) in enumerate(record.world.outside.taken_back):
        moments.setdefault(effect, number)
    for way, entries in ways(record):
        found = sorted((moments[key], step) for step, key in way.effects(entries) if key in moments)
        places = [TRIP_ORDER.index(node_of(step)) for _, step in found]
        if places != sorted(places, reverse=True):
            yield f"{way.begun.run_id} took back {[step for _, step in found]}"


def only_what_is_undone_is_taken_back(record: Record) -> Iterator[str]:
    """Nothing is taken back of a run that never went back, nor of what came before the checkpoint."""
    begun = {
        parts.run: decode(RollbackBegun, item.body).at_seq
        for entries in record.runs.values()
        for parts, item in entries
        if parts.kind == "rollback_begun"
    }
    called: dict[str, int] = {}
    for run, entries in record.runs.items():
        for parts, item in entries:
            if parts.kind == "called":
                called.setdefault(intent_key(run, parts.lane, base_position(parts.index)), item.seq)
    for effect, _ in record.world.outside.taken_back:
        run = effect.split(".", 1)[0]
        if called[effect] < begun.get(run, called[effect] + 1):
            yield f"{effect} was taken back, and is from before the checkpoint"
