"""Fold a run's entries into what `run show` answers: what was asked, read, called and decided, and why it is done."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import msgspec

from remit.bus import subject
from remit.contracts.errors import MalformedMessageError
from remit.contracts.ids import role_of
from remit.contracts.lease import Lease
from remit.contracts.message import decode, digest
from remit.contracts.proposal import StateCommitted, StateRead
from remit.contracts.review import ReviewDecided, ReviewOpened
from remit.contracts.step import Recorded, RunStep, StepCompleted, StepFailed, StepTimedOut
from remit.contracts.task import RunFinished, RunStarted
from remit.contracts.tool import ToolCalled, ToolInDoubt, ToolReturned
from remit.words import message_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remit.bus.journal import Entry
    from remit.bus.subject import RunSubject

Status = Literal["dispatched", "held", "parked", "completed", "failed"]


@dataclass(frozen=True, kw_only=True)
class Read:
    """A part of the context: what was read, by which step, and which version or content exactly."""

    step: str
    what: str
    identity: str
    """`version 3`, or the digest of the content."""


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


@dataclass(frozen=True, kw_only=True)
class Review:
    """A review and its decision, if there is one."""

    opened: ReviewOpened
    decided: ReviewDecided | None = None


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
    next_seq: int = 1

    @property
    def open_reviews(self) -> tuple[ReviewOpened, ...]:
        """What a person has not decided; nothing once the run is finished."""
        if self.finished is not None:
            return ()
        return tuple(review.opened for review in self.reviews.values() if review.decided is None)

    @property
    def is_parked(self) -> bool:
        """Whether nothing but a person can carry the run on."""
        at_rest = all(step.status not in {"dispatched", "held"} for step in self.steps.values())
        return bool(self.open_reviews) and at_rest

    def waiting_for(self) -> str:
        """Say what the run waits for, in a few words; nothing once it is finished."""
        if self.finished is not None:
            return ""
        if self.open_reviews:
            return "a person: " + ", ".join(item.review_id for item in self.open_reviews)
        if held := [step for step in self.steps.values() if step.status == "held"]:
            return f"{held[0].agent} at {held[0].work.step}" + _and_more(held)
        if sent := [step for step in self.steps.values() if step.status == "dispatched"]:
            return f"an agent of role {sent[0].work.role}" + _and_more(sent)
        return "the supervisor"

    # --- the fold --------------------------------------------------------------------------------

    def apply(self, entry: Entry) -> None:
        """Apply one entry, in journal order."""
        self.next_seq = max(self.next_seq, entry.seq + 1)
        if subject.parse_state(entry.subject) is not None:
            self._on_version(entry)
            return
        parts, message = subject.parse_run(entry.subject), message_of(entry)
        if parts is not None and message is not None and getattr(message, "run_id", "") == self.run_id:
            self._on_message(parts, message)

    def _on_message(self, parts: RunSubject, message: msgspec.Struct) -> None:
        match message:
            case RunStarted():
                self._on_started(message)
            case RunStep():
                self._on_work(message)
            case Lease():
                self._on_lease(message)
            case ToolCalled():
                self._on_called(message)
            case ToolReturned() | ToolInDoubt():
                self._on_outcome(message)
            case Recorded():
                self._on_recorded(parts.author, message)
            case StepCompleted() | StepFailed() | StepTimedOut():
                self._on_ended(parts.author, message)
            case ReviewOpened() | ReviewDecided():
                self._on_review(message)
            case RunFinished():
                self.finished = message

    def _on_started(self, started: RunStarted) -> None:
        self.started = started
        content = started.input_ref.digest if started.input_ref is not None else digest(bytes(started.input))
        self.reads.append(Read(step="task", what="the task's input", identity=content))

    def _on_work(self, work: RunStep) -> None:
        if work.start is not None:
            self._on_started(msgspec.structs.replace(work.start, input=work.body))
        known = self.steps.get(work.step)
        self.steps[work.step] = Step(work=work, dispatches=known.dispatches + 1 if known else 1)

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
        if step is None or (step.agent, step.work.epoch) != (author, record.epoch) or record.kind != "read":
            return
        for item in decode(StateRead, record.value).items:
            found = f"version {item.version}" if item.version else "was not there"
            self._read(Read(step=record.step, what=f"state {item.key}", identity=found))

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
            ended = replace(step, status="failed", ended_by=author)
        else:
            return
        self.steps[message.step] = ended

    def _on_review(self, message: ReviewOpened | ReviewDecided) -> None:
        if isinstance(message, ReviewDecided):
            if (review := self.reviews.get(message.review_id)) is not None:
                self.reviews[message.review_id] = Review(opened=review.opened, decided=message)
            return
        self.reviews[message.review_id] = Review(opened=message)
        step = self.steps.get(message.step)
        if step is not None and step.status in {"dispatched", "held"}:
            self.steps[message.step] = replace(step, status="parked")

    def _on_version(self, entry: Entry) -> None:
        try:
            self.versions.append(decode(StateCommitted, entry.data))
        except MalformedMessageError:
            return  # it does not count


def _and_more(steps: list[Step]) -> str:
    return f" and {len(steps) - 1} more" if len(steps) > 1 else ""


def fold(run_id: str, entries: Iterable[Entry]) -> History:
    """Give the history of a run."""
    history = History(run_id)
    for entry in entries:
        history.apply(entry)
    return history
