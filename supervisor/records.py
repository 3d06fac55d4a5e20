"""What earlier holders of a step did, read from its journal: answered to whoever holds it next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from remit.bus import subject
from remit.contracts.errors import MalformedMessageError
from remit.contracts.lease import Lease
from remit.contracts.message import decode, digest_of
from remit.contracts.step import Recorded
from remit.contracts.tool import ToolCalled, ToolReturned
from remit.supervisor.decide import may_retry

if TYPE_CHECKING:
    from remit.bus.journal import Entry, Journal
    from remit.bus.subject import RunSubject
    from remit.contracts.team import TeamSpec
    from remit.supervisor.run import RunState, StepState

log = structlog.get_logger(__name__)


class StepRecords:
    """Folds the entries of one step. A record counts only if its author held the step when it was stored."""

    def __init__(self) -> None:
        self._holder: Lease | None = None
        self._recorded: dict[str, Recorded] = {}
        self._called: dict[str, ToolCalled] = {}

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
            case "lease", _:
                self._holder = decode(Lease, entry.data)
            case "call", "called":
                called = decode(ToolCalled, entry.data)
                self._called[called.position] = called
            case "call", "returned":
                self._on_returned(decode(ToolReturned, entry.data))
            case author, "recorded" if self._holder is not None and author == self._holder.agent:
                record = decode(Recorded, entry.data)
                is_its_own = (record.run_id, record.step, record.epoch) == (parts.run, parts.lane, self._holder.epoch)
                if is_its_own and record.kind in {"step", "read", "propose"}:
                    self._recorded.setdefault(record.position, record)

    def _on_returned(self, returned: ToolReturned) -> None:
        called = self._called.get(returned.position)
        if called is None:
            return
        self._recorded[returned.position] = Recorded(
            run_id=returned.run_id,
            step=returned.step,
            epoch=called.epoch,
            position=returned.position,
            kind="call",
            name=called.tool,
            request=called.request,
            value=returned.value,
            value_ref=returned.value_ref,
            error=returned.error,
        )

    def recorded(self) -> tuple[Recorded, ...]:
        """Give what counts."""
        return tuple(self._recorded.values())


async def read_records(journal: Journal, run: RunState, step: str) -> tuple[Recorded, ...]:
    """Give the recorded operations of a step, asks excluded."""
    records = StepRecords()
    async for entry in journal.read(f"remit.run.{run.run_id}.{step}.>", start_seq=run.first_seq):
        records.apply(entry)
    return records.recorded()


def answered_asks(team: TeamSpec, run: RunState, step: str) -> tuple[Recorded, ...]:
    """Give the asks of a step whose answer is known."""
    children = [item for item in run.steps.values() if item.work.parent is not None and item.work.parent.step == step]
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
