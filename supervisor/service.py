"""The supervisor without Ray: folds the journal, then answers tasks, agents and operators."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import structlog

from remit.bus import subject
from remit.bus.consumer import PullLoop, settle_with
from remit.bus.dead_letter import DeadLetters, Pointer, undeliverable_of
from remit.bus.journal import Journal
from remit.contracts.control import Heartbeat
from remit.contracts.document import TEAM_SCOPE
from remit.contracts.envelope import envelope_of
from remit.contracts.errors import BusUnavailableError, MalformedMessageError, RefusedError, RemitError
from remit.contracts.ids import run_id
from remit.contracts.message import decode, encode, raw
from remit.contracts.review import RequestReview
from remit.contracts.tool import ToolInDoubt
from remit.supervisor import binding, decide, recovery, scaler
from remit.supervisor.arbiter import Arbiter
from remit.supervisor.binding import NOTHING_INHERITED, Inheritance
from remit.supervisor.cache_writer import CacheWriter
from remit.supervisor.control import Control
from remit.supervisor.deaths import Deaths
from remit.supervisor.dispute import Disputes
from remit.supervisor.forks import Forks
from remit.supervisor.holders import Holders
from remit.supervisor.intake import Intake
from remit.supervisor.overwrite import Overwrites
from remit.supervisor.reception import Desks, Reception
from remit.supervisor.review import open_review
from remit.supervisor.revocation import Revocations
from remit.supervisor.rollbacks import Rollbacks
from remit.supervisor.run_view import doubt_is_known
from remit.supervisor.runs import Runs
from remit.supervisor.scaler import Scaler
from remit.supervisor.snapshot_writer import PACE, Pace, SnapshotWriter
from remit.supervisor.steering import Steering
from remit.supervisor.undeliverable import UndeliverableWork
from remit.supervisor.waits import Waits

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import msgspec

    from remit.bus.connection import Bus, Subscription
    from remit.bus.delivery import Delivery
    from remit.bus.wire import Incoming
    from remit.contracts.team import TeamSpec
    from remit.supervisor.dispatch import Append
    from remit.supervisor.open_run import OpenRun
    from remit.supervisor.run_state import RunState

log = structlog.get_logger(__name__)

SWEEP_S = 0.5
AGAIN_S = 0.2
PROBE_S, PROBE_LIMIT_S = 1.0, 1.0
IN_HAND = 2_000
"""Deliveries handled at once; the rest waits in the stream."""


class Pools(scaler.Pools, Protocol):
    """What the supervisor needs of the pools of hosts and gateways."""

    def gateways(self, build: str = "") -> tuple[str, ...]:
        """Names of the gateways that serve calls now: the deployment's own, or those of an older build."""

    def knows(self, agent: str) -> bool:
        """Say whether an agent lives, as far as is known."""

    def heard(self, beat: Heartbeat) -> None:
        """Note that an agent lives."""


