"""What a wish for a run will do, as data: what is repeated, undone, kept and restored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from remit.contracts.rollback import Lasting

Fate = Literal["kept", "undone", "lasts"]
"""kept: its outcome is recorded, and it is not made again · undone: a role undoes it · lasts: nothing undoes it."""


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """A step that is dispatched again, or runs in a fork."""

    step: str
    role: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A call that may have changed the world, and what becomes of that."""

    step: str
    position: str
    tool: str
    intent: str
    is_in_doubt: bool
    is_under_way: bool
    """Its outcome is not in the journal yet."""
    fate: Fate
    why: str


@dataclass(frozen=True, kw_only=True)
class Undone:
    """A step that is undone, and the role that does it."""

    step: str
    role: str


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A state key that goes back to an older version; version 0 takes it out."""

    scope: str
    key: str
    now: int
    to: int


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a wish will do, as far as the journal went."""

    verb: str
    run: str
    as_of: int
    """The last entry of the run that is taken into account."""
    says: str
    repeats: tuple[Repeat, ...] = ()
    shared: tuple[str, ...] = ()
    """Finished steps that a fork takes over."""
    undoes: tuple[Undone, ...] = ()
    """Newest first."""
    restores: tuple[Restored, ...] = ()
    effects: tuple[Effect, ...] = ()
    """Newest first."""
    lasting: tuple[Lasting, ...] = ()
    """State that stays as it is."""
    checkpoints: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
