"""Where a run stands, role by role: folded from its history and from what agents say meanwhile."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from remit.cards import Meetings
from remit.words import plain

if TYPE_CHECKING:
    from remit.history import History

_TEXT_SHOWN: Final = 70


class Said(msgspec.Struct, frozen=True):
    """What a step says while it works; nothing of it is stored."""

    text: str = ""
    done: int = 0
    total: int = 0
    role: str = ""
    step: str = ""


@dataclass(frozen=True, kw_only=True)
class RoleLine:
    """One role: how many of its steps are done, and what it says."""

    role: str
    sent: int
    done: int
    failed: int
    waits: int
    """Steps that wait for a person, or for a dispute."""
    text: str

    @property
    def is_over(self) -> bool:
        """Whether nothing of this role is under way."""
        return self.sent == self.done


@dataclass
class Progress:
    """A run while it goes on."""

    history: History
    _said: dict[str, str] = field(default_factory=dict)
    _meetings: Meetings = field(default_factory=Meetings)

    def hear(self, body: bytes) -> None:
        """Take what a step says; anything else is ignored."""
        try:
            said = msgspec.json.decode(body, type=Said)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        count = f" ({said.done}/{said.total})" if said.total else ""
        self._said[said.role] = plain(said.text, _TEXT_SHOWN) + count

    def roles(self) -> list[RoleLine]:
        """Give every role that was sent work, in the order of its first step."""
        steps: dict[str, Counter[str]] = {}
        for step in self.history.steps.values():
            steps.setdefault(step.work.role, Counter())[step.status] += 1
        return [self._line(role, count) for role, count in steps.items()]

    def _line(self, role: str, count: Counter[str]) -> RoleLine:
        return RoleLine(
            role=role,
            sent=count.total(),
            done=count["completed"],
            failed=count["failed"],
            waits=count["parked"],
            text=self._said.get(role, ""),
        )

    def conflicts(self) -> Counter[str]:
        """Count the changes of a field that met another one, by the rule that decided."""
        self._meetings.take(self.history.versions)
        return self._meetings.by_rule

    def keys(self) -> int:
        """Count the keys of the run's shared state."""
        return len({version.key for version in self.history.versions})
