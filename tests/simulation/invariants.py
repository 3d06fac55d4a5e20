"""What must hold when all is quiet, read from the journal and from the world behind the tools, not from what ran."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from remit.bus import subject
from remit.contracts.ids import LANE, base_position, intent_key, role_of
from remit.contracts.lease import Lease
from remit.contracts.message import decode
from remit.contracts.review import ReviewDecided, ReviewOpened
from remit.contracts.step import StepCompleted
from remit.contracts.task import RunFinished
from remit.contracts.tool import ToolReturned
from remit.supervisor.fold import Fold
from tests.simulation.replay import entry_of
from tests.simulation.teams import STEPS, Board, spec
from tests.simulation.undone import (
    newest_is_undone_first,
    only_what_is_undone_is_taken_back,
    what_is_undone_is_undone_once,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remit.bus.subject import RunSubject
    from tests.simulation.stream import Stored
    from tests.simulation.world import World

ENTRIES_PER_RUN: Final = 600
DOUBT_S: Final = 20.0
"""How long a doubt may take until a person is asked."""


class Record:
    """The journal of a seed, sorted by run."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.entries = list(world.journal.messages.values())
        self.runs: dict[str, list[tuple[RunSubject, Stored]]] = defaultdict(list)
        for item in self.entries:
            if (parts := subject.parse_run(item.subject)) is not None:
                self.runs[parts.run].append((parts, item))

    def finished(self, run: str) -> list[Stored]:
        """Give the outcomes of a run; there should be one."""
        return [item for parts, item in self.runs.get(run, ()) if parts.lane == LANE and parts.kind == "finished"]

    def agains(self) -> Counter[str]:
        """Give how often a person said that a call is to be made again, by the key of its effect."""
        reviews: dict[str, ReviewOpened] = {}
        counts: Counter[str] = Counter()
        for parts, item in (pair for pairs in self.runs.values() for pair in pairs):
            if parts.kind == "review_opened":
                opened = decode(ReviewOpened, item.body)
                reviews[opened.review_id] = opened
            elif parts.kind == "review_decided":
                decided = decode(ReviewDecided, item.body)
                if decided.resolution == "again":
                    opened = reviews[decided.review_id]
                    counts[intent_key(opened.run_id, opened.step, base_position(opened.position))] += 1
        return counts


def violations(world: World) -> list[str]:
    """Give what does not hold."""
    record = Record(world)
    found = [f"bug in {bug.process}: {bug.error!r}" for bug in world.bugs]
    for check in CHECKS:
        found += [f"{check.__name__}: {text}" for text in check(record)]
    return found


def no_task_is_lost(record: Record) -> Iterator[str]:
    """Every task that was stored has exactly one outcome, and its client heard that one."""
    streams = record.world.server.jetstream.streams
    for number in range(1, streams["TASKS"].last_seq + 1):
        run = f"r{number}"
        outcomes = record.finished(run)
        if len(outcomes) != 1:
            yield f"{run} has {len(outcomes)} outcomes"
            continue
        kept = streams["RESULTS"].last(subject.result(run))
        if kept is None or kept.body != outcomes[0].body:
            yield f"{run} is kept with another outcome"
        heard = record.world.accepted.get(run)
        if heard is not None and heard != outcomes[0].body:
            yield f"the client of {run} heard {heard!r}"
    if len(record.world.accepted) != len(record.world.workloads):
        yield f"{len(record.world.accepted)} of {len(record.world.workloads)} tasks were accepted"


def undisturbed_runs_complete(record: Record) -> Iterator[str]:
    """Where nothing went wrong, every run is complete, unless the person said no."""
    if record.world.plan.faults:
        return
    for run in record.runs:
        for item in record.finished(run):
            if (finished := decode(RunFinished, item.body)).outcome not in {"complete", "rejected"}:
                yield f"{run} is {finished.outcome}: {finished.error}"


def finished_stays_finished(record: Record) -> Iterator[str]:
    """After its outcome nothing is decided about a run, and nobody gets a lease."""
    for run, entries in record.runs.items():
        end = next((item.seq for item in record.finished(run)), None)
        for parts, item in entries:
            if end is not None and item.seq > end and (parts.lane == LANE or parts.kind == "lease"):
                yield f"{item.subject} stands after the outcome"


def one_outcome_per_intent(record: Record) -> Iterator[str]:
    """An intent has one outcome; a doubt may be resolved, and nothing has an outcome that nobody meant."""
    for entries in record.runs.values():
        called = {(parts.lane, parts.index) for parts, _ in entries if parts.kind == "called"}
        ended = Counter((parts.lane, parts.index, parts.kind) for parts, _ in entries if parts.author == "call")
        for (step, index, kind), count in ended.items():
            if count > 1:
                yield f"{step} {index} has {count} entries {kind}"
            if kind != "called" and (step, index) not in called:
                yield f"{step} {index} is {kind}, and nobody called"


