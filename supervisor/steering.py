"""How operators steer a run: pause, resume, retry, roll back, fork. Each wish is journaled before it is answered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from remit.bus import subject
from remit.contracts.control import ControlDone, ForkRun, PauseRun, ResumeRun, RetryStep, RollbackRun
from remit.contracts.errors import ConflictError, NotFoundError
from remit.contracts.plan import PlanSpec
from remit.contracts.task import RunPaused, RunResumed
from remit.supervisor import dispatch, saga
from remit.supervisor.dispatch import Append
from remit.supervisor.run_view import held_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remit.supervisor.forks import Forks
    from remit.supervisor.open_run import OpenRun
    from remit.supervisor.run_state import RunState, StepState
    from remit.supervisor.runs import Runs


class Revoke(Protocol):
    """Takes steps from their holders."""

    async def __call__(self, run: RunState, steps: Iterable[StepState], *, reason: str, ends_calls: bool) -> None:
        """Their leases are worth nothing any more."""


_TRIED = {"dispatched", "leased", "failed"}
"""How a step stands that can be tried again."""
Steer = PauseRun | ResumeRun | RetryStep | RollbackRun | ForkRun


class Steering:
    """Does what operators wish of one run."""

    def __init__(
        self,
        *,
        runs: Runs,
        forks: Forks,
        revoke: Revoke,
    ) -> None:
        self._runs = runs
        self._forks = forks
        self._revoke = revoke

    async def do(self, wish: Steer, operator: str) -> ControlDone:
        """Do what an operator wishes.

        Raises:
            NotFoundError: there is no such run, step or checkpoint; nothing changed.
            ConflictError: the run stands so that this makes no sense; nothing changed.
            UsageError: a change of a fork does not fit; nothing changed.
        """
        match wish:
            case PauseRun():
                return await self._pause(wish, operator)
            case ResumeRun():
                return await self._resume(wish, operator)
            case RetryStep():
                return await self._retry(wish, operator)
            case RollbackRun():
                return await self._rollback(wish, operator)
            case ForkRun():
                made = await self._forks.begin(wish, by=operator)
                return ControlDone(detail=f"{wish.run_id} is forked as {made}", run_id=made)

    async def plan(self, run_id: str) -> PlanSpec:
        """Give the plan of a run, open or finished, as it is now.

        Raises:
            NotFoundError: this team has no such run.
            BusUnavailableError: the journal could not be read.
        """
        run = await self._forks.folded(run_id)
        if run is None:
            raise NotFoundError(f"there is no run {run_id} of this team", got=run_id, fix="remit run list")
        nodes = tuple(node.spec for node in run.nodes.values())
        return PlanSpec(nodes=nodes, window=run.window, rollbacks=run.rules)

    def find(self, run_id: str) -> OpenRun:
        """Give an open run.

        Raises:
            NotFoundError: it is over, or never was.
        """
        run = self._runs.get(run_id)
        if run is None:
            raise NotFoundError(
                f"run {run_id} is not open: it finished, or never was", got=run_id, fix=f"remit run show {run_id}"
            )
        return run

    async def _pause(self, wish: PauseRun, operator: str) -> ControlDone:
        run = self.find(wish.run_id)
        async with run.lock:
            held: list[StepState] = []
            while run.state.paused is None:
                _check_still(run.state)
                held = [step for step in run.state.steps.values() if step.status == "leased"]
                entry = RunPaused(
                    run_id=wish.run_id,
                    by=operator,
                    reason=wish.reason,
                    held=held_names(run.state),
                    paused_at=datetime.now(UTC),
                )
                await self._runs.store(run, _decision(run.state, "paused", entry))
            # Not only if an answer came: the entry may be stored all the same.
            await self._revoke(run.state, held, reason=f"paused by {operator}", ends_calls=False)
            await self._runs.advance(run)
        return ControlDone(detail=f"{wish.run_id} is paused by {run.state.paused.by}")

    async def _resume(self, wish: ResumeRun, operator: str) -> ControlDone:
        run = self.find(wish.run_id)
        async with run.lock:
            while (paused := run.state.paused) is not None and run.state.finished is None:
                paused_s = max(0.0, (datetime.now(UTC) - paused.paused_at).total_seconds())
                entry = RunResumed(run_id=wish.run_id, by=operator, paused_s=paused_s)
                await self._runs.store(run, _decision(run.state, "resumed", entry))
            await self._runs.advance(run)
            self.find(wish.run_id)  # it may have ended while the wish waited for it
        return ControlDone(detail=f"{wish.run_id} goes on")

    async def _retry(self, wish: RetryStep, operator: str) -> ControlDone:
        run = self.find(wish.run_id)
        async with run.lock:
            names = self._retried(run.state, wish)
            for name in names:
                await self._again(run, name, operator)
            await self._runs.advance(run)
        return ControlDone(detail=f"{wish.run_id}: {', '.join(names)} dispatched again")

    async def _again(self, run: OpenRun, name: str, operator: str) -> None:
        """The step is in its next epoch, however often the lane had to be read again; or it ended, or its run did."""
        epoch = run.state.steps[name].work.epoch
        while run.state.finished is None:
            step = run.state.steps[name]
            if step.work.epoch != epoch or step.status not in _TRIED:
                return
            held, is_failed = [step] if step.status == "leased" else [], step.status == "failed"
            again = dispatch.again(run.state, step, f"retry by {operator}", attempt=step.work.attempt + is_failed)
            await self._runs.store_or_end(run, again)
            if run.state.steps[name].work.epoch != epoch:
                await self._revoke(run.state, held, reason=f"retried by {operator}", ends_calls=True)

    def _retried(self, run: RunState, wish: RetryStep) -> list[str]:
        _check_still(run)
        if not wish.step:
            if not run.failed:
                raise ConflictError(
                    f"no step of run {run.run_id} waits after a failure",
                    where=run.run_id,
                    expected="--step <step> of one that is under way",
                    got=", ".join(name for name, step in run.steps.items() if step.is_held) or "no step under way",
                )
            return list(run.failed)
        step = run.steps.get(wish.step)
        if step is None:
            raise NotFoundError(f"run {run.run_id} has no step {wish.step!r}", got=wish.step)
        if step.status not in _TRIED:
            raise ConflictError(f"step {wish.step} is {step.status}; it is not to be tried again", where=wish.step)
        return [wish.step]

    async def _rollback(self, wish: RollbackRun, operator: str) -> ControlDone:
        run = self.find(wish.run_id)
        async with run.lock:
            number = run.state.rollbacks
            while run.state.rollbacks == number:
                self.find(wish.run_id)  # it may be over by now
                if run.state.rollback is not None or run.state.is_forking:
                    raise ConflictError(f"run {wish.run_id} is being rolled back already", where=wish.run_id)
                begin = saga.begin(run.state, wish.to, reason=wish.reason, by=operator, then=wish.then)
                await self._runs.store(run, begin)
            await self._runs.advance(run)
        return ControlDone(detail=f"{wish.run_id} is being rolled back to {wish.to}")


def _check_still(run: RunState) -> None:
    if run.rollback is not None or run.is_forking or run.finished is not None:
        raise ConflictError(
            f"run {run.run_id} is being rolled back, or is over", where=run.run_id, fix=f"remit run show {run.run_id}"
        )


def _decision(run: RunState, kind: str, entry: RunPaused | RunResumed) -> Append:
    return Append(subject.decision(run.run_id, run.number + 1, kind), entry)
