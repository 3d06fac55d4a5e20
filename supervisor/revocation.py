"""Take a step from its holder: journaled, so that the server refuses what is still called; then everybody is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from remit.bus import subject
from remit.bus.journal import Fence
from remit.contracts.envelope import Envelope
from remit.contracts.errors import BusUnavailableError, RetryableError, SupersededError
from remit.contracts.lease import Lease, LeaseRevoked
from remit.contracts.message import encode, tag_of
from remit.supervisor.run import on_revoked
from remit.supervisor.run_view import held_steps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remit.bus.connection import Bus
    from remit.bus.journal import Journal
    from remit.supervisor.fold import Fold
    from remit.supervisor.run_state import RunState, StepState

log = structlog.get_logger(__name__)

SUPERVISOR: Final = "supervisor"
AGAIN_S: Final = 0.2
TOLD_TIMES: Final = 3
"""An agent is told at once, and again with its next heartbeats: the way back that was known may be gone."""


class Revocations:
    """Revokes leases. What it does may be done again: an entry is written once, and who knows of it ignores it."""

    def __init__(self, journal: Journal, *, announce: Bus, answers: Bus) -> None:
        self._journal = journal
        self._announce = announce
        self._answers = answers
        self._ways: dict[str, str] = {}
        """Where agents hear what they did not ask for: the reply subject of their newest heartbeat."""
        self._untold: dict[str, list[tuple[LeaseRevoked, int]]] = {}

    async def revoke(self, run: RunState, steps: Iterable[StepState], *, reason: str, ends_calls: bool) -> None:
        """The newest lease of each step is worth nothing any more, and agents and gateways are told.

        Ends only when that is in the journal, however long it takes. Steps that nobody ever held are left alone.
        """
        for step in steps:
            if step.lease is not None and step.revoked < step.lease.epoch:
                await self._revoke(run, step, step.lease, reason=reason, ends_calls=ends_calls)

    async def release(self, run: RunState) -> None:
        """Nobody works for a run that is over."""
        finished = run.finished
        why = finished.stopped_by or finished.outcome if finished is not None else "over"
        await self.revoke(run, held_steps(run), reason=f"the run is over: {why}", ends_calls=True)

    async def catch_up(self, folded: Fold) -> None:
        """What a supervisor left half done when it died is done: its decisions stand, and everybody knows them."""
        for notice in folded.revoked:
            self._spread(notice)
        for run in folded.left.values():
            await self.release(run)
        for run in folded.runs.values():
            for step in _given_up(run):
                await self.revoke(run, (step,), reason="its supervisor died", ends_calls=False)

    def heard(self, agent: str, way: str) -> None:
        """An agent lives, and hears answers to its heartbeat there; it is told what it may have missed."""
        if way:
            self._ways[agent] = way
            for notice, _times in self._untold.get(agent, ()):
                self._tell(agent, notice)
            self._count(agent)

    def forget(self, agent: str) -> None:
        """An agent is gone."""
        self._ways.pop(agent, None)
        self._untold.pop(agent, None)

    async def _revoke(self, run: RunState, step: StepState, lease: Lease, *, reason: str, ends_calls: bool) -> None:
        notice = LeaseRevoked(
            run_id=lease.run_id,
            step=lease.step,
            epoch=lease.epoch,
            agent=lease.agent,
            reason=reason,
            ends_calls=ends_calls,
        )
        await self._store(notice, Fence(subject.lease_lane(lease.run_id, lease.step), step.lease_seq))
        on_revoked(run, notice)
        log.info("lease.revoked", run_id=lease.run_id, step=lease.step, epoch=lease.epoch, reason=reason)
        self._spread(notice)

    async def _store(self, notice: LeaseRevoked, fence: Fence) -> None:
        """The old lease is not the last entry of its lane any more: ours is, or a newer lease.

        Without the fence, an entry that comes late would revoke the newer one as well.
        """
        name = subject.lease_revoked(notice.run_id, notice.step, notice.epoch)
        headers = Envelope(
            run_id=notice.run_id, step=notice.step, sender=SUPERVISOR, contract=tag_of(LeaseRevoked)
        ).headers()
        while True:
            try:
                await self._journal.append(name, encode(notice), fence=fence, headers=headers)
            except SupersededError:
                return
            except RetryableError as error:
                log.warning("revocation.delayed", subject=name, error=str(error))
                await asyncio.sleep(AGAIN_S)
            else:
                return

    def _spread(self, notice: LeaseRevoked) -> None:
        self._untold.setdefault(notice.agent, []).append((notice, TOLD_TIMES))
        self._tell(notice.agent, notice)
        try:
            self._announce.send(subject.stop(notice.run_id), encode(notice))
        except BusUnavailableError as error:  # they look into the journal when they are connected again
            log.warning("revocation.not_announced", run_id=notice.run_id, error=str(error))

    def _tell(self, agent: str, notice: LeaseRevoked) -> None:
        if way := self._ways.get(agent):
            try:
                self._answers.send(way, encode(notice))
            except BusUnavailableError as error:  # with its next heartbeat
                log.warning("agent.not_told", agent=agent, error=str(error))

    def _count(self, agent: str) -> None:
        left = [(notice, times - 1) for notice, times in self._untold.pop(agent, ()) if times > 1]
        if left:
            self._untold[agent] = left


def _given_up(run: RunState) -> list[StepState]:
    """Give the steps that are to be dispatched again, or were, while whoever held them may not know it.

    Most of those holders ended by themselves, because they were parked; to revoke their leases changes nothing.
    """
    return [step for step in run.steps.values() if step.status in {"decided", "reset", "dispatched"}]