def effects_happen_as_promised(record: Record) -> Iterator[str]:
    """At most once, unless a person said so; and once where the journal says that it happened."""
    agains, happened = record.agains(), record.world.outside.happened
    for (tool, key), count in happened.items():
        if count > 1 + agains[key]:
            yield f"{tool} {key} happened {count} times"
    asked = set(agains)
    for entries in record.runs.values():
        for parts, item in entries:
            if parts.kind != "returned":
                continue
            returned = decode(ToolReturned, item.body)
            key = intent_key(parts.run, parts.lane, base_position(parts.index))
            is_told = (parts.lane, base_position(parts.index)) in _told(entries)
            is_owed = returned.error is None and returned.tool != "ponder" and key not in asked and not is_told
            if is_owed and (count := happened[returned.tool, key]) != 1:
                yield f"{returned.tool} {key} is said to have happened, and did {count} times"


def _told(entries: list[tuple[RunSubject, Stored]]) -> set[tuple[str, str]]:
    """Give the places of which a person said what came of them."""
    opened = [decode(ReviewOpened, item.body) for parts, item in entries if parts.kind == "review_opened"]
    return {(review.step, base_position(review.position)) for review in opened if review.kind == "in_doubt"}


def doubts_are_reviews(record: Record) -> Iterator[str]:
    """Whoever does not know what happened asks a person."""
    for run, entries in record.runs.items():
        told = _told(entries)
        end = next((item.at_s for item in record.finished(run)), float("inf"))
        for parts, item in entries:
            place = (parts.lane, base_position(parts.index))
            if parts.kind == "in_doubt" and place not in told and end - item.at_s > DOUBT_S:
                yield f"{item.subject} has no review"


def only_holders_complete(record: Record) -> Iterator[str]:
    """A step that counts as done was done by who held it then, in the epoch in which it counts."""
    fold = Fold(spec())
    for item in record.entries:
        parts = subject.parse_run(item.subject)
        if parts is not None and parts.lane == LANE and parts.kind == "finished":
            yield from _strangers(record, fold, parts.run)
        fold.apply(entry_of(item))
    if fold.runs:
        yield f"still open in the fold: {sorted(fold.runs)}"


def _strangers(record: Record, fold: Fold, run: str) -> Iterator[str]:
    state = fold.runs.get(run)
    for name, step in state.steps.items() if state is not None else ():
        if step.status != "completed":
            continue
        parts = subject.parse_run(step.completed_by)
        holders = [decode(Lease, item.body) for at, item in record.runs[run] if (at.lane, at.kind) == (name, "lease")]
        epochs = [int(item.subject.rsplit(".", 1)[1]) for at, item in record.runs[run] if _dispatches(at, item, name)]
        holder = next((lease.agent for lease in holders if lease.epoch == max(epochs, default=0)), None)
        if parts is None or role_of(parts.author) != step.work.role or parts.index != str(max(epochs, default=0)):
            yield f"{run} {name} was completed by {step.completed_by}, in an epoch that was over"
        elif holder is not None and holder != parts.author:
            yield f"{run} {name} was completed by {parts.author}, and held by {holder}"


def _dispatches(parts: RunSubject, item: Stored, step: str) -> bool:
    return parts.kind == "work" and item.subject.split(".")[6] == step


def what_counts_is_what_was_said(record: Record) -> Iterator[str]:
    """The supervisor has heard of everything: live and folded agree that nothing is open."""
    supervisor = record.world.supervisor
    if supervisor is None:
        yield "nobody supervises any more"
    elif len(supervisor.runs) and not record.world.has_rivals:
        yield f"still open: {[run.state.run_id for run in supervisor.runs]}"


def loops_are_bounded(record: Record) -> Iterator[str]:
    """No run dispatches or writes without end."""
    for run, entries in record.runs.items():
        dispatched = sum(parts.kind == "work" for parts, _ in entries)
        if dispatched > 2 * STEPS or len(entries) > ENTRIES_PER_RUN:
            yield f"{run} has {dispatched} dispatches and {len(entries)} entries"


def counters_count(record: Record) -> Iterator[str]:
    """The shared counter shows every run that completed, and none twice."""
    clerks = [run for run in record.runs if any(parts.lane == "clerk" for parts, _ in record.runs[run])]
    done = [run for run in clerks if any(_completes(parts, item) for parts, item in record.runs[run])]
    versions = [item for item in record.entries if item.subject.startswith("remit.state.team.board.")]
    numbers = [int(subject.last_token(item.subject)) for item in versions]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"versions {numbers}"
    seen = 0
    if versions:
        from remit.contracts.proposal import StateCommitted

        seen = decode(Board, decode(StateCommitted, versions[-1].body).value).seen
    if not len(done) <= seen <= len(clerks):
        yield f"{len(done)} of {len(clerks)} completed, and {seen} were counted"


def _completes(parts: RunSubject, item: Stored) -> bool:
    return parts.kind == "completed" and bool(decode(StepCompleted, item.body).reply)


CHECKS: Final[tuple[Callable[[Record], Iterator[str]], ...]] = (
    no_task_is_lost,
    undisturbed_runs_complete,
    finished_stays_finished,
    one_outcome_per_intent,
    effects_happen_as_promised,
    doubts_are_reviews,
    only_holders_complete,
    what_counts_is_what_was_said,
    loops_are_bounded,
    counters_count,
    what_is_undone_is_undone_once,
    newest_is_undone_first,
    only_what_is_undone_is_taken_back,
)
"""Add one: a function of the record that gives what does not hold."""
