"""A change of shared state: asked, committed, merged, parked or rejected; and what a read gives."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Literal, cast

import msgspec

from remit.contracts.blob import BlobRef
from remit.contracts.document import TEAM_SCOPE
from remit.contracts.errors import Fault
from remit.contracts.message import NULL, Json, Message

__all__ = [
    "DECIDED",
    "TEAM_SCOPE",
    "DisputedField",
    "ProposalRecord",
    "ProposeState",
    "ReadState",
    "RejectReason",
    "StateBatch",
    "StateChange",
    "StateCommitted",
    "StateConflict",
    "StateDecided",
    "StateDecision",
    "StateParked",
    "StateRead",
    "StateRef",
    "StateRejected",
    "StateRuling",
    "StateSide",
    "StateVersion",
]

RejectReason = Literal["stale_version", "written_once", "wrong_type", "owned", "disputed", "taken_out", "undecided"]
"""stale_version: another change was first · written_once: it has its value for good · wrong_type: the rule cannot
read one side · owned: the owner's word stands · disputed: a conflict over it waits for its decision · taken_out: an
append-only list would lose items · undecided: no rung of the ladder decided."""

NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)


class StateChange(Message, frozen=True, kw_only=True, tag="state.change.v1"):
    """One key of a proposal: from an exact version to a new value."""

    key: str
    base_version: int = 0
    """Version the proposer read; 0 means that the key did not exist."""
    value: msgspec.Raw
    value_ref: BlobRef | None = None
    """Of a value too large for an entry; only the supervisor sets it."""
    scope: str = ""
    """Empty: the scope that the key's contract names. Anything else must be that."""


class ProposeState(Message, frozen=True, kw_only=True, tag="state.propose.v2"):
    """Ask the supervisor to change one key, or several together or not at all."""

    run_id: str
    step: str
    epoch: int
    position: str
    changes: tuple[StateChange, ...]
    proposed_at: datetime = NO_TIME


class StateSide(Message, frozen=True, kw_only=True, tag="state.side.v1"):
    """One of those who wrote the same field from the same base."""

    role: str
    agent: str
    run_id: str
    step: str
    position: str
    value: Json = None
    is_missing: bool = False
    """It took the field out."""


class StateDecision(Message, frozen=True, kw_only=True, tag="state.decision.v1"):
    """A conflict over one field and how it was decided; the same whoever of the sides came first."""

    path: str
    """JSON Pointer of the field; empty for the whole document."""
    rule: str
    rule_version: int = 1
    rungs: tuple[str, ...] = ()
    """Rungs of the ladder that were tried before, in order."""
    base: Json = None
    base_is_missing: bool = False
    sides: tuple[StateSide, ...] = ()
    sides_omitted: int = 0
    result: Json = None
    result_is_missing: bool = False
    by: str = ""
    """Who decided, where a role or a person did."""
    decided_in: str = ""
    """The review of the person, or the step of the role."""
    reason: str = ""


class StateCommitted(Message, frozen=True, kw_only=True, tag="state.committed.v1"):
    """One version: stored at its index, never changed; says who, in which run and step, by which rule."""

    scope: str
    key: str
    version: int
    value: msgspec.Raw = NULL
    value_ref: BlobRef | None = None
    """Of a value too large for an entry."""
    deleted: bool = False
    """A rollback took the key back to before it existed; a later version may make it again."""
    hash: str = ""
    """Digest of the value as it is stored."""
    schema: str = ""
    """Tag of the document's type, if it has one."""
    run_id: str
    step: str
    epoch: int = 0
    position: str
    agent: str
    role: str = ""
    rule: str
    """`write`: nobody else wrote · `disjoint`: others wrote other fields · else the rule that decided, or `merged`
    where several did; `rollback` and `set` are an operator's."""
    base_version: int
    changed: tuple[str, ...] = ()
    """JSON Pointers of the parts that differ from the version before."""
    request: str = ""
    """Digest of the proposal: the same position may not propose something else later."""
    wrote: tuple[str, ...] = ()
    """JSON Pointers of the parts that its proposer changed from its base, whatever came of it."""
    decisions: tuple[StateDecision, ...] = ()
    decisions_omitted: int = 0
    restores: int = 0
    """Of a rollback: the version whose value stands again."""
    together: tuple[str, ...] = ()
    """Keys that were committed with this one, in one batch, itself included."""
    together_in: tuple[str, ...] = ()
    """The scope of each of them."""
    proposed_at: datetime = NO_TIME
    committed_at: datetime

    @property
    def ref(self) -> StateRef:
        """The version by reference, for a message to another role."""
        return StateRef(key=self.key, version=self.version, hash=self.hash, scope=self.scope)


