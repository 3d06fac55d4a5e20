"""What an operator asks of the supervisor, and the heartbeats and reports that answer."""

from __future__ import annotations

from typing import Literal

import msgspec

from remit.contracts.message import NULL, Message


class CancelRun(Message, frozen=True, kw_only=True, tag="control.cancel.v1"):
    """End a run; what finished stays finished."""

    run_id: str
    reason: str = ""


class PauseRun(Message, frozen=True, kw_only=True, tag="control.pause.v1"):
    """Dispatch nothing more of a run; calls in flight finish, and its clock stands."""

    run_id: str
    reason: str = ""


class ResumeRun(Message, frozen=True, kw_only=True, tag="control.resume.v1"):
    """Go on with a paused run."""

    run_id: str


class RetryStep(Message, frozen=True, kw_only=True, tag="control.retry.v1"):
    """Dispatch a step again now, whoever holds it; without a step, those that wait after a failure."""

    run_id: str
    step: str = ""


class RollbackRun(Message, frozen=True, kw_only=True, tag="control.rollback_run.v1"):
    """Roll a run back to a checkpoint, and go on from there."""

    run_id: str
    to: str
    reason: str = ""
    then: Literal["resume", "pause", "end"] = "resume"


class ForkChange(Message, frozen=True, kw_only=True, tag="control.fork_change.v1"):
    """Something that is different in the fork: `input.x`, `<node>.x` of a reply, or `state.<key>`."""

    path: str
    value: msgspec.Raw


class ForkRun(Message, frozen=True, kw_only=True, tag="control.fork.v1"):
    """Begin a run that shares the past of another one up to a checkpoint."""

    run_id: str
    at: str = ""
    """Name of a checkpoint; empty is all that is finished."""
    changes: tuple[ForkChange, ...] = ()


class AskPlan(Message, frozen=True, kw_only=True, tag="control.plan.v1"):
    """Ask for the plan of a run as it is now, with all that was added to it; answered with a `PlanSpec`."""

    run_id: str


AUTO_HOSTS = -1
"""The wish for no number: one that an older supervisor refuses."""


class ScaleRole(Message, frozen=True, kw_only=True, tag="control.scale.v1"):
    """Wish for a number of hosts of a role; 0 holds the work, -1 gives the wish back. The wish is journaled."""

    role: str
    hosts: int


class ReleaseRole(Message, frozen=True, kw_only=True, tag="control.release.v1"):
    """Start the quarantined hosts of a role now; what they died of is believed to be mended."""

    role: str


class EndTeam(Message, frozen=True, kw_only=True, tag="control.down.v1"):
    """Serve no more: hosts and gateways drain and end, then the supervisor; the journal stays as it is."""

    drain_s: float = 30.0


class DecideReview(Message, frozen=True, kw_only=True, tag="control.decide.v1"):
    """Decide a review; `subject` names the digest of what the person saw."""

    review_id: str
    subject: str
    decision: Literal["approved", "rejected"]
    reason: str = ""
    resolution: Literal["", "again", "done", "skip"] = ""
    value: msgspec.Raw = NULL
    by: str = ""
    """Name of the person; the operator's identity stands in the subject."""


class RedriveDead(Message, frozen=True, kw_only=True, tag="control.redrive.v1"):
    """Publish the task behind a dead letter again, as a new task."""

    seq: int


class RollbackState(Message, frozen=True, kw_only=True, tag="control.rollback_state.v1"):
    """Let an older version of a state key stand again, as a new version; version 0 takes the key out."""

    scope: str
    key: str
    version: int
    by: str = ""
    expected_version: int = -1
    """Not -1: only if this is still the newest."""


class AskStatus(Message, frozen=True, kw_only=True, tag="control.status.v1"):
    """Ask for the pools, the open runs and the reviews that wait."""


class ControlDone(Message, frozen=True, kw_only=True, tag="control.done.v1"):
    """The wish is journaled."""

    detail: str = ""
    run_id: str = ""
    """The run that it made, if it made one."""


class Heartbeat(Message, frozen=True, kw_only=True, tag="registry.heartbeat.v1"):
    """An agent lives; sent every second and when it starts or drains."""

    agent: str
    role: str
    host: str
    pid: int
    slots: int
    busy: int
    state: Literal["ready", "draining"]
    age_s: float = 0.0
    """Of the process."""
    memory_bytes: int = 0
    """What the process holds in memory; 0 where that cannot be told."""


class RoleStatus(Message, frozen=True, kw_only=True, tag="control.role.v1"):
    """One pool: what is wished, what is there, what waits."""

    role: str
    desired: int
    ready: int
    busy: int
    slots: int
    backlog: int
    oldest_wait_s: float
    redelivered: int
    pending_reason: str = ""
    mode: Literal["fixed", "pinned", "scaled"] = "fixed"
    """Who says how many hosts are wished: the team's file, an operator, or the supervisor by what it sees."""
    why: str = ""
    """Why so many hosts are wished."""
    least: int = 0
    most: int = 0
    quarantined: int = 0
    alarm: str = ""
    """Several hosts of the role are quarantined: somebody is to look."""


class TeamStatus(Message, frozen=True, kw_only=True, tag="control.team.v1"):
    """The deployment as the supervisor sees it."""

    team: str
    build: str
    charter: str
    roles: tuple[RoleStatus, ...]
    gateways: tuple[str, ...]
    open_runs: int
    parked_runs: int
    started_at: str
    running: int = 0
    """Runs in which something is going on."""
    waiting_tasks: int = 0
    """Tasks that wait in their queue."""
    alarms: tuple[str, ...] = ()
    """What somebody is to look at."""
    weaker: tuple[str, ...] = ()
    """Walls that the server cannot hold, as whoever deployed the team allowed."""
