"""Conflicts that wait, or waited, for a role or a person: folded from the entries of one run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from remit.contracts.errors import MalformedMessageError
from remit.contracts.ids import intent_key, node_of
from remit.contracts.message import decode
from remit.contracts.proposal import StateConflict

if TYPE_CHECKING:
    from collections.abc import Collection

    import msgspec

    from remit.contracts.review import ReviewOpened
    from remit.contracts.step import RunStep


@dataclass(frozen=True, kw_only=True)
class Dispute:
    """A proposal that met a conflict which no rule decides, and who was asked about it."""

    conflict: StateConflict
    role: str = ""
    """The role that was asked last."""
    step: str = ""
    """In which it decides."""
    review_id: str = ""
    """Of the person's review, if one was asked."""
    is_over: bool = False

    @property
    def name(self) -> str:
        """`<run>.<step>.<position>` of the proposal."""
        return self.conflict.dispute

    @property
    def waits_for(self) -> str:
        """For whom it waits; nothing once somebody decided."""
        if self.is_over:
            return ""
        if self.review_id:
            return f"a person: {self.review_id}"
        return f"role {self.role}, step {self.step}" if self.role else "the supervisor"


class Disputes:
    """The disputes of one run, by name."""

    def __init__(self) -> None:
        self._known: dict[str, Dispute] = {}

    def all(self) -> tuple[Dispute, ...]:
        """Give every dispute, in the order in which they began."""
        return tuple(self._known.values())

    def open(self) -> tuple[Dispute, ...]:
        """Give those that nobody has decided."""
        return tuple(item for item in self._known.values() if not item.is_over)

    def asked_role(self, work: RunStep) -> None:
        """A role was asked; asked once more, what it said before does not count."""
        if (conflict := conflict_of(work.body)) is not None:
            self._known[conflict.dispute] = Dispute(conflict=conflict, role=work.role, step=work.step)

    def asked_person(self, opened: ReviewOpened) -> None:
        """A person was asked."""
        if (conflict := conflict_of(opened.body)) is not None:
            self._known[conflict.dispute] = Dispute(conflict=conflict, review_id=opened.review_id)

    def ended(self, work: RunStep, *, has_ruled: bool) -> None:
        """The step of an arbitrating role ended; without a ruling the next rung of the ladder is asked."""
        known = self._known.get(work.conflict)
        if known is not None and known.step == work.step:
            self._known[work.conflict] = replace(known, role="", is_over=has_ruled)

    def decided(self, review_id: str) -> None:
        """A person decided."""
        for known in self._known.values():
            if known.review_id == review_id:
                self._known[known.name] = replace(known, is_over=True)
                return

    def withdrawn(self, nodes: Collection[str]) -> None:
        """The steps that proposed are taken back, and nobody waits for what they wished."""
        for known in tuple(self._known.values()):
            if node_of(known.conflict.proposal.step) in nodes:
                self._known[known.name] = replace(known, is_over=True)

    def answered(self, run: str, step: str, position: str) -> None:
        """What became of a proposal stands in the journal."""
        name = intent_key(run, step, position)
        if (known := self._known.get(name)) is not None:
            self._known[name] = replace(known, is_over=True)


def conflict_of(body: msgspec.Raw) -> StateConflict | None:
    """Give the conflict that a role or a person was asked about; None if it is none."""
    try:
        return decode(StateConflict, body)
    except MalformedMessageError:
        return None
