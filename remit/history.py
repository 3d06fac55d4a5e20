"""Fold a run's entries into what `run show` answers: what was asked, read, called and decided, and why it is done."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, get_args

import msgspec

from remit import standing
from remit.bus import subject
from remit.contracts.errors import MalformedMessageError
from remit.contracts.fork import RunForked
from remit.contracts.ids import node_of, role_of
from remit.contracts.lease import Lease
from remit.contracts.message import decode, digest
from remit.contracts.plan import PlanRefused
from remit.contracts.proposal import ProposalRecord, StateCommitted, StateRead
from remit.contracts.reflection import ReflectionRound
from remit.contracts.review import ReviewDecided, ReviewOpened
from remit.contracts.rollback import RollbackBegun, RolledBack
from remit.contracts.step import (
    OutdatedRead,
    Recorded,
    RunStep,
    StepChecked,
    StepCompleted,
    StepFailed,
    StepParked,
    StepTimedOut,
)
from remit.contracts.task import RunFinished, RunPaused, RunStarted
from remit.contracts.tool import ToolCalled, ToolInDoubt, ToolReturned
from remit.disputes import Disputes
from remit.turns import Turn, Turns
from remit.words import REFLECTED, message_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remit.bus.journal import Entry
    from remit.bus.subject import RunSubject
    from remit.contracts.proposal import StateVersion
    from remit.disputes import Dispute

Status = Literal["dispatched", "held", "parked", "paused", "completed", "failed", "reset"]
"""paused: somebody held it when the run was paused · reset: a rollback took it back."""
_TURNS = get_args(Turn)


@dataclass(frozen=True, kw_only=True)
class Read:
    """A part of the context: what was read, by which step, and which version or content exactly."""

    step: str
    what: str
    identity: str
    """`version 3`, or the digest of the content."""
    hash: str = ""
    """Of a version of shared state, the digest of its value."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A tool call: the intent, and its outcome if there is one."""

    entry: ToolCalled
    returned: ToolReturned | None = None
    in_doubt: str = ""
    taken_over_by: str = ""
    """The gateway that carried on when the one of the intent was gone."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step: its newest dispatch, who held it, what became of it."""

    work: RunStep
    status: Status = "dispatched"
    agent: str = ""
    dispatches: int = 1
    duration_ms: int = 0
    ended_by: str = ""
    waits_for: tuple[str, ...] = ()
    """The disputes over what it reads, while it is parked on them."""
    until_at: datetime | None = None
    """When it goes on, while it sleeps."""
    asked: tuple[str, ...] = ()
    """The steps that it asked for, while it is parked on their answers."""
    outdated: tuple[OutdatedRead, ...] = ()
    """State that had changed meanwhile when it completed."""


@dataclass(frozen=True, kw_only=True)
class Review:
    """A review and its decision, if there is one."""

    opened: ReviewOpened
    decided: ReviewDecided | None = None
    withdrawn: str = ""
    """The checkpoint to which a rollback took the step back that asked; then nobody waits for it."""


