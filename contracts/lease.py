"""The entry that says which agent holds a step, until when, through which gateway, with which grant."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec

from remit.contracts.message import NULL, Message

OPERATIONS: Final = 5_000
"""How many operations a step may make where its charter does not say."""
REPEATS: Final = 5
"""How often a step may make the same call where its charter does not say."""


class DataScope(Message, frozen=True, kw_only=True, tag="lease.data.v1"):
    """A data source that the holder may read: its name in the charter and its value for this run."""

    name: str
    value: str


class Approval(Message, frozen=True, kw_only=True, tag="lease.approval.v1"):
    """A person approved exactly the action with this digest."""

    review_id: str
    position: str
    """The operation that was approved; another one needs its own approval."""
    action: str
    by: str


class Resolution(Message, frozen=True, kw_only=True, tag="lease.resolution.v1"):
    """What is to become of a call that did not end well."""

    position: str
    """Index of the attempt: the position itself, or `<position>r<n>`."""
    decision: Literal["again", "done", "skip", "retry"]
    """Of a call in doubt a person said: again: it did not happen, call once more · done: it happened, `value` is
    its result · skip: go on without. Of a call that failed: retry: its step is tried again, and so is the call."""
    value: msgspec.Raw = NULL


class IntentKey(Message, frozen=True, kw_only=True, tag="lease.key.v1"):
    """A call that the origin of a fork began: its effect is known outside under this key."""

    position: str
    key: str


class Grant(Message, frozen=True, kw_only=True, tag="lease.grant.v1"):
    """What the holder may do, for exactly this step; absent means no."""

    tools: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    data: tuple[DataScope, ...] = ()
    approvals: tuple[Approval, ...] = ()
    resolutions: tuple[Resolution, ...] = ()
    keys: tuple[IntentKey, ...] = ()
    """Of calls that are known under another key than their own."""
    operations: int = OPERATIONS
    """How many operations the step may make; a position beyond that is refused."""
    repeats: int = REPEATS
    """How often the step may make the same call, or the same ask."""
    tokens: int = 0
    """How many tokens the step may have models read and write; 0 bounds nothing."""
    cost: float = 0.0
    """What the step may spend on models; 0 bounds nothing."""


class Lease(Message, frozen=True, kw_only=True, tag="step.lease.v1"):
    """Journaled by the supervisor; the gateway knows the grant from here, never from the agent."""

    run_id: str
    step: str
    epoch: int
    role: str
    agent: str
    gateway: str
    gateways_gone: tuple[str, ...] = ()
    """Gateways whose open intents on this step the named one may resolve: they are dead."""
    until_at: datetime
    grant: Grant


class LeaseRevoked(Message, frozen=True, kw_only=True, tag="step.lease_revoked.v1"):
    """The supervisor took a step from its holder, who does nothing more in its name; the agent and gateways are told.

    It is stored in the lane of the step's leases: from there on the server refuses every intent under the old one.
    """

    run_id: str
    step: str
    epoch: int
    agent: str
    """Who held it."""
    reason: str
    ends_calls: bool
    """Whether calls that run now are cut off, or may finish."""
