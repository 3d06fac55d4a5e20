"""One handler call for one role: dispatched, claimed, recorded, completed or failed."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from remit.contracts.blob import BlobRef
from remit.contracts.errors import Fault
from remit.contracts.lease import Lease
from remit.contracts.message import NULL, Message
from remit.contracts.rollback import RolledBackNote
from remit.contracts.task import RunStarted


class Parent(Message, frozen=True, kw_only=True, tag="step.parent.v1"):
    """The step that asked for this one, and where in its handler."""

    step: str
    position: str


class OutdatedRead(Message, frozen=True, kw_only=True, tag="step.outdated_read.v1"):
    """State that a step read, and the version that stands now."""

    scope: str
    key: str
    version: int
    now: int


class RunStep(Message, frozen=True, kw_only=True, omit_defaults=True, tag="step.run.v1"):
    """A dispatched step: hand `body` to the role's handler. Dispatching is journaling."""

    run_id: str
    step: str
    epoch: int
    role: str
    goal: str
    goal_hash: str
    contract: str
    """Tag of the body."""
    body: msgspec.Raw = msgspec.Raw(b"{}")
    body_ref: BlobRef | None = None
    deadline_at: datetime
    """End of the run; nothing of it is done later."""
    limit_s: float = 60.0
    """How long the handler may take once an agent holds the step."""
    rule: str
    """Why it was sent here: `plan`, `edge a -> b when …`, `ask by …`, `retry after …`, `host gone …`."""
    attempt: int = 1
    """Counts retries after a failure; re-dispatches after a lost host do not count."""
    parent: Parent | None = None
    conflict: str = ""
    """The dispute that this step arbitrates, if it does."""
    generation: int = 0
    """How often what the step did does not count: it runs from its beginning then, with records of its own."""
    outdated: tuple[OutdatedRead, ...] = ()
    """What had changed under the last generation."""
    attempts: int = 0
    """At most so many; 0 leaves it to the role's charter."""
    backoff_s: float = 0.0
    refusals: tuple[Fault, ...] = ()
    """Why the plan that the step proposed before was refused."""
    rolled_back: RolledBackNote | None = None
    """The rollback after which the step begins again."""
    jumps: tuple[tuple[int, int], ...] = ()
    """After the operation of a first number comes that of a second: what was recorded in between does not count."""
    undoes: str = ""
    """The step that this one compensates, if it does."""
    start: RunStarted | None = None
    """A run of one step starts and dispatches in one entry."""


class StepParked(Message, frozen=True, kw_only=True, tag="step.waits.v1"):
    """The step has no slot until what it waits for is over: disputes, a time, or the steps that it asked for.

    With none of them it waits again for a review that was opened before something else woke it.
    """

    run_id: str
    step: str
    epoch: int
    disputes: tuple[str, ...] = ()
    until_at: datetime | None = None
    steps: tuple[str, ...] = ()


class StepChecked(Message, frozen=True, kw_only=True, tag="step.checked.v1"):
    """The result of a step was held against the state that it read; with an error, it does not count."""

    run_id: str
    step: str
    epoch: int
    reads: tuple[OutdatedRead, ...] = ()
    """What had changed meanwhile; at most 50 of it."""
    error: Fault | None = None
    retryable: bool = False
    """Nothing that it did would be done twice, so it may run again."""


class StepCompleted(Message, frozen=True, kw_only=True, tag="step.completed.v1"):
    """The handler returned."""

    run_id: str
    step: str
    epoch: int
    reply: msgspec.Raw = NULL
    reply_ref: BlobRef | None = None
    contract: str
    """Tag of the reply."""
    duration_ms: int = 0


class StepFailed(Message, frozen=True, kw_only=True, tag="step.failed.v1"):
    """The handler raised, hung, or replied with something else than its contract."""

    run_id: str
    step: str
    epoch: int
    error: Fault
    retryable: bool = True


class StepTimedOut(Message, frozen=True, kw_only=True, tag="step.timed_out.v1"):
    """The holder neither finished nor failed before its lease ended."""

    run_id: str
    step: str
    epoch: int
    error: Fault
    retryable: bool = True


RecordKind = Literal["step", "call", "ask", "read", "propose"]


class Recorded(Message, frozen=True, kw_only=True, tag="step.recorded.v1"):
    """What one operation of a handler gave: answered again on replay instead of being repeated."""

    run_id: str
    step: str
    epoch: int
    position: str
    kind: RecordKind
    name: str
    request: str
    """Digest of what was asked."""
    value: msgspec.Raw = NULL
    value_ref: BlobRef | None = None
    error: Fault | None = None


class ClaimStep(Message, frozen=True, kw_only=True, tag="step.claim.v1"):
    """An agent asks to hold a step."""

    run_id: str
    step: str
    epoch: int


class StepLeased(Message, frozen=True, kw_only=True, tag="step.leased.v1"):
    """The agent holds the step; `recorded` is what earlier holders did."""

    lease: Lease
    lease_seq: int
    recorded: tuple[Recorded, ...] = ()


class ClaimRefused(Message, frozen=True, kw_only=True, tag="step.claim_refused.v1"):
    """The step is not to be run by this agent."""

    reason: Literal["superseded", "finished", "unknown", "held"]


class AskRole(Message, frozen=True, kw_only=True, tag="step.ask.v1"):
    """A step asks another role; the supervisor answers with the child's outcome."""

    run_id: str
    step: str
    epoch: int
    position: str
    contract: str
    body: msgspec.Raw = msgspec.Raw(b"{}")
    body_ref: BlobRef | None = None
    may_park: bool = False
    """Nothing else of the step is going on, so it may give its slot up until the answer is there."""


class SleepStep(Message, frozen=True, kw_only=True, tag="step.sleep.v1"):
    """A step asks to be parked until a time."""

    run_id: str
    step: str
    epoch: int
    position: str
    until_at: datetime


class Slept(Message, frozen=True, kw_only=True, tag="step.slept.v1"):
    """The time is there."""


class Marked(Message, frozen=True, kw_only=True, tag="step.marked.v1"):
    """The checkpoint is in the journal."""


class AskAnswered(Message, frozen=True, kw_only=True, tag="step.answered.v1"):
    """The child step's reply, or why there is none."""

    reply: msgspec.Raw = NULL
    reply_ref: BlobRef | None = None
    error: Fault | None = None


class Refused(Message, frozen=True, kw_only=True, tag="step.refused.v1"):
    """A request of a step is refused; nothing changed."""

    error: Fault


class Superseded(Message, frozen=True, kw_only=True, tag="step.superseded.v1"):
    """The asker no longer holds the step; it stops and touches nothing."""

    reason: str = ""


class Parked(Message, frozen=True, kw_only=True, tag="step.parked.v1"):
    """The step waits: the slot is released, and the step is dispatched again later."""

    review_id: str = ""
