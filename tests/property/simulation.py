"""A run and its journal without a server: what it refuses is what the real one refuses, in this one lane."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from remit.bus import subject
from remit.bus.journal import Entry
from remit.contracts.envelope import Envelope
from remit.contracts.errors import Fault
from remit.contracts.lease import Grant, Lease
from remit.contracts.message import encode, raw
from remit.contracts.review import RequestReview, ReviewDecided
from remit.contracts.step import StepCompleted, StepFailed
from remit.supervisor import admission, decide, dispatch, fold
from remit.supervisor.dispatch import Append
from remit.supervisor.review import open_review
from remit.supervisor.run import evolve, new_run, on_leased

if TYPE_CHECKING:
    from remit.contracts.team import TeamSpec
    from remit.supervisor.run_state import RunState, StepState

RUN = "r1"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
FAULT = Fault(code="RM-511", message="it broke")


@dataclass
class Simulation:
    """One supervisor, some agents and the journal between them; `unheard` is stored and not yet delivered."""

    team: TeamSpec
    now: datetime = EPOCH
    entries: list[Entry] = field(default_factory=list)
    unheard: list[Entry] = field(default_factory=list)
    heard: list[Entry] = field(default_factory=list)
    _run: RunState | None = None

    @property
    def run(self) -> RunState:
        assert self._run is not None
        return self._run

    def start(self, workflow: str, body: object) -> None:
        request = encode({"goal": "try", "input": body})
        append = admission.start(
            self.team, run_id=RUN, workflow=workflow, body=request, envelope=Envelope(), now=self.now
        )
        seq = self.store(append.subject, encode(append.message))
        started = fold.started_by(append.message)
        assert started is not None, append.message
        self._run = new_run(started, self.team)
        evolve(self.run, seq, append.message, at=self.now)
        self.advance()

    # --- the journal -----------------------------------------------------------------------------

    def store(self, name: str, data: bytes) -> int:
        """Store an entry; the index must be free."""
        assert name not in {entry.subject for entry in self.entries}, f"{name} is taken"
        self.now += timedelta(milliseconds=1)
        self.entries.append(Entry(name, len(self.entries) + 1, data, None, self.now))
        return len(self.entries)

    def is_taken(self, name: str) -> bool:
        return any(entry.subject == name for entry in self.entries)

    def folded(self, upto: int | None = None) -> RunState | None:
        """Give the run as a supervisor that starts now would see it; None if it is over."""
        runs = fold.Fold(self.team)
        for entry in self.entries[:upto]:
            runs.apply(entry)
        return runs.runs.get(RUN)

    def caught_up(self) -> RunState:
        """Give the live run once it has heard everything, without anything that would follow."""
        run = copy.deepcopy(self.run) if self.unheard else self.run
        for entry in self.unheard:
            hear(self.team, run, entry)
        return run

    # --- the supervisor --------------------------------------------------------------------------

    def append(self, append: Append) -> None:
        assert self.run.finished is None, "a finished run is finished"
        seq = self.store(append.subject, encode(append.message))
        evolve(self.run, seq, append.message, at=self.now)

    def advance(self) -> None:
        """Append what is due; a supervisor that starts anew at any of these points would append the same."""
        while (append := decide.advance(self.team, self.run, {}, now=self.now)) is not None:
            if not self.unheard:
                self._check_successor(append)
            self.append(append)

    def _check_successor(self, append: Append) -> None:
        folded = self.folded()
        assert folded is not None
        other = decide.advance(self.team, folded, {}, now=self.now)
        assert other is not None
        assert other.subject == append.subject

    def overdue(self) -> None:
        for append in decide.overdue(self.run, self.now):
            self.append(append)
        self.advance()

    def lease(self, step: StepState, agent: str) -> None:
        """The agent claims, and the supervisor answers as `Holders.claim`."""
        work = step.work
        if step.status != "dispatched" or self.run.finished is not None:
            return
        lease = Lease(
            run_id=RUN,
            step=work.step,
            epoch=work.epoch,
            role=work.role,
            agent=agent,
            gateway="gw-1",
            until_at=self.now + timedelta(seconds=work.limit_s),
            grant=Grant(),
        )
        seq = self.store(subject.lease(RUN, work.step, work.epoch), encode(lease))
        assert on_leased(self.run, seq, lease)

    def lose(self, agent: str) -> None:
        """The host of an agent is gone."""
        for name in list(self.run.steps):
            step = self.run.steps[name]
            if step.status == "leased" and step.lease is not None and step.lease.agent == agent:
                self.append(dispatch.again(self.run, step, f"host of {agent} gone"))
        self.advance()

    def give_up(self, step: StepState) -> None:
        """The server delivered too often."""
        if step.status == "dispatched":
            self.append(decide.time_out(self.run, step.work, FAULT))
            self.advance()

    def ask(self, step: StepState, role: str, position: int) -> None:
        name = f"{step.work.step}-a{position}"
        if step.status == "leased" and name not in self.run.steps:
            body = raw({})
            self.append(
                dispatch.child(
                    self.team, self.run, parent=step, step=name, role=role, body=body, position=str(position)
                )
            )
            self.advance()

    def review(self, step: StepState, position: int) -> None:
        if step.status == "leased":
            request = RequestReview(
                run_id=RUN,
                step=step.work.step,
                epoch=step.work.epoch,
                position=str(position),
                kind="question",
                title="may it?",
                subject="sha256:0",
            )
            self.append(open_review(self.run, request, self.now))
            self.advance()

    def decide_review(self, name: str) -> None:
        review = self.run.reviews[name]
        if review.decided is None and self.run.finished is None:
            entry = ReviewDecided(
                review_id=name,
                run_id=RUN,
                decision="approved",
                subject=review.opened.subject,
                by="ann",
                decided_at=self.now,
            )
            self.append(Append(subject.decision(RUN, self.run.number + 1, "review_decided"), entry))
            self.advance()

    # --- agents ----------------------------------------------------------------------------------

    def complete(self, step: StepState, agent: str, reply: object, *, epoch: int, is_hostile: bool = False) -> None:
        """An agent says that it is done, whether it holds the step or not."""
        body = StepCompleted(run_id=RUN, step=step.work.step, epoch=epoch, reply=raw(reply), contract="x.y.v1")
        self._say(step, agent, "completed", body=body, is_hostile=is_hostile)

    def fail(self, step: StepState, agent: str, *, epoch: int, retryable: bool = True) -> None:
        body = StepFailed(run_id=RUN, step=step.work.step, epoch=epoch, error=FAULT, retryable=retryable)
        self._say(step, agent, "failed", body=body)

    def _say(
        self, step: StepState, agent: str, kind: str, *, body: StepCompleted | StepFailed, is_hostile: bool = False
    ) -> None:
        epoch = body.epoch
        name = subject.agent_entry(RUN, step.work.step, agent=agent, index=str(epoch), kind=kind)
        said = [entry.subject for entry in self.entries if _is_end(entry.subject, step.work.step, epoch)]
        is_held = self.is_taken(subject.lease(RUN, step.work.step, epoch))
        # An agent says one thing about one epoch; and whoever gets a step that was delivered before claims it first.
        is_honest = not any(f".{agent}." in other for other in said) and (is_held or not said)
        if is_honest or (is_hostile and not self.is_taken(name)):
            self.store(name, encode(body))
            self.unheard.append(self.entries[-1])

    def deliver(self, index: int) -> None:
        """The supervisor hears one of the entries that it has not heard."""
        entry = self.unheard.pop(index)
        self.heard.append(entry)
        self.hear_again(entry)

    def hear_again(self, entry: Entry) -> None:
        if self.run.finished is None:
            hear(self.team, self.run, entry)
            self.advance()

    def restart(self) -> None:
        """Another supervisor goes on from the journal; what was in hand is delivered to it."""
        folded = self.folded()
        if folded is not None:
            self._run = folded
            self.advance()


def _is_end(name: str, step: str, epoch: int) -> bool:
    parts = subject.parse_run(name)
    return parts is not None and (parts.lane, parts.index) == (step, str(epoch)) and parts.kind in fold.SETTLED


def hear(team: TeamSpec, run: RunState, entry: Entry) -> bool:
    """Apply one entry of an agent."""
    parts = subject.parse_run(entry.subject)
    assert parts is not None
    assert entry.stored_at is not None
    return fold.settle(team, run, parts, name=entry.subject, data=entry.data, at=entry.stored_at)


def same(run: RunState) -> object:
    """Give a run in a form that compares: the order in which failures were heard means nothing."""
    return (sorted(run.failed), {name: _step(step) for name, step in run.steps.items()}, _node(run))


def _step(step: StepState) -> object:
    return (
        encode(step.work),
        step.status,
        step.lease and step.lease.agent,
        step.lease_seq,
        bytes(step.reply),
        step.completed_by,
        step.settled_by,
        step.error,
        step.retryable,
        step.failed_at,
    )


def _node(run: RunState) -> object:
    return (
        [
            (node.decided, node.width, node.fanned, node.skipped, list(node.undispatched), node.open)
            for node in run.nodes.values()
        ],
        sorted(run.reviews),
        list(run.reopened),
        (run.lane_seq, run.number, run.plan_version, run.dispatched, run.in_flight, run.undecided),
    )
