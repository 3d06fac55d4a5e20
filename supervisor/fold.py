"""From journal entries to runs: what live work does entry by entry, done for a whole journal."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import structlog

from remit.bus import subject
from remit.contracts.errors import MalformedMessageError
from remit.contracts.ids import LANE
from remit.contracts.lane import DECISIONS
from remit.contracts.lease import Lease, LeaseRevoked
from remit.contracts.message import decode_any
from remit.contracts.plan import Node, PlanSpec
from remit.contracts.step import RunStep, StepCompleted, StepFailed
from remit.contracts.task import RunFinished, RunStarted
from remit.contracts.upcast import forwarded
from remit.supervisor.run import evolve, fits, new_run, on_leased, on_revoked, on_settled
from remit.supervisor.run_view import held_steps

if TYPE_CHECKING:
    from remit.bus.journal import Entry
    from remit.bus.subject import RunSubject
    from remit.contracts.team import TeamSpec
    from remit.supervisor.run import LaneEntry
    from remit.supervisor.run_state import RunState

log = structlog.get_logger(__name__)

REPEATED = 1_000
"""So many of the newest revocations are told again by whoever recovers: the one before may have died on the way."""
SETTLED: dict[str, type[msgspec.Struct]] = {"completed": StepCompleted, "failed": StepFailed}

FILTERS = (
    "remit.run.*._.>",
    "remit.run.*.*.lease.*",
    "remit.run.*.*.*.*.completed",
    "remit.run.*.*.*.*.failed",
)
"""The entries that a run's state is folded from."""


@dataclass(slots=True)
class Stranger:
    """A run that this build of the team cannot go on with, and where its lane ends."""

    started: RunStarted
    lane_seq: int
    number: int


class Fold:
    """Open runs by name, fed with entries in journal order."""

    def __init__(self, team: TeamSpec, *, keeps_finished: bool = False) -> None:
        self._team = team
        self._keeps_finished = keeps_finished
        self.ended: dict[str, RunState] = {}
        """Runs that are over, as they ended, if they are to be kept."""
        self.left: dict[str, RunState] = {}
        """Runs that are over and of which steps are still held, because their supervisor died before it took them."""
        self.revoked: deque[LeaseRevoked] = deque(maxlen=REPEATED)
        """The newest revocations."""
        self.runs: dict[str, RunState] = {}
        self.finished: dict[str, RunFinished] = {}
        """Outcomes, if runs that are over are to be kept."""
        self.strangers: dict[str, Stranger] = {}
        """Runs whose workflow this team does not have any more, or has with another plan."""

    def apply(self, entry: Entry) -> None:
        """Apply one entry; what does not fit its contract or its subject does not count."""
        parts = subject.parse_run(entry.subject)
        if parts is None:
            return
        try:
            self._apply(parts, entry)
        except MalformedMessageError as error:
            log.warning("entry.ignored", subject=entry.subject, error=str(error))

    def _apply(self, parts: RunSubject, entry: Entry) -> None:
        if parts.lane == LANE:
            self._on_lane(parts, entry)
            return
        if parts.kind == "revoked":
            self._on_revoked(parts, decode_any(LeaseRevoked, entry.data))
            return
        run = self.runs.get(parts.run)
        if run is None:
            return
        if parts.kind == "lease":
            lease: Lease = decode_any(Lease, entry.data)
            if (lease.run_id, lease.step) == (parts.run, parts.lane):
                on_leased(run, entry.seq, lease)
        elif parts.kind in SETTLED:
            at = entry.stored_at or datetime.now(UTC)
            settle(run.team, run, parts, name=entry.subject, data=entry.data, at=at)

    def _on_revoked(self, parts: RunSubject, notice: LeaseRevoked) -> None:
        if (notice.run_id, notice.step, str(notice.epoch)) != (parts.run, parts.lane, parts.index):
            return
        self.revoked.append(notice)
        run = self.runs.get(parts.run) or self.left.get(parts.run)
        if run is not None:
            on_revoked(run, notice)
        if parts.run in self.left and not is_left(self.left[parts.run]):
            del self.left[parts.run]

    def _on_lane(self, parts: RunSubject, entry: Entry) -> None:
        kind = RunStep if parts.kind == "work" else DECISIONS.get(parts.kind)
        if kind is None:
            return
        message: LaneEntry = decode_any(kind, entry.data)
        if message.run_id != parts.run:
            return
        if isinstance(message, RunFinished):
            ended = self.runs.pop(parts.run, None)
            if ended is not None and (self._keeps_finished or is_left(ended)):
                evolve(ended, entry.seq, message, at=entry.stored_at or datetime.now(UTC))
                self._keep(ended)
            self.strangers.pop(parts.run, None)
            if self._keeps_finished:
                self.finished[parts.run] = message
            return
        stranger = self.strangers.get(parts.run)
        run = None if stranger else self.runs.get(parts.run) or self._begin(message)
        stranger = self.strangers.get(parts.run)
        if run is not None and not fits(run, message):
            del self.runs[parts.run]
            stranger = self.strangers[parts.run] = Stranger(run.started, run.lane_seq, run.number)
            run = None
        if stranger is not None:
            stranger.lane_seq, stranger.number = entry.seq, stranger.number + (parts.kind != "work")
        if run is None:
            return
        evolve(run, entry.seq, message, at=entry.stored_at or datetime.now(UTC))

    def _keep(self, ended: RunState) -> None:
        if self._keeps_finished:
            self.ended[ended.run_id] = ended
        if is_left(ended):
            self.left[ended.run_id] = ended

    def _begin(self, message: LaneEntry) -> RunState | None:
        started = started_by(message)
        if started is None:
            return None
        team = self._team.of(started.build)
        if isinstance(message, RunStep) and started.workflow not in team.workflows:
            alone = PlanSpec(nodes=(Node(name=message.step, role=message.role),))
            started = msgspec.structs.replace(started, plan=alone)
        plan = started.plan or team.workflows.get(started.workflow)
        if plan is None or any(node.role not in team.roles for node in plan.nodes):
            self.strangers[started.run_id] = Stranger(started, 0, 0)
            return None
        if team.upcast:
            started = _todays(team, started, plan)
        run = self.runs[started.run_id] = new_run(started, self._team)
        return run