class Supervisor:
    """One team's supervisor: `recover`, then `serve`."""

    def __init__(
        self,
        team: TeamSpec,
        *,
        journal_bus: Bus,
        answer_bus: Bus,
        on_bug: Callable[[BaseException], None],
        inheritance: Inheritance = NOTHING_INHERITED,
        pace: Pace = PACE,
        group_commit: bool = False,
    ) -> None:
        self._team = team
        self._inheritance = inheritance
        self._bus = journal_bus
        self._answers = answer_bus
        self._on_bug = on_bug
        self._tasks: set[asyncio.Task[None]] = set()
        self._loops: list[PullLoop] = []
        self._intake: Intake | None = None
        self._subscriptions: list[Subscription] = []
        self._is_stopped = False
        self._pools: Pools | None = None
        self._answered_at = time.monotonic()
        self._journal = Journal(journal_bus, group_commit=group_commit)
        self._cache = CacheWriter(journal_bus)
        self.arbiter = Arbiter(journal_bus, self._journal, team.state, on_commit=self._cache.note)
        self.snapshots = SnapshotWriter(self._journal, team, self.arbiter, pace=pace)
        self._overwrites = Overwrites(self.arbiter)
        self._forks = Forks(journal_bus, self._journal, team, arbiter=self.arbiter, overwrites=self._overwrites)
        self._rollbacks = Rollbacks(
            self._journal, arbiter=self.arbiter, overwrites=self._overwrites, stop=self._stop_held, wake=self._wake
        )
        self._revocations = Revocations(self._journal, announce=journal_bus, answers=answer_bus)
        self.recovered: recovery.Recovered | None = None
        """Where the journal stood; dropped when it is served."""
        self.runs = self._no_runs()
        self.disputes = Disputes(arbiter=self.arbiter, runs=self.runs, spawn=self._spawn)
        self._deaths = Deaths(journal_bus, self._journal, runs=self.runs, spawn=self._spawn)
        self._undeliverable = UndeliverableWork(self._journal, DeadLetters(journal_bus), self.runs)

    def _no_runs(self) -> Runs:
        return Runs(
            self._journal,
            self._team,
            self.arbiter,
            answer=self._answer,
            ring=self._poke,
            turns=self._turn,
            origin=self._forks.origin,
            disputes=lambda: self.disputes,
            release=self._revocations.release,
        )

    @property
    def is_connected(self) -> bool:
        """Whether the bus can be heard now: it answered a moment ago."""
        return self._bus.is_connected and time.monotonic() - self._answered_at < PROBE_S + PROBE_LIMIT_S

    async def recover(self) -> None:
        """Fold the journal: every open run stands where its journal ends."""
        started = asyncio.get_running_loop().time()
        found = await recovery.recover(self._journal, self._team, self.arbiter.versions)
        runs = found.fold
        for state in runs.runs.values():
            self.runs.adopt(state)
            self.disputes.adopt(state)
        self.recovered = found
        self.snapshots.begin(found)
        for version in self.arbiter.versions.all():
            self._cache.note(version)
        for stranger in runs.strangers.values():
            await self.runs.strand(stranger)
        log.info(
            "supervisor.recovered",
            open_runs=len(self.runs),
            finished_runs=found.index.finished,
            read_from=found.start_seq,
            read_to=found.seq,
            duration_ms=int((asyncio.get_running_loop().time() - started) * 1000),
        )

    async def serve(self, pools: Pools) -> None:
        """Answer tasks, agents and operators, and go on with every open run."""
        self._pools = pools
        values = self.arbiter.values(TEAM_SCOPE)
        scaling = Scaler(self._team, bus=self._bus, overwrites=self._overwrites, pools=pools, values=values)
        intake = Intake(self._team, bus=self._bus, runs=self.runs, admit=self._take_in, spawn=self._spawn)
        self._intake = intake
        await binding.inherit(self.runs, self._inheritance, build=self._team.build)
        await self._listen(self._desks(pools, scaling, intake))
        self._loops = [
            await PullLoop.start(
                self._bus, subject.JOURNAL, "supervisor", self._on_settled, batch=IN_HAND, limit=IN_HAND
            ),
            await PullLoop.start(self._bus, subject.DEAD, "supervisor", self._on_given_up, limit=IN_HAND),
        ]
        for run in self.runs:
            self._spawn(self._advance(run))
        if self.recovered is not None:
            self._spawn(self._revocations.catch_up(self.recovered.fold))
            self.recovered = None
        own = (self._sweep(), self._cache.run(), self._probe(), self.snapshots.run())
        for work in (intake.run(), scaling.run(), *own):
            self._spawn(work)

    def _desks(self, pools: Pools, scaling: Scaler, intake: Intake) -> Desks:
        holders = Holders(
            self._journal,
            self._team,
            runs=self.runs,
            arbiter=self.arbiter,
            disputes=self.disputes,
            pools=pools,
        )
        control = Control(
            self._team,
            runs=self.runs,
            overwrites=self._overwrites,
            disputes=self.disputes,
            steering=Steering(runs=self.runs, forks=self._forks, revoke=self._revocations.revoke),
            scaler=scaling,
            intake=intake,
            dead=DeadLetters(self._bus),
        )
        return Desks(holders=holders, waits=Waits(self.runs), control=control)

    async def _listen(self, desks: Desks) -> None:
        reception = Reception(desks, answer=self._answer, spawn=self._spawn)
        for name, hear in reception.listeners().items():
            self._subscriptions.append(await self._answers.subscribe(name, hear))
        self._subscriptions.append(await self._bus.subscribe(subject.REGISTRY, self._on_heartbeat))

    async def stop(self) -> None:
        """Nothing is pulled, heard or decided any more; what was in hand is left to the next supervisor."""
        self._is_stopped = True
        for subscription in self._subscriptions:
            subscription.drop()
        self.runs.timers.stop()
        if self._intake is not None:
            await self._intake.stop()
        for loop in self._loops:
            await loop.stop()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def older_builds(self) -> set[str]:
        """Give the older builds to which open runs are pinned."""
        return binding.older_builds(self.runs)

    # --- deliveries ------------------------------------------------------------------------------

    async def _take_in(self, delivery: Delivery) -> None:
        await settle_with(delivery, self._admit, on_refused=self._bury, on_bug=self._on_bug)

    async def _admit(self, delivery: Delivery) -> None:
        workflow = subject.last_token(delivery.subject)
        await self.runs.admit(
            run_id(delivery.stream_seq),
            workflow=workflow,
            body=delivery.data,
            envelope=envelope_of(delivery.headers),
        )

    def _on_settled(self, delivery: Delivery) -> None:
        self._spawn(settle_with(delivery, self._settle, on_refused=self._bury, on_bug=self._on_bug))

    async def _settle(self, delivery: Delivery) -> None:
        parts = subject.parse_run(delivery.subject)
        if parts is None:
            return
        if parts.kind == "in_doubt":
            await self._doubt(decode(ToolInDoubt, delivery.data))
        else:
            await self.runs.settle(parts, delivery.subject, delivery.data)

    async def _doubt(self, doubt: ToolInDoubt) -> None:
        run = await self.runs.locate(doubt.run_id)
        if run is None:
            return
        async with run.lock:
            await self.runs.catch_up(run, doubt.step, 1)
            while not doubt_is_known(run.state, doubt):
                step = run.state.steps.get(doubt.step)
                if step is None or run.state.finished is not None:
                    return
                request = RequestReview(
                    run_id=doubt.run_id,
                    step=doubt.step,
                    epoch=step.work.epoch,
                    position=doubt.position,
                    kind="in_doubt",
                    title=f"did the call of {doubt.tool} happen? {doubt.reason}",
                    subject=doubt.request,
                    body=raw({"tool": doubt.tool, "reason": doubt.reason}),
                )
                await self.runs.store(run, open_review(run.state, request, datetime.now(UTC)))

    def _on_given_up(self, delivery: Delivery) -> None:
        self._spawn(settle_with(delivery, self._give_up, on_refused=self._bury, on_bug=self._on_bug))

    async def _give_up(self, delivery: Delivery) -> None:
        await self._undeliverable.settle(undeliverable_of(delivery.data))

    async def _bury(self, delivery: Delivery, error: RemitError) -> None:
        pointer = Pointer(stream=delivery.about.stream, seq=delivery.stream_seq)
        await DeadLetters(self._bus).append(delivery.subject, error.fault(), pointer, body=delivery.data)

    # --- what agents tell ------------------------------------------------------------------------

    def _on_heartbeat(self, message: Incoming) -> None:
        try:
            beat = decode(Heartbeat, message.data)
        except MalformedMessageError as error:
            log.warning("heartbeat.ignored", subject=message.subject, error=str(error))
            return
        if self._pools is not None and beat.agent == subject.last_token(message.subject):
            self._pools.heard(beat)
            self._revocations.heard(beat.agent, message.reply)

    def _answer(self, reply: str, answer: msgspec.Struct) -> None:
        if reply:
            self._answers.send(reply, encode(answer))

    # --- what time brings ------------------------------------------------------------------------

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = datetime.now(UTC)
            for run in self.runs.active():
                if not run.lock.locked() and decide.is_due(run.state.team, run.state, now):
                    self._spawn(self._advance(run))

    async def _probe(self) -> None:
        """Ask the server again and again: one that is frozen keeps its connections, and hands no heartbeat on."""
        while True:
            with suppress(BusUnavailableError):
                await self._bus.flush(PROBE_LIMIT_S)
                self._answered_at = time.monotonic()
            await asyncio.sleep(PROBE_S)

    async def _turn(self, run: RunState) -> Append | None:
        """Give the next entry of a run that is rolled back, or takes another's past over."""
        try:
            return await (self._forks if run.is_forking else self._rollbacks).next(run)
        except RefusedError as error:  # a past that is gone, or state that no contract covers any more
            return decide.give_up(run, error.fault(), now=datetime.now(UTC))
        except BusUnavailableError as error:
            log.warning("run.read_failed", run_id=run.run_id, error=str(error))
            self._wake(run.run_id, AGAIN_S)
            return None

    async def _stop_held(self, run: RunState) -> None:
        """What a rollback stopped is stopped everywhere: its conflicts, its holders, its calls."""
        self.disputes.withdraw(run)
        held = [step for step in run.steps.values() if step.status == "reset" and step.lease is not None]
        # Calls that run may finish: cut off, some of them could neither be undone nor done again.
        await self._revocations.revoke(run, held, reason="rolled back", ends_calls=False)

    def _wake(self, name: str, delay_s: float) -> None:
        asyncio.get_running_loop().call_later(delay_s, self._poke, name)

    def _poke(self, name: str) -> None:
        run = self.runs.get(name)
        if run is not None and not self._is_stopped:
            self._spawn(self._advance(run))

    async def _advance(self, run: OpenRun) -> None:
        async with run.lock:
            for append in decide.overdue(run.state, datetime.now(UTC)):
                if not await self.runs.store(run, append):
                    break
            await self.runs.advance(run)

    # --- what the pools tell ---------------------------------------------------------------------

    def agent_gone(self, agent: str) -> None:
        """Dispatch again at once what a dead agent held, and in a moment what it had not claimed yet."""
        self._revocations.forget(agent)
        self._deaths.agent_gone(agent)

    def gateway_gone(self, gateway: str) -> None:
        """Dispatch again what a dead gateway served; the next lease names another."""
        self._deaths.gateway_gone(gateway)

    def holders(self) -> set[str]:
        """Names of the agents and gateways that hold or serve a step."""
        leases = [step.lease for run in self.runs for step in run.state.steps.values() if step.status == "leased"]
        return {name for lease in leases if lease is not None for name in (lease.agent, lease.gateway)}

    # --- housekeeping ----------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: asyncio.Future[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_bug(error)
