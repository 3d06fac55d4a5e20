"""What died with an agent or a gateway: the steps that were held or served, or in hand and not claimed yet."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from remit.bus import subject
from remit.bus.backlog import backlog
from remit.contracts.errors import MalformedMessageError, RetryableError
from remit.contracts.ids import pool_of
from remit.supervisor import dispatch
from remit.supervisor.fold import SETTLED, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from remit.bus.connection import Bus
    from remit.bus.journal import Journal
    from remit.supervisor.open_run import OpenRun
    from remit.supervisor.run_state import RunState, StepState
    from remit.supervisor.runs import Runs

    IsLost = Callable[[RunState, StepState], bool]

log = structlog.get_logger(__name__)

CLAIMED_S: Final = 0.25
"""By then whoever lives has claimed the work that it was given: an agent claims at once, or after 50 ms."""


class Deaths:
    """Dispatches again, in its next epoch, what nobody alive has; what is done already is not begun again."""

    def __init__(
        self, bus: Bus, journal: Journal, *, runs: Runs, spawn: Callable[[Coroutine[object, object, None]], None]
    ) -> None:
        self._bus = bus
        self._journal = journal
        self._runs = runs
        self._spawn = spawn

    def agent_gone(self, agent: str) -> None:
        """What the agent held is dispatched again at once, and what it had in hand in a moment."""
        rule = f"host of {agent} gone"

        def is_lost(_run: RunState, step: StepState) -> bool:
            return step.status == "leased" and step.lease is not None and step.lease.agent == agent

        self._dispatch_again(is_lost, rule)
        self._spawn(self._in_hand(pool_of(agent), rule))

    def gateway_gone(self, gateway: str) -> None:
        """What the gateway served is dispatched again; the next lease names another."""

        def is_lost(_run: RunState, step: StepState) -> bool:
            return step.status == "leased" and step.lease is not None and step.lease.gateway == gateway

        self._dispatch_again(is_lost, f"{gateway} gone")

    async def _in_hand(self, pool: str, rule: str) -> None:
        """Dispatch again what was handed out by now and is not claimed in a moment.

        The server would hand it out again, but only when it has waited in vain for an ack, which is 10 s. If an agent
        that lives was just slow, its epoch is superseded, and the work is done in the next one.
        """
        await asyncio.sleep(CLAIMED_S)  # until then the server may have sent something to the connection that died
        reached = (await backlog(self._bus, pool)).delivered.stream_seq
        await asyncio.sleep(CLAIMED_S)

        def is_lost(run: RunState, step: StepState) -> bool:
            is_in_hand = step.status == "dispatched" and step.seq <= reached
            return is_in_hand and run.paused is None and run.team.pool(step.work.role) == pool

        self._dispatch_again(is_lost, rule)

    def _dispatch_again(self, is_lost: IsLost, rule: str) -> None:
        for run in self._runs:
            # Whoever has the lock may be about to journal a lease for the one that died.
            if run.lock.locked() or any(is_lost(run.state, step) for step in run.state.steps.values()):
                self._spawn(self._again(run, is_lost, rule))

    async def _again(self, run: OpenRun, is_lost: IsLost, rule: str) -> None:
        async with run.lock:
            for name in [name for name, step in run.state.steps.items() if is_lost(run.state, step)]:
                await self._take_end(run.state, run.state.steps[name])
                while run.state.finished is None and is_lost(run.state, step := run.state.steps[name]):
                    await self._runs.store_or_end(run, dispatch.again(run.state, step, rule))
            await self._runs.advance(run)

    async def _take_end(self, run: RunState, step: StepState) -> None:
        """The last word of the holder counts if it is in the journal, even if it has not come to us yet."""
        if step.status != "leased" or step.lease is None:
            return
        for kind in SETTLED:
            name = subject.agent_entry(
                run.run_id, step.work.step, agent=step.lease.agent, index=str(step.work.epoch), kind=kind
            )
            parts = subject.parse_run(name)
            try:
                entry = await self._journal.get(name)
                if entry is not None and parts is not None:
                    settle(run.team, run, parts, name=name, data=entry.data, at=entry.stored_at or datetime.now(UTC))
            except (RetryableError, MalformedMessageError) as error:
                log.warning("end.not_taken", run_id=run.run_id, step=step.work.step, error=str(error))
