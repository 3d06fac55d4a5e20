"""A change of shared state: asked, committed or rejected."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from remit.contracts.message import NULL, Message

MergeRule = Literal["reject", "write_once", "union", "max"]
RejectReason = Literal["stale_version", "written_once", "wrong_type"]
TEAM_SCOPE = "team"
"""Scope of state that lives longer than one run; every other scope is a run."""


class StateField(Message, frozen=True, kw_only=True, tag="state.field.v1"):
    """How concurrent writes of keys that start with `prefix` are decided."""

    prefix: str
    rule: MergeRule
    by: str = ""
    """For `union` over objects: the field that identifies an item."""


class ProposeState(Message, frozen=True, kw_only=True, tag="state.propose.v1"):
    """Ask the supervisor to move one key from an exact version to a new value."""

    run_id: str
    step: str
    epoch: int
    position: str
    scope: str
    key: str
    base_version: int
    """Version the proposer read; 0 means the key must not exist yet."""
    value: msgspec.Raw


class StateCommitted(Message, frozen=True, kw_only=True, tag="state.committed.v1"):
    """One version: stored at its index, never changed; says who, in which run and step, by which rule."""

    scope: str
    key: str
    version: int
    value: msgspec.Raw
    run_id: str
    step: str
    position: str
    agent: str
    rule: str
    """`write`, or the merge rule that decided against a newer version."""
    base_version: int
    committed_at: datetime


class StateRejected(Message, frozen=True, kw_only=True, tag="state.rejected.v1"):
    """The proposal lost; nothing changed. The current value comes along."""

    scope: str
    key: str
    rule: str
    reason: RejectReason
    version: int
    value: msgspec.Raw = NULL


class ReadState(Message, frozen=True, kw_only=True, tag="state.read.v1"):
    """Ask for the current version of a key, or of all keys with a prefix."""

    run_id: str
    step: str
    epoch: int
    scope: str
    key: str = ""
    prefix: str = ""


class StateVersion(Message, frozen=True, kw_only=True, tag="state.version.v1"):
    """A key's value and version; version 0 means that it does not exist."""

    key: str
    version: int
    value: msgspec.Raw = NULL


class StateRead(Message, frozen=True, kw_only=True, tag="state.was_read.v1"):
    """The answer to a read, at one point in time."""

    items: tuple[StateVersion, ...] = ()
