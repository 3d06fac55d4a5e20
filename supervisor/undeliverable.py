"""Work that the server gave up to deliver: its step fails, so that the retry policy decides, and a letter is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from remit.bus import subject
from remit.bus.dead_letter import Pointer
from remit.bus.subject import JOURNAL
from remit.contracts.errors import UndeliverableError
from remit.contracts.message import decode
from remit.contracts.step import RunStep
from remit.supervisor import decide

if TYPE_CHECKING:
    from remit.bus.dead_letter import DeadLetters, Undeliverable
    from remit.bus.journal import Entry, Journal
    from remit.supervisor.open_run import OpenRun
    from remit.supervisor.runs import Runs

log = structlog.get_logger(__name__)


class UndeliverableWork:
    """Settles the notices that nats-server writes after too many deliveries of one message."""

    def __init__(self, journal: Journal, letters: DeadLetters, runs: Runs) -> None:
        self._journal = journal
        self._letters = letters
        self._runs = runs

    async def settle(self, notice: Undeliverable) -> None:
        """The step that waited for this delivery failed, and a dead letter points to its dispatch.

        A step that somebody holds, that ended, or that was dispatched again waits for nothing: nothing is done.

        Raises:
            MalformedMessageError: what was given up is no dispatched step; nothing changed.
            BusUnavailableError: the letter may be kept, the step not yet failed; settle the notice again.
        """
        entry = await self._journal.get_seq(notice.stream_seq) if notice.stream == JOURNAL else None
        parts = subject.parse_run(entry.subject) if entry is not None else None
        if entry is None or parts is None or parts.kind != "work":
            log.info("delivery.given_up", stream=notice.stream, seq=notice.stream_seq, consumer=notice.consumer)
            return
        work = decode(RunStep, entry.data)
        run = await self._runs.find(work.run_id)
        if run is not None:
            async with run.lock:
                await self._fail(run, work, entry=entry, notice=notice)

    async def _fail(self, run: OpenRun, work: RunStep, *, entry: Entry, notice: Undeliverable) -> None:
        if not _waits(run, work):
            return
        error = UndeliverableError(
            f"no agent of the role {work.role} finished the hand-over of step {work.step}",
            where=entry.subject,
            got=f"{notice.deliveries} deliveries",
            fix=f"remit run show {work.run_id}",
        ).fault()
        # The letter first: it is kept once however often it is written, and the failed step would not ask for it again.
        await self._letters.append(entry.subject, error, Pointer(stream=JOURNAL, seq=entry.seq))
        while _waits(run, work):
            await self._runs.store(run, decide.time_out(run.state, work, error))
        await self._runs.advance(run)
        log.error("step.undeliverable", run_id=work.run_id, step=work.step, epoch=work.epoch, role=work.role)


def _waits(run: OpenRun, work: RunStep) -> bool:
    step = run.state.steps.get(work.step)
    is_open = run.state.finished is None and step is not None
    return is_open and step is not None and step.status == "dispatched" and step.work.epoch == work.epoch