class StateBatch(Message, frozen=True, kw_only=True, tag="state.batch.v1"):
    """Several keys were committed together."""

    versions: tuple[StateCommitted, ...]


class StateRejected(Message, frozen=True, kw_only=True, tag="state.rejected.v1"):
    """The proposal lost; nothing changed. The current value of the key that it lost on comes along."""

    scope: str
    key: str
    rule: str
    reason: RejectReason
    version: int
    value: msgspec.Raw = NULL
    value_ref: BlobRef | None = None
    exists: bool = True
    """The key has a value, which may be null."""
    path: str = ""
    """The field that it lost on; the first of several."""
    conflicts: tuple[StateDecision, ...] = ()
    """Every field that nobody decided, in the order of their paths: base and sides, without a result."""


class StateParked(Message, frozen=True, kw_only=True, tag="state.parked.v1"):
    """A conflict waits for a role or a person. The proposer goes on; who reads the disputed fields waits."""

    dispute: str
    """`<run>.<step>.<position>` of the proposal."""
    key: str
    paths: tuple[str, ...]
    waits_for: str
    """The arbitrating role, or `a person`."""


class StateRef(Message, frozen=True, kw_only=True, tag="state.ref.v1"):
    """A document exactly as somebody saw it: a handoff carries this instead of the document."""

    key: str
    version: int
    hash: str
    scope: str = ""


class DisputedField(Message, frozen=True, kw_only=True, tag="state.disputed.v1"):
    """One field on which a conflict waits."""

    scope: str
    key: str
    path: str
    base: Json = None
    base_is_missing: bool = False
    current: Json = None
    current_is_missing: bool = False
    proposed: Json = None
    proposed_is_missing: bool = False
    sides: tuple[StateSide, ...] = ()
    rungs: tuple[str, ...] = ()


class StateConflict(Message, frozen=True, kw_only=True, tag="state.conflict.v1"):
    """What an arbitrating role takes, and a person is shown: the fields, with base and both sides."""

    dispute: str
    fields: tuple[DisputedField, ...]
    proposal: ProposeState
    agent: str


class StateRuling(Message, frozen=True, kw_only=True, tag="state.ruling.v1"):
    """What an arbitrating role gives: which side stands, or another value for a single field."""

    choice: Literal["current", "proposed", "value"]
    value: Json = None
    reason: str = ""


class ProposalRecord(Message, frozen=True, kw_only=True, tag="state.record.v1"):
    """A proposal that changed nothing, kept with its reason."""

    proposal: ProposeState
    agent: str
    request: str = ""
    rejected: StateRejected | None = None
    refused: Fault | None = None
    at: datetime


StateDecided = StateCommitted | StateBatch | StateRejected | StateParked
# A union of structs is a type to msgspec; mypy wants to be told.
DECIDED: Final = cast("type[StateDecided]", StateDecided)


class ReadState(Message, frozen=True, kw_only=True, tag="state.read.v1"):
    """Ask for keys, or all keys with a prefix, at one point; or for one key's older version."""

    run_id: str
    step: str
    epoch: int
    scope: str = ""
    key: str = ""
    prefix: str = ""
    keys: tuple[str, ...] = ()
    version: int = 0
    """Not 0: exactly this version of `key`."""
    newer_than: int = -1
    """Not -1: answer when `key` has a newer version than this, or after `wait_s`."""
    wait_s: float = 0.0
    fields: tuple[str, ...] = ()
    """JSON Pointers of what the reader looks at; empty: all of it. A dispute over other fields does not hold it up."""
    shows: Literal["values", "names", "conflicts"] = "values"
    """Of `prefix` and `keys` the names alone, or the conflicts that were decided over them, in place of the values."""


class StateVersion(Message, frozen=True, kw_only=True, tag="state.version.v1"):
    """A key's value and version; version 0 means that it does not exist."""

    key: str
    version: int
    value: msgspec.Raw = NULL
    hash: str = ""
    scope: str = ""
    deleted: bool = False
    is_old: bool = False
    """The reader asked for exactly this version."""
    conflicts: tuple[StateDecision, ...] = ()


class StateRead(Message, frozen=True, kw_only=True, tag="state.was_read.v1"):
    """The answer to a read, at one point in time."""

    items: tuple[StateVersion, ...] = ()
    is_listing: bool = False
    """All keys with this prefix were asked for."""
    prefix: str = ""