def is_left(run: RunState) -> bool:
    """Say whether somebody still holds a step of a run that is over."""
    return any(step.lease is not None and step.revoked < step.lease.epoch for step in held_steps(run))


def started_by(message: LaneEntry) -> RunStarted | None:
    """Give the start that an entry holds, as its first fact or as itself."""
    if isinstance(message, RunStarted):
        return message
    if isinstance(message, RunStep) and message.start is not None:
        return msgspec.structs.replace(message.start, input=message.body)
    return None


def settle(team: TeamSpec, run: RunState, parts: RunSubject, *, name: str, data: bytes, at: datetime) -> bool:
    """Apply what an agent said of the end of a step; False if it does not count.

    A reply that is none of its role's fails the step: decisions read it, and what an agent writes may be anything.

    Raises:
        MalformedMessageError: it does not fit its contract; nothing changed.
    """
    message: StepCompleted | StepFailed = decode_any(SETTLED[parts.kind], data)
    if (message.run_id, message.step) != (parts.run, parts.lane):
        return False
    if isinstance(message, StepCompleted):
        message = _checked(team, run, message)
    return on_settled(run, parts.author, name, entry=message, at=at)


def _checked(team: TeamSpec, run: RunState, message: StepCompleted) -> StepCompleted | StepFailed:
    step = run.steps.get(message.step)
    role = team.roles.get(step.work.role) if step is not None else None
    if role is None:
        return message
    try:
        reply = forwarded(role.gives, message.reply, contract_tag=message.contract, upcasts=team.upcast)
    except MalformedMessageError as error:
        return StepFailed(
            run_id=message.run_id, step=message.step, epoch=message.epoch, error=error.fault(), retryable=False
        )
    return message if reply is message.reply else msgspec.structs.replace(message, reply=msgspec.Raw(reply))


def _todays(team: TeamSpec, started: RunStarted, plan: PlanSpec) -> RunStarted:
    """Give a start whose input is of today's version; what cannot be brought forward is told by whoever takes it."""
    try:
        given = forwarded(team.given_to(plan), started.input, upcasts=team.upcast)
    except MalformedMessageError:
        return started
    return msgspec.structs.replace(started, input=msgspec.Raw(given))
