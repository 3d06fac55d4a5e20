"""Checkpoints of a run, and the way back to one: what is undone, what is restored, and what lasts."""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from remit.contracts.errors import Fault
from remit.contracts.message import Message, convert

T = TypeVar("T", bound=Message)


class MarkCheckpoint(Message, frozen=True, kw_only=True, tag="checkpoint.mark.v1"):
    """A step asks for a checkpoint at this position of its handler."""

    run_id: str
    step: str
    epoch: int
    position: str
    name: str


class Checkpointed(Message, frozen=True, kw_only=True, tag="checkpoint.taken.v1"):
    """The run may be rolled back to here: to this entry's place in the journal, which orders all state."""

    run_id: str
    name: str
    over: tuple[str, ...] = ()
    """Nodes that were over; the others begin again after a rollback."""
    step: str = ""
    """The step that marked it; empty if the plan did, after a node."""
    position: str = ""
    epoch: int = 0


class EffectDone(Message, frozen=True, kw_only=True, tag="rollback.effect.v1"):
    """A call that may have changed the world."""

    step: str
    position: str
    tool: str
    intent: str
    """The key under which the effect is known outside."""
    arguments: object = None
    """As plain JSON; None if they are too large, and stand in the call's own entry."""
    value: object = None
    error: Fault | None = None
    is_in_doubt: bool = False
    """Nobody knows whether it happened."""


class Undo(Message, frozen=True, kw_only=True, tag="rollback.undo.v1"):
    """What a compensating role takes: the step that is to be undone, with all that it did to the world."""

    step: str
    role: str
    reason: str
    work: object = None
    """The message that the step took, as plain JSON."""
    reply: object = None
    """Its reply; None if it had none yet."""
    effects: tuple[EffectDone, ...] = ()
    """Newest first, those of the roles that it asked included."""

    def work_as(self, kind: type[T]) -> T:
        """Give the message that the step took; raises MalformedMessageError if it is no such message."""
        return convert(kind, self.work)

    def reply_as(self, kind: type[T]) -> T:
        """Give the step's reply; raises MalformedMessageError if it is no such message, or there is none."""
        return convert(kind, self.reply)


class Undoing(Message, frozen=True, kw_only=True, tag="rollback.undoing.v1"):
    """One compensation of a rollback: the step that is undone, and the step that does it."""

    step: str
    by: str
    role: str
    body: msgspec.Raw


class Lasting(Message, frozen=True, kw_only=True, tag="rollback.lasting.v1"):
    """Something that a rollback could not undo."""

    what: str
    """A step with its tool, or a state key."""
    why: str
    is_failure: bool = False
    """A compensation was tried and failed; the run does not go on."""


class RollbackBegun(Message, frozen=True, kw_only=True, tag="rollback.begun.v1"):
    """Nothing of the nodes named goes on; whoever holds a step of them is stopped."""

    run_id: str
    to: str
    at_seq: int
    """Place of the checkpoint in the journal."""
    reason: str
    by: str
    then: Literal["resume", "pause", "end"] = "resume"
    nodes: tuple[str, ...] = ()
    """Nodes that begin again."""
    rule: int = -1
    """Index of the plan's rule that set it off; -1 if a person did."""
    error: Fault | None = None
    """The failure that set it off."""
    reply: object = None
    """The reply that set it off, as plain JSON; None if none did, or if it is too large."""


class RollbackListed(Message, frozen=True, kw_only=True, tag="rollback.listed.v1"):
    """Every call of the stopped steps has its outcome; this is undone, newest first, and this cannot be."""

    run_id: str
    undo: tuple[Undoing, ...] = ()
    lasting: tuple[Lasting, ...] = ()


class RolledBack(Message, frozen=True, kw_only=True, tag="rollback.done.v1"):
    """The state is that of the checkpoint, as new versions; the plan goes on from there, or the run ends."""

    run_id: str
    to: str
    undone: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    """State keys that got a new version."""
    lasting: tuple[Lasting, ...] = ()
    reset: tuple[str, ...] = ()
    """Nodes that begin again."""


class RolledBackNote(Message, frozen=True, kw_only=True, tag="rollback.note.v1"):
    """What a step that begins again is told."""

    to: str
    reason: str
    lasting: tuple[Lasting, ...] = ()
    undone: tuple[str, ...] = ()
    """Steps whose compensation held."""
    restored: tuple[str, ...] = ()
    """State keys that got a new version."""
    reply: object = None
    """The reply that set it off; None if none did, or if it is too large."""

    def reply_as(self, kind: type[T]) -> T:
        """Give the reply that set the rollback off; raises MalformedMessageError if it is no such message."""
        return convert(kind, self.reply)