@dataclass
class History:
    """A run as its entries tell it; entries whose author had no say do not count."""

    run_id: str
    started: RunStarted | None = None
    finished: RunFinished | None = None
    steps: dict[str, Step] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)
    calls: dict[tuple[str, str], Call] = field(default_factory=dict)
    reviews: dict[str, Review] = field(default_factory=dict)
    versions: list[StateCommitted] = field(default_factory=list)
    records: list[ProposalRecord] = field(default_factory=list)
    """Proposals that changed nothing."""
    rounds: list[tuple[str, ReflectionRound]] = field(default_factory=list)
    """What became of drafts, each with the step that made them."""
    disputes: Disputes = field(default_factory=Disputes)
    turns: Turns = field(default_factory=Turns)
    next_seq: int = 1

    @property
    def open_reviews(self) -> tuple[ReviewOpened, ...]:
        """What a person has not decided; nothing once the run is finished."""
        if self.finished is not None:
            return ()
        return tuple(item.opened for item in self.reviews.values() if item.decided is None and not item.withdrawn)

    @property
    def open_disputes(self) -> tuple[Dispute, ...]:
        """What the run wishes of the shared state and nobody has decided; nothing once it is finished."""
        return self.disputes.open() if self.finished is None else ()

    @property
    def parked_on(self) -> tuple[str, ...]:
        """The disputes, this run's or another's, on which a step is parked."""
        if self.finished is not None:
            return ()
        return tuple(dict.fromkeys(name for step in self.among("parked") for name in step.waits_for))

    @property
    def is_parked(self) -> bool:
        """Whether nothing goes on: a person must decide, here or in the run whose dispute a step waits for."""
        waits = self.open_reviews or self.parked_on or (self.finished is None and self.turns.paused is not None)
        return bool(waits) and not self.among("dispatched", "held")

    def waiting_for(self) -> str:
        """Say what the run waits for, in a few words; nothing once it is finished."""
        return standing.waits_for(self)

    def among(self, *statuses: Status) -> list[Step]:
        """Give the steps of these statuses."""
        return [step for step in self.steps.values() if step.status in statuses]

    # --- the fold --------------------------------------------------------------------------------

    def apply(self, entry: Entry) -> None:
        """Apply one entry, in journal order."""
        self.next_seq = max(self.next_seq, entry.seq + 1)
        if subject.parse_state(entry.subject) is not None:
            self._on_version(entry)
            return
        parts, message = subject.parse_run(entry.subject), message_of(entry)
        if isinstance(message, ProposalRecord):
            self._on_record(message)
        elif isinstance(message, _TURNS):
            self._on_turn(entry, message)
        elif parts is not None and message is not None and getattr(message, "run_id", "") == self.run_id:
            self._on_message(parts, message)

    def _on_message(self, parts: RunSubject, message: msgspec.Struct) -> None:
        match message:
            case RunStarted():
                self._on_started(message)
            case ToolCalled():
                self._on_called(message)
            case ToolReturned() | ToolInDoubt():
                self._on_outcome(message)
            case ReviewOpened() | ReviewDecided():
                self._on_review(message)
            case RunFinished():
                self.finished = message
            case _:
                self._on_step(parts.author, message)

    def _on_step(self, author: str, message: msgspec.Struct) -> None:
        match message:
            case RunStep():
                self._on_work(message)
            case Lease():
                self._on_lease(message)
            case Recorded():
                self._on_recorded(author, message)
            case StepCompleted() | StepFailed() | StepTimedOut():
                self._on_ended(author, message)
            case StepParked() | StepChecked():
                self._on_state_moved(message)

    def _on_turn(self, entry: Entry, turn: Turn) -> None:
        """What a turn changes of the steps; its author is the supervisor, whose lane it stands in."""
        if turn.run_id != self.run_id:
            return
        self.turns.apply(entry.seq, turn, at=entry.stored_at or datetime.now(UTC))
        match turn:
            case RunPaused():
                for step in self.among("dispatched", "held"):
                    self.steps[step.work.step] = replace(step, status="paused")
            case PlanRefused():
                self._on_refused(turn)
            case RollbackBegun():
                self._on_rollback(turn)
            case RolledBack():
                self._reset(turn.reset, but=())
            case RunForked():
                self._on_forked(turn)

    def _on_refused(self, turn: PlanRefused) -> None:
        step = self.steps.get(turn.step)
        if step is not None and step.work.epoch == turn.epoch:
            self.steps[turn.step] = replace(step, status="failed")

    def _on_rollback(self, turn: RollbackBegun) -> None:
        """Nobody waits any more for what the stopped steps asked of people and judges."""
        self._reset(turn.nodes, but=("completed",))
        for name, item in self.reviews.items():
            if item.decided is None and node_of(item.opened.step) in turn.nodes:
                self.reviews[name] = replace(item, withdrawn=turn.to)
        self.disputes.withdrawn(turn.nodes)

    def _reset(self, nodes: tuple[str, ...], *, but: tuple[Status, ...]) -> None:
        for name, step in self.steps.items():
            if node_of(name) in nodes and not step.work.undoes and step.status not in but:
                self.steps[name] = replace(step, status="reset")

    def _on_forked(self, turn: RunForked) -> None:
        for item in turn.steps:
            adopted = Step(work=item.work, status="completed", ended_by=f"run {item.work.run_id}", dispatches=0)
            self.steps[item.work.step] = adopted

    def _on_started(self, started: RunStarted) -> None:
        self.started = started
        content = started.input_ref.digest if started.input_ref is not None else digest(bytes(started.input))
        self.reads.append(Read(step="task", what="the task's input", identity=content))

    def _on_work(self, work: RunStep) -> None:
        if work.start is not None:
            self._on_started(msgspec.structs.replace(work.start, input=work.body))
        known = self.steps.get(work.step)
        if known is not None and known.status == "reset":
            del self.steps[work.step]  # it is the newest again
        self.steps[work.step] = Step(work=work, dispatches=known.dispatches + 1 if known else 1)
        if work.conflict:
            self.disputes.asked_role(work)

    def _on_lease(self, lease: Lease) -> None:
        step = self.steps.get(lease.step)
        if step is None or step.work.epoch != lease.epoch or step.status != "dispatched":
            return
        self.steps[lease.step] = replace(step, status="held", agent=lease.agent)
        for scope in lease.grant.data:
            self._read(Read(step=lease.step, what=f"data source {scope.name}", identity=scope.value))

    def _on_called(self, called: ToolCalled) -> None:
        index, mark, _number = called.position.rpartition("t")
        if mark and (call := self.calls.get((called.step, index))) is not None:
            self.calls[called.step, index] = replace(call, taken_over_by=called.gateway)
        else:
            self.calls[called.step, called.position] = Call(entry=called)

    def _on_outcome(self, outcome: ToolReturned | ToolInDoubt) -> None:
        key = (outcome.step, outcome.position)
        call = self.calls.get(key)
        if call is None:
            return
        if isinstance(outcome, ToolInDoubt):
            self.calls[key] = replace(call, in_doubt=outcome.reason)
            return
        self.calls[key] = replace(call, returned=outcome)
        if call.entry.effect == "pure" and outcome.error is None:
            content = outcome.value_ref.digest if outcome.value_ref is not None else digest(bytes(outcome.value))
            asked = bytes(call.entry.arguments).decode("utf-8", "replace")
            self._read(Read(step=outcome.step, what=f"{outcome.tool} {asked}", identity=content))

    def _on_recorded(self, author: str, record: Recorded) -> None:
        step = self.steps.get(record.step)
        if step is None or (step.agent, step.work.epoch) != (author, record.epoch):
            return
        if (record.kind, record.name) == REFLECTED:
            with suppress(MalformedMessageError):  # a step of the handler's own may be called so
                self.rounds.append((record.step, decode(ReflectionRound, record.value)))
        elif record.kind == "read":
            for item in decode(StateRead, record.value).items:
                self._read(_state_read(self.run_id, record.step, item))

    def _read(self, read: Read) -> None:
        """A step that was dispatched again reads the same things again; they are said once."""
        if read not in self.reads:
            self.reads.append(read)

    def _on_ended(self, author: str, message: StepCompleted | StepFailed | StepTimedOut) -> None:
        step = self.steps.get(message.step)
        if step is None or step.work.epoch != message.epoch or step.status not in {"dispatched", "held"}:
            return
        has_a_say = author == step.agent or (step.status == "dispatched" and role_of(author) == step.work.role)
        if isinstance(message, StepCompleted) and has_a_say:
            ended = replace(step, status="completed", ended_by=author, duration_ms=message.duration_ms)
        elif isinstance(message, StepTimedOut) or has_a_say:
            ended = replace(step, status="failed", ended_by=author if has_a_say else "the supervisor")
        else:
            return
        self.steps[message.step] = ended
        if step.work.conflict:
            self.disputes.ended(step.work, has_ruled=ended.status == "completed")

    def _on_state_moved(self, message: StepParked | StepChecked) -> None:
        """The supervisor outweighs what it had not heard: a step that completed before it was parked did not."""
        step = self.steps.get(message.step)
        if step is None or step.work.epoch != message.epoch:
            return
        if isinstance(message, StepParked):
            self.steps[message.step] = _parked(step, message)
        else:
            status: Status = "failed" if message.error is not None else step.status
            self.steps[message.step] = replace(step, status=status, outdated=message.reads)

    def _on_review(self, message: ReviewOpened | ReviewDecided) -> None:
        if isinstance(message, ReviewDecided):
            if (review := self.reviews.get(message.review_id)) is not None:
                self.reviews[message.review_id] = Review(opened=review.opened, decided=message)
                self.disputes.decided(message.review_id)
            return
        self.reviews[message.review_id] = Review(opened=message)
        if message.kind == "conflict":  # its proposer goes on
            self.disputes.asked_person(message)
            return
        step = self.steps.get(message.step)
        if step is not None and step.status in {"dispatched", "held"}:
            self.steps[message.step] = replace(step, status="parked")

    def _on_version(self, entry: Entry) -> None:
        """What other runs wrote into the same scope is not this run's."""
        try:
            version = decode(StateCommitted, entry.data)
        except MalformedMessageError:
            return  # it does not count
        if version.run_id == self.run_id:
            self.versions.append(version)
            self.disputes.answered(version.run_id, version.step, version.position)

    def _on_record(self, record: ProposalRecord) -> None:
        asked = record.proposal
        if asked.run_id == self.run_id:
            self.records.append(record)
            self.disputes.answered(asked.run_id, asked.step, asked.position)


def _state_read(run: str, step: str, item: StateVersion) -> Read:
    where = f" of {item.scope}" if item.scope not in {"", run} else ""
    found = f"version {item.version}" if item.version else "was not there"
    gone = ", which took it out" if item.deleted else ""
    digest = "" if item.deleted else item.hash
    return Read(step=step, what=f"state {item.key}{where}", identity=found + gone, hash=digest)


def _parked(step: Step, parked: StepParked) -> Step:
    """Several branches of a gather may park one step; it goes on at the first of their times."""
    until_at = min((at for at in (step.until_at, parked.until_at) if at is not None), default=None)
    return replace(step, status="parked", waits_for=parked.disputes, until_at=until_at, asked=parked.steps)


def fold(run_id: str, entries: Iterable[Entry]) -> History:
    """Give the history of a run."""
    history = History(run_id)
    for entry in entries:
        history.apply(entry)
    return history
