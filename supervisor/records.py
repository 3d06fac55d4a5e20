"""What earlier holders of a step did, read from its journal: answered to whoever holds it next."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
import structlog

from remit.bus import subject
from remit.contracts.errors import CallCutOffError, MalformedMessageError
from remit.contracts.ids import GENERATION, base_position, is_position
from remit.contracts.lease import Lease, Resolution
from remit.contracts.message import decode, digest_of
from remit.contracts.proposal import StateRead
from remit.contracts.step import Recorded
from remit.contracts.tool import ToolCalled, ToolReturned
from remit.supervisor.retry import may_retry

if TYPE_CHECKING:
    from remit.bus.journal import Entry, Journal
    from remit.bus.subject import RunSubject
    from remit.contracts.errors import Fault
    from remit.contracts.team import TeamSpec
    from remit.supervisor.run_state import RunState, StepState

log = structlog.get_logger(__name__)


class StepRecords:
    """Folds the entries of one step. A record counts only if its author held the step when it was stored.

    A call that was cut off is made again by whoever holds the step next.

    When the step is retried after a failure, a call that ended in an error is not answered from the records, so that
    it is made again; but only if its branch of the handler did nothing after it: a handler that went on after an
    error may have decided by it, and would not find its way through its own records again.
    """

    def __init__(self, *, is_retried: bool = False) -> None:
        self._is_retried = is_retried
        self._holder: Lease | None = None
        self._recorded: dict[str, Recorded] = {}
        self._called: dict[str, ToolCalled] = {}
        self._failed: dict[str, list[str]] = {}
        """Indices of the attempts of a call that ended in an error, by position."""

    async def read(self, journal: Journal, run: RunState, step: str) -> None:
        """Apply what the journal holds of a step."""
        async for entry in journal.read(subject.step_all(run.run_id, step), start_seq=run.first_seq):
            self.apply(entry)

    def apply(self, entry: Entry) -> None:
        """Apply one entry of the step; what does not fit does not count."""
        parts = subject.parse_run(entry.subject)
        if parts is None:
            return
        try:
            self._apply(parts, entry)
        except MalformedMessageError as error:
            log.warning("entry.ignored", subject=entry.subject, error=str(error))

    def _apply(self, parts: RunSubject, entry: Entry) -> None:
        match parts.author, parts.kind:
            case "lease", "revoked":
                self._holder = None  # what its agent wrote later, it wrote without being asked
            case "lease", _:
                self._holder = decode(Lease, entry.data)
            case "call", "called":
                called = decode(ToolCalled, entry.data)
                self._called[base_position(called.position)] = called
            case "call", "returned":
                self._on_returned(decode(ToolReturned, entry.data))
            case author, "recorded" if self._holder is not None and author == self._holder.agent:
                record = decode(Recorded, entry.data)
                is_its_own = (record.run_id, record.step, record.epoch) == (parts.run, parts.lane, self._holder.epoch)
                if is_its_own and is_position(record.position) and record.kind in {"step", "read", "propose"}:
                    self._recorded.setdefault(record.position, record)

    def _on_returned(self, returned: ToolReturned) -> None:
        position = base_position(returned.position)
        called = self._called.get(position)
        if called is None:
            return
        if returned.error is not None:
            self._failed.setdefault(position, []).append(returned.position)
        self._recorded[position] = Recorded(
            run_id=returned.run_id,
            step=returned.step,
            epoch=called.epoch,
            position=position,
            kind="call",
            name=called.tool,
            request=called.request,
            value=returned.value,
            value_ref=returned.value_ref,
            error=returned.error,
        )

    def recorded(self) -> tuple[Recorded, ...]:
        """Give what counts, and is not to be tried again."""
        again = set(self._tried_again())
        return tuple(item for position, item in self._recorded.items() if position not in again)

    def open_calls(self) -> list[ToolCalled]:
        """Give the calls that change something and may have happened: nobody knows how they ended, or they failed."""
        ended = {position for position, item in self._recorded.items() if item.kind == "call" and item.error is None}
        return [
            called for position, called in self._called.items() if called.effect != "pure" and position not in ended
        ]

    def reads(self, generation: int) -> list[StateRead]:
        """Give what the step read of the shared state since its result was last found outdated."""
        found: list[StateRead] = []
        for record in self._recorded.values():
            if record.kind == "read" and record.error is None and _generation(record.position) == generation:
                with suppress(MalformedMessageError):  # its agent wrote it, and it may be anything
                    found.append(decode(StateRead, record.value))
        return found

    def changed_the_world(self) -> bool:
        """Say whether the step called a tool that is more than a look."""
        return any(called.effect != "pure" for called in self._called.values())

    def retries(self) -> tuple[Resolution, ...]:
        """Give the calls that are to be made again, for the gateway."""
        return tuple(
            Resolution(position=index, decision="retry")
            for position in self._tried_again()
            for index in self._failed[position]
        )

    def _tried_again(self) -> list[str]:
        return [
            position
            for position, item in self._recorded.items()
            if item.kind == "call" and item.error is not None and self._is_tried_again(position, item.error)
        ]

    def _is_tried_again(self, position: str, error: Fault) -> bool:
        if error.code == CallCutOffError.code:  # its handler was ended, and never heard of this
            return True
        is_safe = self._is_retried and self._called[position].effect != "at_most_once"
        return is_safe and not any(_follows(other, position) for other in self._recorded)


def _generation(position: str) -> int:
    return int(position.split("-", maxsplit=1)[0]) // GENERATION


def _follows(other: str, position: str) -> bool:
    """Say whether an operation began after another one in the same branch, or in a branch that began after it."""
    branch, _, number = position.rpartition("-")
    prefix = f"{branch}-" if branch else ""
    if not other.startswith(prefix):
        return False
    return int(other.removeprefix(prefix).split("-")[0]) > int(number)


def answered_asks(team: TeamSpec, run: RunState, step: str) -> tuple[Recorded, ...]:
    """Give the asks of a step whose answer is known."""
    children = [
        item
        for item in run.steps.values()
        if item.work.parent is not None and item.work.parent.step == step and not item.work.conflict
    ]
    return tuple(_answered(child) for child in children if is_answered(team, child))


def is_answered(team: TeamSpec, child: StepState) -> bool:
    """Say whether a child step ended for good."""
    return child.status == "completed" or (child.status == "failed" and not may_retry(team, child))


def _answered(child: StepState) -> Recorded:
    work = child.work
    request = digest_of({"role": work.role, "body": msgspec.json.decode(work.body)})
    return Recorded(
        run_id=work.run_id,
        step=work.parent.step if work.parent else "",
        epoch=work.epoch,
        position=work.parent.position if work.parent else "",
        kind="ask",
        name=work.role,
        request=request,
        value=child.reply,
        error=child.error if child.status == "failed" else None,
    )
