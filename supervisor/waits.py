"""What steps wait for without a slot: a time, or the answers of other roles; and the checkpoints that they mark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from remit.bus import subject
from remit.contracts.errors import LimitReachedError, MalformedMessageError, RemitError, UsageError
from remit.contracts.ids import GENERATION, is_name, is_position
from remit.contracts.plan import START
from remit.contracts.rollback import Checkpointed
from remit.contracts.step import Marked, Parked, Refused, Slept, StepParked, Superseded
from remit.supervisor.dispatch import Append
from remit.supervisor.records import is_answered
from remit.supervisor.review import answer
from remit.supervisor.run_view import review_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remit.contracts.review import RequestReview, ReviewOutcome
    from remit.contracts.rollback import MarkCheckpoint
    from remit.contracts.step import AskRole, SleepStep
    from remit.contracts.team import TeamSpec
    from remit.supervisor.open_run import OpenRun
    from remit.supervisor.run_state import RunState, StepState, StepStatus
    from remit.supervisor.runs import Runs

NOT_HELD: Final = Superseded(reason="the step is not held by this agent")
PARK_AFTER_S: Final = 3.0
"""A step that asked for another one keeps its slot for so long; most answers come sooner than a hand-over would."""
CHECKPOINTS_MOST: Final = 1_000


def holding(
    runs: Runs, agent: str, run_id: str, *, step: str, epoch: int, status: Sequence[StepStatus] = ("leased",)
) -> OpenRun | None:
    """Give the run of which an agent holds a step in an epoch; None if it does not, or not any more."""
    run = runs.get(run_id)
    state = run.state.steps.get(step) if run is not None else None
    if state is None or state.status not in status or state.lease is None or state.work.epoch != epoch:
        return None
    return run if (state.lease.agent, state.lease.epoch) == (agent, epoch) else None


class Waits:
    """Parks steps, and takes checkpoints for them; every answer follows from the journal."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    async def sleep(self, agent: str, request: SleepStep) -> Slept | Parked | Refused | Superseded:
        """The time is there; or the step is parked until then."""
        if request.until_at.tzinfo is None:  # an agent may have written anything there
            return Refused(error=_without_zone(request).fault())
        while True:
            # A branch of a gather may have parked the step already; each may have a time of its own.
            run = holding(
                self._runs,
                agent,
                request.run_id,
                step=request.step,
                epoch=request.epoch,
                status=("leased", "parked"),
            )
            if run is None:
                return NOT_HELD
            async with run.lock:
                if run.state.finished is not None:  # it ended while the wish waited for the run
                    return NOT_HELD
                if datetime.now(UTC) >= request.until_at:
                    return Slept()
                if not _is_held(run, request.step, request.epoch):
                    continue
                if request.until_at >= _end_of(run.state, request.step):
                    return Refused(error=_beyond(run.state, request).fault())
                known = run.state.sleeping.get(request.step)
                if known is not None and known <= request.until_at:
                    return Parked()
                entry = StepParked(
                    run_id=request.run_id, step=request.step, epoch=request.epoch, until_at=request.until_at
                )
                if await self._parked(run, entry):
                    return Parked()

    async def park_asker(self, run: OpenRun, ask: AskRole) -> bool:
        """Take the slot from a step that waits for what it asked for; False if it need not, or may not.

        The caller holds the run's lock. The step is dispatched again when all that it asked for is answered, or when
        something of it has failed for good.
        """
        children = _unanswered(run.state.team, run.state, ask.step)
        oldest = min((child.since for child in children), default=None)
        is_long = oldest is not None and datetime.now(UTC) - oldest >= timedelta(seconds=PARK_AFTER_S)
        if not (ask.may_park and is_long) or run.state.steps[ask.step].work.conflict:
            return False
        names = tuple(child.work.step for child in children)
        entry = StepParked(run_id=ask.run_id, step=ask.step, epoch=ask.epoch, steps=names)
        return await self._parked(run, entry)

    async def for_person(self, run: OpenRun, request: RequestReview) -> ReviewOutcome | Parked | Refused:
        """Give what was decided of a review that was opened; or the step is parked until it is.

        The caller holds the run's lock. Opening the review parked the step; but something else that it waited for, a
        time or an answer, may have woken it since.
        """
        while True:
            known = review_at(run.state, request.step, request.position, is_doubt=False)
            outcome = answer(known, request) if known is not None else Parked()
            step = run.state.steps[request.step]
            is_awake = (step.status, step.work.epoch) == ("leased", request.epoch)
            if not (isinstance(outcome, Parked) and is_awake and run.state.finished is None):
                return outcome
            await self._parked(run, StepParked(run_id=request.run_id, step=request.step, epoch=request.epoch))

    async def _parked(self, run: OpenRun, entry: StepParked) -> bool:
        name = subject.decision(entry.run_id, run.state.number + 1, "parked")
        if not await self._runs.store(run, Append(name, entry)):
            return False
        await self._runs.advance(run)  # what it waits for may be there by now
        return True

    async def mark(self, agent: str, request: MarkCheckpoint) -> Marked | Refused | Superseded:
        """The checkpoint is in the journal, once however often it is asked for."""
        run = holding(self._runs, agent, request.run_id, step=request.step, epoch=request.epoch)
        if run is None:
            return NOT_HELD
        async with run.lock:
            while True:
                if holding(self._runs, agent, request.run_id, step=request.step, epoch=request.epoch) is None:
                    return NOT_HELD
                known = run.state.checkpoints.get(request.name)
                if known is not None and (known.taken.step, known.taken.position) == (request.step, request.position):
                    return Marked()
                try:
                    _check_mark(run.state, request)
                except RemitError as error:
                    return Refused(error=error.fault())
                entry = Checkpointed(
                    run_id=request.run_id,
                    name=request.name,
                    over=tuple(name for name, node in run.state.nodes.items() if node.is_over),
                    step=request.step,
                    position=request.position,
                    epoch=request.epoch,
                )
                number = run.state.number + 1
                await self._runs.store(run, Append(subject.decision(request.run_id, number, "checkpointed"), entry))


