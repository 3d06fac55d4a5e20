"""A task as published, the start of its run, and the one outcome it gets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from remit.contracts.blob import BlobRef
from remit.contracts.errors import Fault
from remit.contracts.message import NULL, Message
from remit.contracts.plan import PlanSpec

Verdict = Literal["complete", "incomplete", "stopped", "failed", "refused", "rejected"]
"""complete: every criterion passed · incomplete: one did not · stopped: a limit or a person stopped it ·
failed: a step failed for good · refused: never started · rejected: a person rejected a review."""


class Limits(Message, frozen=True, kw_only=True, tag="task.limits.v1"):
    """Bounds of one run; the charter's are the ceiling, a task may ask for less."""

    wall_clock_s: float = 3600.0
    steps: int = 10_000
    """Steps dispatched, retries and asks included."""
    depth: int = 8
    """How deep asks may nest."""


class ForkOrigin(Message, frozen=True, kw_only=True, tag="run.origin.v1"):
    """The run whose past a fork shares."""

    run_id: str
    at: str
    """Name of the checkpoint; empty is all that was finished."""
    at_seq: int
    """Place in the journal up to which the past is shared."""
    by: str
    changes: tuple[str, ...] = ()
    """What is different from it: paths."""
    wish: str = ""
    """Name of the operator's wish for it."""


class RunBound(Message, frozen=True, kw_only=True, tag="run.bound.v1"):
    """The run is served by this build from now on; what was held is dispatched again there."""

    run_id: str
    build: str
    is_older: bool
    """It stays with the build that it began with, beside the deployment's own."""
    why: str
    held: tuple[str, ...] = ()
    """As of a pause."""


class RunPaused(Message, frozen=True, kw_only=True, tag="run.paused.v1"):
    """Nothing more is dispatched; what was held will be dispatched again."""

    run_id: str
    by: str
    reason: str = ""
    held: tuple[str, ...] = ()
    """Steps that were under way as far as the supervisor had heard: an end that stands before this does not count."""
    paused_at: datetime


class RunResumed(Message, frozen=True, kw_only=True, tag="run.resumed.v1"):
    """The run goes on; its clock stood for a while."""

    run_id: str
    by: str
    paused_s: float


class PartialResult(Message, frozen=True, kw_only=True, tag="run.partial.v1"):
    """What a step gave in a run that did not come to its end."""

    step: str
    role: str
    entry: str
    """Subject of the journal entry that holds it."""
    reply: msgspec.Raw = NULL
    """Null if it is too large to be repeated here."""


PROBE_WORKFLOW = "remit_doctor"
"""No team has this workflow: a task for it is refused, and that outcome shows that all planes work."""


class TaskRequest(Message, frozen=True, kw_only=True, tag="task.request.v1"):
    """What anyone publishes on `remit.task.<workflow>`; plain JSON, the tag may be left out."""

    goal: str
    """The requirement in words; immutable, known by its hash."""
    input: msgspec.Raw = msgspec.Raw(b"{}")
    """Decoded as the workflow's input type."""
    wall_clock_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Asks for less time than the charter allows."""
    fork: str = ""
    """Names an operator's wish for a fork; whoever publishes without one cannot make it up."""


class RunStarted(Message, frozen=True, kw_only=True, tag="run.started.v1"):
    """The run exists: what was asked, by whom, under which charter and build."""

    run_id: str
    workflow: str
    goal: str
    goal_hash: str
    input: msgspec.Raw = msgspec.Raw(b"{}")
    input_ref: BlobRef | None = None
    charter: str
    """Digest of the charter in force."""
    build: str
    """Digest of the team's roles and contracts."""
    limits: Limits
    sender: str = ""
    trace: str = ""
    started_at: datetime
    fork: ForkOrigin | None = None
    plan: PlanSpec | None = None
    """The plan that the run began with; none if it is one role, which its first step names."""
    weaker: tuple[str, ...] = ()
    """Walls that the server could not hold when the run began."""


class Criterion(Message, frozen=True, kw_only=True, tag="run.criterion.v1"):
    """One completion criterion, whether it passed, and the entries that show it."""

    name: str
    passed: bool
    reason: str
    evidence: tuple[str, ...] = ()
    """Subjects of journal entries, or state keys with their version."""


class RunFinished(Message, frozen=True, kw_only=True, tag="run.finished.v1"):
    """The one outcome of a task."""

    run_id: str
    workflow: str
    outcome: Verdict
    stopped_by: str = ""
    """Which limit, person or failure ended the run before its plan did."""
    result: msgspec.Raw = NULL
    """Reply of the last step of the plan."""
    result_ref: BlobRef | None = None
    error: Fault | None = None
    criteria: tuple[Criterion, ...] = ()
    weaker: tuple[str, ...] = ()
    """Walls that the server could not hold when the run began."""
    left: tuple[str, ...] = ()
    """Steps that were not finished."""
    partial: tuple[PartialResult, ...] = ()
    """What a run gave that did not come to its end, in the order of its plan."""
    going: tuple[str, ...] = ()
    """Steps of which the supervisor had not heard the end when it wrote this."""
    state_hash: str = ""
    """Digest of the run as the supervisor knew it; a replay of the journal gives the same."""
    steps: int = 0
    duration_ms: int = 0
    finished_at: datetime
