"""What the steps of a run did to the world, read from the journal: a rollback undoes it, a fork does not repeat it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from remit.bus import subject
from remit.contracts.errors import MalformedMessageError, ToolNotDoneError
from remit.contracts.ids import base_position, intent_key
from remit.contracts.message import decode
from remit.contracts.rollback import EffectDone
from remit.contracts.tool import ToolCalled, ToolInDoubt, ToolReturned

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import msgspec

    from remit.bus.journal import Entry, Journal

log = structlog.get_logger(__name__)

_SHOWN_BYTES: Final = 16 * 1024
"""Of arguments and results; larger ones are left out, and stand in the call's own entries."""


@dataclass(slots=True)
class Call:
    """One call: its first intent, where that stands, and what came of it."""

    called: ToolCalled
    seq: int
    returned: ToolReturned | None = None
    is_in_doubt: bool = False

    @property
    def is_open(self) -> bool:
        """Whether its outcome is not in the journal yet."""
        return self.returned is None and not self.is_in_doubt

    @property
    def may_have_happened(self) -> bool:
        """Whether it changes something, and is not known to have changed nothing."""
        error = self.returned.error if self.returned is not None else None
        return self.called.effect != "pure" and (error is None or error.code != ToolNotDoneError.code)


class Calls:
    """The calls of a run by step and position."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Call] = {}

    @classmethod
    async def read(cls, journal: Journal, run: str, *, start_seq: int = 1) -> Calls:
        """Give the calls of a run; raises BusUnavailableError."""
        calls = cls()
        async for entry in journal.read(subject.calls(run), start_seq=start_seq):
            calls.apply(entry)
        return calls

    def apply(self, entry: Entry) -> None:
        """Apply one entry of a call; what does not fit does not count."""
        parts = subject.parse_run(entry.subject)
        try:
            match parts.kind if parts is not None else "":
                case "called":
                    called = decode(ToolCalled, entry.data)
                    self._found.setdefault((called.step, base_position(called.position)), Call(called, entry.seq))
                case "returned":
                    self._on_returned(decode(ToolReturned, entry.data))
                case "in_doubt":
                    doubt = decode(ToolInDoubt, entry.data)
                    if (call := self._found.get((doubt.step, base_position(doubt.position)))) is not None:
                        call.is_in_doubt = True
        except MalformedMessageError as error:
            log.warning("entry.ignored", subject=entry.subject, error=str(error))

    def _on_returned(self, returned: ToolReturned) -> None:
        call = self._found.get((returned.step, base_position(returned.position)))
        if call is None:
            return
        call.is_in_doubt = False
        if call.returned is None or call.returned.error is not None:  # a later attempt may have done it
            call.returned = returned

    def waiting(self, belongs: Callable[[str], bool], now: datetime) -> bool:
        """Say whether a call of these steps may still have its outcome; past its deadline nobody waits for it."""
        return any(
            call.is_open and call.called.deadline_at > now for call in self._found.values() if belongs(call.called.step)
        )

    def effects(self, belongs: Callable[[str], bool], *, after: int = 0) -> tuple[EffectDone, ...]:
        """Give what these steps may have done to the world after a place in the journal, newest first."""
        found = [
            call
            for call in self._found.values()
            if belongs(call.called.step) and call.seq > after and call.may_have_happened
        ]
        return tuple(_told(call) for call in sorted(found, key=lambda call: -call.seq))


def _told(call: Call) -> EffectDone:
    called, returned = call.called, call.returned
    position = base_position(called.position)
    return EffectDone(
        step=called.step,
        position=position,
        tool=called.tool,
        intent=known_as(called),
        arguments=_bounded(called.arguments),
        value=_bounded(returned.value) if returned is not None else None,
        error=returned.error if returned is not None else None,
        is_in_doubt=returned is None,
    )


def known_as(called: ToolCalled) -> str:
    """Give the key under which the effect of a call is known outside."""
    return called.key or intent_key(called.run_id, called.step, base_position(called.position))


def _bounded(value: msgspec.Raw) -> object:
    return decode(object, value) if len(bytes(value)) <= _SHOWN_BYTES else None


def is_below(step: str, root: str) -> bool:
    """Say whether a step is another one, or was asked for by it, however deep."""
    return step == root or step.startswith((f"{root}-a", f"{root}-c"))
