"""The open runs: every change is decided, appended, folded, and only then performed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import structlog

from remit.bus import subject
from remit.bus.journal import Fence
from remit.contracts.envelope import CONTRACT, RUN, SENDER, TRACE
from remit.contracts.errors import (
    AlreadyStoredError,
    BusRefusedError,
    BusUnavailableError,
    FencedOutError,
    RefusedError,
    TooLargeError,
)
from remit.contracts.ids import is_run
from remit.contracts.message import decode, encode
from remit.contracts.step import AskAnswered
from remit.contracts.task import TaskRequest
from remit.supervisor import admission, decide
from remit.supervisor.activity import Activity
from remit.supervisor.fold import Fold, settle, started_by
from remit.supervisor.freshness import FreshnessCheck
from remit.supervisor.open_run import OpenRun
from remit.supervisor.records import is_answered
from remit.supervisor.run import evolve, new_run, on_leased
from remit.supervisor.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator

    import msgspec

    from remit.bus.journal import Journal
    from remit.bus.subject import RunSubject
    from remit.contracts.envelope import Envelope
    from remit.contracts.lease import Lease
    from remit.contracts.task import ForkOrigin, RunFinished
    from remit.contracts.team import TeamSpec
    from remit.supervisor.arbiter import Arbiter
    from remit.supervisor.dispatch import Append
    from remit.supervisor.fold import Stranger
    from remit.supervisor.run_state import RunState, StepState

log = structlog.get_logger(__name__)

SUPERVISOR = "supervisor"
RELOAD_PAUSE_S, REFUSED_PAUSE_S = 0.2, 1.0


class DisputeBook(Protocol):
    """What the runs need to know of conflicts that wait."""

    @property
    def open(self) -> Collection[str]:
        """Names of the disputes that nobody has decided."""

    def look(self, run: OpenRun) -> None:
        """Go on with the disputes of a run about which something was said."""

    def drop(self, run: str) -> None:
        """A run is over: what it disputed stays as it was."""


class Runs:
    """All open runs of the team."""

    def __init__(  # noqa: PLR0913  # one for each neighbour
        self,
        journal: Journal,
        team: TeamSpec,
        arbiter: Arbiter,
        *,
        answer: Callable[[str, msgspec.Struct], None],
        ring: Callable[[str], None],
        turns: Callable[[RunState], Awaitable[Append | None]],
        origin: Callable[[str], Awaitable[ForkOrigin]],
        disputes: Callable[[], DisputeBook],
        release: Callable[[RunState], Awaitable[None]],
    ) -> None:
        self._journal = journal
        self._team = team
        self._arbiter = arbiter
        self._answer = answer
        self._turns = turns
        self._origin = origin
        self.timers = Timers(ring)
        self.activity = Activity()
        self._disputes = disputes
        self._release = release
        self._freshness = FreshnessCheck(journal, arbiter)
        self._open: dict[str, OpenRun] = {}
        self._admitting: dict[str, asyncio.Event] = {}

    def __iter__(self) -> Iterator[OpenRun]:
        return iter(tuple(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)

    def get(self, run: str) -> OpenRun | None:
        """Give an open run."""
        return self._open.get(run)

    async def find(self, run: str) -> OpenRun | None:
        """Give an open run; one that is being admitted is awaited: agents may hear of its first step before we do."""
        while (admitting := self._admitting.get(run)) is not None:
            await admitting.wait()
        return self._open.get(run)

    async def locate(self, run: str) -> OpenRun | None:
        """Give an open run, one that another supervisor began included; None if it is over, or never was.

        Raises:
            BusUnavailableError: the journal could not be asked.
        """
        found = await self.find(run)
        if found is not None or not is_run(run):  # an agent may have written anything there
            return found
        last = await self._journal.get(subject.lane(run))
        if last is None or subject.last_token(last.subject) == "finished":
            return None
        return await self._known(run)

    async def catch_up(self, run: OpenRun, step: str, epoch: int) -> None:
        """A run of which somebody knows more than we do is read again; the caller holds the run's lock.

        Two supervisors overlap when one was cut off and comes back. What the old one does not know it must not refuse.
        """
        if run.has_unanswered_lease():
            await self.reload(run)
        known = run.state.steps.get(step)
        if known is not None and known.work.epoch >= epoch:
            return
        last = await self._journal.get(subject.lane(run.state.run_id))
        if last is not None and last.seq > run.state.lane_seq:
            await self.reload(run)

    def active(self) -> Iterator[OpenRun]:
        """Give the runs in which something is going on; the others wait for their time, or for somebody."""
        return iter([self._open[name] for name in self.activity if name in self._open])

    def adopt(self, state: RunState) -> OpenRun:
        """Take a run that was folded from the journal."""
        self.activity.note(state, is_active=True)
        return self._open.setdefault(state.run_id, OpenRun(state))

    async def admit(self, run_id: str, *, workflow: str, body: bytes, envelope: Envelope) -> None:
        """The task is a run, or is refused; either is journaled. A task that came before changes nothing.

        Raises:
            BusUnavailableError: nothing is known to be stored; the task is to be delivered again.
        """
        if await self.find(run_id) is not None:
            return
        admitting = self._admitting[run_id] = asyncio.Event()
        try:
            run = await self._admit(run_id, workflow=workflow, body=body, envelope=envelope)
        finally:
            del self._admitting[run_id]
            admitting.set()
        if run is not None:
            async with run.lock:
                await self.advance(run)

    async def _admit(self, run_id: str, *, workflow: str, body: bytes, envelope: Envelope) -> OpenRun | None:
        """Give the run if it needs more entries now."""
        now = datetime.now(UTC)
        try:
            fork = await self._fork_of(body)
            append = admission.start(
                self._team, run_id=run_id, workflow=workflow, body=body, envelope=envelope, now=now, fork=fork
            )
        except RefusedError as error:
            append = admission.refuse(run_id, workflow, error.fault(), now=now)
        try:
            seq = await self._first(append, workflow, envelope.trace)
        except (FencedOutError, AlreadyStoredError):
            return await self._known(run_id)
        started = started_by(append.message)
        if started is None:
            log.info("task.refused", run_id=run_id, workflow=workflow)
            return None
        state = new_run(started, self._team)
        evolve(state, seq, append.message, at=now)
        run = self.adopt(state)
        return None if state.steps else run  # a run of one step needs nothing before that step is settled

    async def _fork_of(self, body: bytes) -> ForkOrigin | None:
        """Give the origin that a task names; whoever makes a name up is refused."""
        if b'"fork"' not in body:
            return None
        name = decode(TaskRequest, body).fork
        return await self._origin(name) if name else None

    async def _known(self, run_id: str) -> OpenRun | None:
        """Give the run of an earlier append whose answer never came; None if it is over."""
        fold = Fold(self._team)
        async for entry in self._journal.read(subject.run_all(run_id)):
            fold.apply(entry)
        state = fold.runs.get(run_id)
        return None if state is None else self.adopt(state)

    async def _first(self, append: Append, workflow: str, trace: str) -> int:
        run_id = append.message.run_id
        fence = Fence(subject.lane(run_id), 0)
        try:
            return await self._append(append, fence, trace)
        except TooLargeError as error:
            refusal = admission.refuse(run_id, workflow, error.fault(), now=datetime.now(UTC))
            await self._append(refusal, fence, trace)
            raise AlreadyStoredError("the task is refused", where=append.subject) from error

    async def strand(self, stranger: Stranger) -> None:
        """A run that this build cannot go on with has its outcome."""
        started = stranger.started
        log.error("run.stranded", run_id=started.run_id, workflow=started.workflow, build=started.build)
        append = admission.strand(started, stranger.number, build=self._team.build, now=datetime.now(UTC))
        try:
            await self._append(append, Fence(subject.lane(started.run_id), stranger.lane_seq), started.trace)
        except (FencedOutError, AlreadyStoredError) as error:  # another supervisor goes on with it
            log.warning("run.not_stranded", run_id=started.run_id, error=str(error))

    async def settle(self, parts: RunSubject, name: str, data: bytes) -> None:
        """A completion or failure is folded, and what follows from it is journaled and performed.

        One that changes nothing may have been folded by reading the run again: what follows is due all the same.

        Raises:
            MalformedMessageError: it does not fit its contract; it does not count.
        """
        run = await self.locate(parts.run)
        if run is None:
            return
        async with run.lock:
            await self.catch_up(run, parts.lane, int(parts.index) if parts.index.isdecimal() else 0)
            settle(run.state.team, run.state, parts, name=name, data=data, at=datetime.now(UTC))
            await self.advance(run)

    def _answer_askers(self, run: OpenRun) -> None:
        for name in tuple(run.askers):
            step = run.state.steps.get(name)
            if step is not None and is_answered(run.state.team, step):
                self._answer(run.askers.pop(name), answer_of(step))

    async def advance(self, run: OpenRun) -> None:
        """Append what the run needs until it waits for others; the caller holds the run's lock."""
        self._answer_askers(run)
        while run.state.wants_fresh and run.state.finished is None:
            append = await self._freshness.next(run.state)
            if append is None:
                break
            await self.store_or_end(run, append)
        while (append := await self._next(run.state)) is not None:
            await self.store_or_end(run, append)
        self._disputes().look(run)
        if run.state.finished is not None:
            await self._close(run, run.state.finished)
        else:
            self._note_time(run.state)

    async def _next(self, state: RunState) -> Append | None:
        if state.finished is not None:
            return None
        is_turning = state.is_forking or state.rollback is not None
        if is_turning and (append := await self._turns(state)) is not None:
            return append
        versions = self._arbiter.numbers(state.run_id) if not state.undecided else {}
        return decide.advance(state.team, state, versions, now=datetime.now(UTC), disputes=self._disputes().open)

    def _note_time(self, state: RunState) -> None:
        """See to it that the run is looked at again when time alone brings it on."""
        name, due_at = state.run_id, decide.due_at(state.team, state)
        is_ahead = due_at > datetime.now(UTC)  # what is due and not done waits for room, and time brings it none
        is_waiting = not state.in_flight and is_ahead
        self.activity.note(state, is_active=not is_waiting)
        if is_waiting or (state.failed and is_ahead):
            self.timers.set(name, due_at)

    async def _close(self, run: OpenRun, finished: RunFinished) -> None:
        if self._open.pop(run.state.run_id, None) is None:
            return
        self.activity.drop(run.state.run_id)
        self.timers.drop(run.state.run_id)
        self._disputes().drop(run.state.run_id)
        self._arbiter.forget(run.state.run_id)
        log.info(
            "run.finished",
            run_id=finished.run_id,
            workflow=finished.workflow,
            outcome=finished.outcome,
            stopped_by=finished.stopped_by,
            steps=finished.steps,
            duration_ms=finished.duration_ms,
        )
        await self._release(run.state)

    async def store_or_end(self, run: OpenRun, append: Append) -> None:
        """As `store`; a run whose next entry is too large to be stored ends with that error."""
        try:
            await self.store(run, append)
        except TooLargeError as error:
            await self.store(run, decide.give_up(run.state, error.fault(), now=datetime.now(UTC)))

    async def store(self, run: OpenRun, append: Append) -> bool:
        """Append one decision and fold it; False if it is not known to be stored: then decide again.

        Nothing is stored after an outcome. If the lane moved on, or no answer came, the lane is read again; if the
        server refuses, its disk may be full, and there is a pause.

        Raises:
            TooLargeError: the entry does not fit into a message; nothing changed.
        """
        state = run.state
        if state.finished is not None:  # it ended while whoever decides waited for the lock
            return False
        before = state.lane_seq
        try:
            seq = await self._append(append, Fence(subject.lane(state.run_id), state.lane_seq), state.started.trace)
        except (FencedOutError, AlreadyStoredError, BusUnavailableError) as error:
            log.warning("lane.read_again", run_id=state.run_id, subject=append.subject, error=str(error))
            await self.reload(run)
            is_stuck = run.state.lane_seq == before and run.state.finished is None
            if is_stuck and not isinstance(error, BusUnavailableError):
                raise RuntimeError(
                    f"the lane of {state.run_id} refuses what its fold asks for: {append.subject}"
                ) from error
            return False
        except BusRefusedError as error:
            log.warning("lane.append_refused", run_id=state.run_id, subject=append.subject, error=str(error))
            await asyncio.sleep(REFUSED_PAUSE_S)
            return False
        evolve(state, seq, append.message, at=datetime.now(UTC))
        self.activity.note(state, is_active=True)
        return True

    async def lease(self, run: OpenRun, lease: Lease) -> bool:
        """Journal a lease; False if another one stands there, or the lane moved on: the run was read again."""
        name = subject.lease(lease.run_id, lease.step, lease.epoch)
        headers = _headers(lease, lease.run_id, run.state.started.trace)
        try:
            fence = Fence(subject.lane(lease.run_id), run.state.lane_seq)
            seq = await self._journal.append(name, encode(lease), fence=fence, headers=headers)
        except (FencedOutError, AlreadyStoredError, BusUnavailableError) as error:
            await self.reload(run)
            if isinstance(error, BusUnavailableError):
                run.unanswered.add((lease.step, lease.epoch))
            return False
        return on_leased(run.state, seq, lease)

    async def reload(self, run: OpenRun) -> None:
        """Fold the run from its journal; waits until the bus can be read."""
        while True:
            try:
                await self._reload(run)
            except BusUnavailableError as error:
                log.warning("run.read_failed", run_id=run.state.run_id, error=str(error))
                await asyncio.sleep(RELOAD_PAUSE_S)
            else:
                break
        if run.state.finished is None:  # another supervisor may have decided, and whoever reads of it here only refuses
            self.timers.set(run.state.run_id, datetime.now(UTC))

    async def _reload(self, run: OpenRun) -> None:
        name = run.state.run_id
        fold = Fold(self._team, keeps_finished=True)
        async for entry in self._journal.read(subject.run_all(name), start_seq=max(run.state.first_seq, 1)):
            fold.apply(entry)
        if name in fold.finished:
            run.state = fold.ended.get(name, run.state)
            run.state.finished = fold.finished[name]
            await self._close(run, fold.finished[name])
        elif name in fold.runs:
            run.state = fold.runs[name]

    async def _append(self, append: Append, fence: Fence, trace: str) -> int:
        headers = _headers(append.message, append.message.run_id, trace)
        return await self._journal.append(append.subject, encode(append.message), fence=fence, headers=headers)


def _headers(message: msgspec.Struct, run: str, trace: str) -> dict[str, str]:
    headers = {RUN: run, SENDER: SUPERVISOR, CONTRACT: str(type(message).__struct_config__.tag)}
    if trace:
        headers[TRACE] = trace
    return headers


def answer_of(child: StepState) -> AskAnswered:
    """Give what the asker of a finished child is told."""
    if child.status == "completed":
        return AskAnswered(reply=child.reply)
    return AskAnswered(error=child.error)