def _is_held(run: OpenRun, step: str, epoch: int) -> bool:
    state = run.state.steps[step]
    return state.status in {"leased", "parked"} and state.work.epoch == epoch


def _unanswered(team: TeamSpec, run: RunState, asker: str) -> list[StepState]:
    return [
        step
        for step in run.steps.values()
        if step.work.parent is not None
        and step.work.parent.step == asker
        and not step.work.conflict
        and step.status != "reset"
        and not is_answered(team, step)
    ]


def _without_zone(request: SleepStep) -> MalformedMessageError:
    return MalformedMessageError(
        "a time without its zone is none",
        where="$.until_at",
        expected="2026-01-31T12:00:00Z",
        got=request.until_at.isoformat(),
    )


def _end_of(run: RunState, step: str) -> datetime:
    """Give when a step ends at the latest; a compensation may go on when its run would have ended."""
    return max(run.ends_at, run.steps[step].work.deadline_at)


def _beyond(run: RunState, request: SleepStep) -> LimitReachedError:
    return LimitReachedError(
        "the run ends before the time for which a step wants to wait",
        where=request.step,
        expected=f"a time before {_end_of(run, request.step).isoformat()}",
        got=request.until_at.isoformat(),
        fix="raise limits.wall_clock_s in charter.yaml",
    )


def _is_redone(taken: Checkpointed, request: MarkCheckpoint) -> bool:
    """Say whether a step that began again marks its checkpoint again."""
    is_later = int(request.position) // GENERATION > int(taken.position or 0) // GENERATION
    return taken.step == request.step and is_later


def _check_mark(run: RunState, request: MarkCheckpoint) -> None:
    if not is_name(request.name) or request.name == START:
        raise MalformedMessageError(
            "this cannot name a checkpoint",
            where="$.name",
            expected="lower case letters, digits and '_', not `start`",
            got=repr(request.name)[:40],
        )
    if not is_position(request.position) or "-" in request.position:
        raise UsageError(
            "a checkpoint stands between the operations of a handler, not inside a branch of it",
            where="$.position",
            expected="a position such as 3",
            got=request.position[:40],
        )
    declared = {node.spec.checkpoint for node in run.nodes.values()} - {""}
    taken = run.checkpoints.get(request.name)
    if request.name in declared or (taken is not None and not _is_redone(taken.taken, request)):
        raise UsageError("another checkpoint has this name", where="$.name", got=request.name)
    if run.steps[request.step].work.parent is not None or run.steps[request.step].work.undoes:
        raise UsageError(
            "only a step of the plan marks checkpoints; what was asked for begins again with its asker",
            where=request.step,
        )
    if len(run.checkpoints) >= CHECKPOINTS_MOST:
        raise LimitReachedError("the run has too many checkpoints", expected=f"at most {CHECKPOINTS_MOST}")
