"""What is known of a run: its steps, its plan's nodes, its reviews. Data; `run.py` folds entries into it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from remit.contracts.ids import shard_step
from remit.contracts.message import NULL

if TYPE_CHECKING:
    import msgspec

    from remit.contracts.errors import Fault
    from remit.contracts.fork import AdoptedRecords
    from remit.contracts.lease import Approval, Lease, Resolution
    from remit.contracts.plan import Node, RollbackRule
    from remit.contracts.review import ReviewDecided, ReviewOpened
    from remit.contracts.rollback import Checkpointed, RollbackBegun, RollbackListed, RolledBackNote
    from remit.contracts.step import OutdatedRead, RunStep
    from remit.contracts.task import RunFinished, RunPaused, RunStarted, Verdict
    from remit.contracts.team import TeamSpec

FOREVER = datetime.max.replace(tzinfo=UTC)
StepStatus = Literal["dispatched", "leased", "parked", "decided", "completed", "failed", "reset"]
"""reset: a rollback took it back, and it is not dispatched again yet."""


@dataclass(slots=True)
class StepState:
    """One step: where it stands, who holds it, what came of it."""

    work: RunStep
    since: datetime
    """When it was dispatched."""
    seq: int = 0
    """Place of that dispatch in the journal."""
    status: StepStatus = "dispatched"
    lease: Lease | None = None
    lease_seq: int = 0
    revoked: int = 0
    """The newest epoch whose lease was revoked."""
    reply: msgspec.Raw = field(default_factory=lambda: NULL)
    completed_by: str = ""
    """Subject of the entry that completed it."""
    settled_by: str = ""
    """The agent that completed or failed it."""
    error: Fault | None = None
    retryable: bool = False
    failed_at: datetime | None = None
    approvals: tuple[Approval, ...] = ()
    resolutions: tuple[Resolution, ...] = ()
    outdated: tuple[OutdatedRead, ...] = ()
    """What had changed under the result that does not count; the next dispatch says so."""
    is_accepted: bool = False
    """Its result was held against the state that it read, and it counts."""
    refusals: tuple[Fault, ...] = ()
    """Why the plan that it proposed was refused; the next dispatch says so."""
    order: int = 0
    """How many dispatches of the run came before its first."""

    @property
    def is_held(self) -> bool:
        """Whether an agent may still complete it."""
        return self.status in {"dispatched", "leased"}


@dataclass(slots=True)
class NodeState:
    """One plan node: undecided, running with a width, done, or skipped."""

    spec: Node
    decided: bool = False
    width: int = 0
    fanned: bool = False
    skipped: str = ""
    undispatched: deque[int] = field(default_factory=deque)
    open: int = 0
    items: list[msgspec.Raw] = field(default_factory=list)
    """The messages of a fanned-out node, decoded once."""
    added_by: str = ""
    """The step that proposed it; empty for what stands in the team's own plan."""
    is_marked: bool = False
    """Its checkpoint was taken."""
    note: RolledBackNote | None = None
    """The rollback after which it begins again."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen here."""
        return self.decided and (bool(self.skipped) or self.open == 0)

    def step(self, index: int) -> str:
        """Name of one of its steps."""
        return shard_step(self.spec.name, index) if self.fanned else self.spec.name

    def steps(self) -> list[str]:
        """Names of its steps, in order; none if it is skipped."""
        return [self.step(index) for index in range(self.width)]


@dataclass(slots=True)
class ReviewState:
    """A review and its decision, if there is one."""

    opened: ReviewOpened
    decided: ReviewDecided | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A node that a planner gave up, with who added it and whose step gave it up."""

    spec: Node
    added_by: str
    by: str


@dataclass(slots=True)
class CheckpointState:
    """A checkpoint and its place in the journal."""

    taken: Checkpointed
    seq: int


@dataclass(slots=True)
class RollbackState:
    """A rollback under way: begun, then listed, then done."""

    begun: RollbackBegun
    listed: RollbackListed | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends after a rollback that does not go on."""

    outcome: Verdict
    stopped_by: str
    error: Fault


@dataclass(slots=True)
class RunState:
    """A run: folded from its entries, never changed otherwise."""

    run_id: str
    started: RunStarted
    nodes: dict[str, NodeState]
    window: int
    newest: TeamSpec
    """The deployment's build."""
    team: TeamSpec
    """The build that serves this run."""
    first_seq: int = 0
    lane_seq: int = 0
    number: int = 0
    plan_version: int = 0
    steps: dict[str, StepState] = field(default_factory=dict)
    reviews: dict[str, ReviewState] = field(default_factory=dict)
    dispatched: int = 0
    in_flight: int = 0
    failed: deque[str] = field(default_factory=deque)
    """Steps whose failure is not answered yet: by a retry, by the asker, or by the end of the run."""
    reopened: deque[str] = field(default_factory=deque)
    """Steps whose review is decided and that must be dispatched again."""
    waiting: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Steps that are parked because they read what is disputed, with the disputes."""
    conflict_steps: dict[str, list[str]] = field(default_factory=dict)
    """Steps in which roles arbitrate, by dispute."""
    conflict_reviews: dict[str, list[str]] = field(default_factory=dict)
    """Reviews in which people do."""
    wants_fresh: bool = False
    """Some edge asks that results be held against the state that they stand on."""
    undecided: int = 0
    is_bound: bool = False
    """It stays with an older build."""
    bound_to: str = ""
    """The build that it was last said to be served by; empty if that is the one which began it."""
    rules: tuple[RollbackRule, ...] = ()
    planners: frozenset[str] = frozenset()
    """Roles whose replies are plans."""
    proposals: deque[str] = field(default_factory=deque)
    """Completed steps of planners whose plan is neither accepted nor refused."""
    dropped: dict[str, Dropped] = field(default_factory=dict)
    checkpoints: dict[str, CheckpointState] = field(default_factory=dict)
    rollback: RollbackState | None = None
    rollbacks: int = 0
    """How many were begun."""
    undone_to: dict[str, int] = field(default_factory=dict)
    """By node: place in the journal up to which its effects are undone, or are said to last."""
    ending: Ending | None = None
    """How it ends, now that it is rolled back."""
    rule_uses: dict[int, int] = field(default_factory=dict)
    """How often each of the plan's rules set one off."""
    sleeping: dict[str, datetime] = field(default_factory=dict)
    """Steps that are parked until a time."""
    awaiting: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Steps that are parked until the steps that they asked for are over."""
    paused: RunPaused | None = None
    spent: dict[str, int] = field(default_factory=dict)
    """Dispatches by node, those of what its steps asked for included."""
    ends_at: datetime = FOREVER
    """End of the wall clock; a pause puts it off."""
    is_forking: bool = False
    """It is a fork, and does not have the whole shared past yet."""
    effects_shared: int = 0
    adopted: dict[str, AdoptedRecords] = field(default_factory=dict)
    """What the origin of a fork had done in steps that did not come to their end."""
    finished: RunFinished | None = None

    def input(self) -> msgspec.Raw:
        """The task's input."""
        return self.started.input
