"""What became of a run in which a process died, read from its journal and from the world outside: what is wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remit.bus import subject
from remit.contracts.lease import Lease
from remit.contracts.message import decode
from remit.contracts.step import Recorded, RunStep, StepCompleted
from remit.contracts.tool import ToolCalled
from remit.supervisor.finish import state_hash
from remit.supervisor.fold import Fold
from tests.integration.durable.crash_team import ACTS, EFFECTS, REPLY, Outside, Shipped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from remit.bus.journal import Entry
    from remit.contracts.task import RunFinished
    from tests.integration.durable.crash_points import Point, Probe, Victim
    from tests.integration.durable.crash_run import CrashHouse


@dataclass
class Found:
    """What became of one run."""

    point: Point | None
    was_reached: bool
    resumed_s: float | None
    """From the death to the replacement's first entry of the run; None if it had none to make."""
    calls: int
    """Of tools, those included that a receiver knew already."""
    acts_again: int
    """How many functions of handlers ran a second time."""
    wrong: list[str] = field(default_factory=list)
    seen: list[Point] = field(default_factory=list)


def found(house: CrashHouse, entries: Sequence[Entry], *, finished: RunFinished, probe: Probe) -> Found:
    """Give what became of a run that has its outcome."""
    outside = Outside(house.place)
    return Found(
        point=probe.point,
        was_reached=probe.died.is_set(),
        resumed_s=_resumed_s(entries, probe),
        calls=len(outside.lines("calls")),
        acts_again=len(outside.lines("acts")) - len(ACTS),
        wrong=[
            *_wrong_outcome(house, entries, finished),
            *_wrong_effects(outside),
            *_wrong_acts(outside, most=1 if probe.victim.kind == "supervisor" else 2),
            *_recorded_again(entries),
            *_began_again(entries, probe),
        ],
        seen=probe.seen,
    )


def _wrong_outcome(house: CrashHouse, entries: Sequence[Entry], finished: RunFinished) -> list[str]:
    if finished.outcome != "complete":
        return [f"lost: {finished.outcome} {finished.stopped_by} {finished.error}"]
    wrong = []
    outcomes = [entry.subject for entry in entries if entry.subject.endswith(".finished")]
    if len(outcomes) != 1:
        wrong.append(f"more than one outcome: {outcomes}")
    fold = Fold(house.spec, keeps_finished=True)
    for entry in entries:
        fold.apply(entry)
    ended = fold.ended[finished.run_id]
    if state_hash(ended, finished.going) != finished.state_hash:
        wrong.append("the fold of the journal is another state")
    if decode(Shipped, ended.steps["ship"].reply) != REPLY:
        wrong.append(f"another reply: {bytes(ended.steps['ship'].reply)!r}")
    return wrong


def _wrong_effects(outside: Outside) -> list[str]:
    """Each thing was done once, for one intent."""
    effects = outside.effects()
    wrong = [f"repeated: {what} x {times}" for what, times in effects.items() if times != 1]
    whats = sorted(line.rpartition(" ")[0] for line in effects)
    return wrong if whats == sorted(EFFECTS) else [*wrong, f"effects: {whats}"]


def _wrong_acts(outside: Outside, *, most: int) -> list[str]:
    """A handler's function ran once.

    Once more only if its host died before its record was sent; or if its gateway died, and its step was taken from its
    holder, which lives and had not heard of it: what such a one still records does not count.
    """
    acts = Counter(outside.lines("acts"))
    wrong = [f"ran {times} times: {name}" for name, times in acts.items() if times > most]
    return wrong if set(acts) == ACTS else [*wrong, f"functions: {sorted(acts)}"]


def _recorded_again(entries: Sequence[Entry]) -> list[str]:
    """What is recorded by whoever holds the step is not done again: it would be recorded twice."""
    epochs: dict[str, int] = {}
    records: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        parts = subject.parse_run(entry.subject)
        if parts is not None and parts.kind == "lease":
            lease = decode(Lease, entry.data)
            epochs[lease.step] = lease.epoch
        elif parts is not None and parts.kind == "recorded":
            record = decode(Recorded, entry.data)
            records[record.step, record.position] += record.epoch == epochs[record.step]
    return [f"recorded {times} times: {place}" for place, times in records.items() if times != 1]


def _began_again(entries: Sequence[Entry], probe: Probe) -> list[str]:
    """Give the steps that were dispatched again after they were completed in their newest epoch.

    When a gateway dies, the holders of its steps live. One may complete its step at the very moment at which the
    supervisor takes it away; then it was not done when that was decided. And where the server syncs every write, the
    last word of a dead host may be stored only after its death was heard of.
    """
    epochs: dict[str, int] = {}
    done: set[str] = set()
    again: list[str] = []
    for entry in entries:
        parts = subject.parse_run(entry.subject)
        if parts is None:
            continue
        if parts.kind == "work":
            work = decode(RunStep, entry.data)
            epochs[work.step] = work.epoch
            again += [f"began again: {work.step} {work.epoch}"] if work.step in done else []
        elif parts.kind == "completed":
            completed = decode(StepCompleted, entry.data)
            may_be_late = probe.victim.kind == "gateway" or probe.is_synced
            is_late = may_be_late and _is_after(entry, probe.died_at)
            if completed.epoch == epochs[completed.step] and not is_late:
                done.add(completed.step)
    return again


def _is_after(entry: Entry, at: datetime | None) -> bool:
    return at is not None and entry.stored_at is not None and entry.stored_at > at


def _resumed_s(entries: Sequence[Entry], probe: Probe) -> float | None:
    if probe.died_at is None or probe.heir_at is None:
        return None
    for entry in entries:
        at = entry.stored_at
        if at is not None and _is_after(entry, probe.heir_at) and _is_by_heir(entry, probe.victim):
            return (at - probe.died_at).total_seconds()
    return None


def _is_by_heir(entry: Entry, victim: Victim) -> bool:
    parts = subject.parse_run(entry.subject)
    if parts is None:
        return False
    if victim.kind == "supervisor":
        return parts.lane == "_" or parts.kind == "lease"
    if parts.kind == "lease":
        lease = decode(Lease, entry.data)
        return (lease.agent if victim.kind == "host" else lease.gateway) not in victim.names
    if victim.kind == "gateway":
        return parts.kind == "called" and decode(ToolCalled, entry.data).gateway not in victim.names
    return parts.kind in {"recorded", "completed", "failed"} and parts.author not in victim.names
