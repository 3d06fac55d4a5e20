"""A run that shares another's past: what it takes over, by value, so that it outlives its origin."""

from __future__ import annotations

import msgspec

from remit.contracts.lease import IntentKey
from remit.contracts.message import NULL, Message
from remit.contracts.plan import Node, PlannedNode
from remit.contracts.step import Recorded, RunStep


class AdoptedStep(Message, frozen=True, kw_only=True, tag="fork.step.v1"):
    """A finished step of the origin; it is not run again."""

    work: RunStep
    reply: msgspec.Raw = NULL
    completed_by: str
    """Subject of the origin's entry."""


class AdoptedRecords(Message, frozen=True, kw_only=True, tag="fork.records.v1"):
    """What a step of the origin had done that did not come to its end: it is answered, and not done again."""

    step: str
    generation: int = 0
    jumps: tuple[tuple[int, int], ...] = ()
    recorded: tuple[Recorded, ...] = ()
    open_calls: tuple[IntentKey, ...] = ()
    """Calls that may have happened, with the keys under which they are known: they are made under these."""


class RunForked(Message, frozen=True, kw_only=True, tag="fork.adopted.v1"):
    """A part of the shared past; the fork goes on after the last part."""

    run_id: str
    part: int
    is_last: bool
    added: tuple[Node, ...] = ()
    """Nodes that planners of the origin had added."""
    dropped: tuple[str, ...] = ()
    """Nodes that they had given up."""
    nodes: tuple[PlannedNode, ...] = ()
    steps: tuple[AdoptedStep, ...] = ()
    records: tuple[AdoptedRecords, ...] = ()
    effects: int = 0
    """Calls of the origin up to there that may have changed the world; none of them is made again."""
