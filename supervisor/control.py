"""What operators ask: cancel a run, decide a review, scale a role, send a dead letter again, show the state."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from remit.bus import subject
from remit.contracts.control import (
    AskPlan,
    AskStatus,
    CancelRun,
    ControlDone,
    DecideReview,
    EndTeam,
    ForkRun,
    PauseRun,
    RedriveDead,
    ReleaseRole,
    ResumeRun,
    RetryStep,
    RoleStatus,
    RollbackRun,
    RollbackState,
    ScaleRole,
    TeamStatus,
)
from remit.contracts.document import TEAM_SCOPE
from remit.contracts.errors import ConflictError, NotFoundError, RemitError, UsageError
from remit.contracts.ids import is_run
from remit.contracts.message import decode_any
from remit.contracts.review import ReviewDecided
from remit.contracts.step import Refused
from remit.supervisor import decide
from remit.supervisor.dispatch import Append
from remit.supervisor.steering import Steer, Steering

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Protocol

    from remit.bus.dead_letter import DeadLetters
    from remit.contracts.team import RoleSpec, TeamSpec
    from remit.supervisor.dispute import Disputes
    from remit.supervisor.open_run import OpenRun
    from remit.supervisor.overwrite import Overwrites
    from remit.supervisor.run_state import ReviewState
    from remit.supervisor.runs import Runs

    class Pools(Protocol):
        """What the pools tell an operator, and what they are told."""

        def scale(self, role: str, hosts: int) -> None:
            """Wish for a number of hosts of a role."""

        def report(self, role: str) -> PoolReport:
            """Say what is there of a role."""

        def gateways(self) -> tuple[str, ...]:
            """Names of the gateways that serve calls now."""

        def end(self, drain_s: float) -> None:
            """Wish for the end of the deployment."""


Wish = CancelRun | ScaleRole | EndTeam | DecideReview | RedriveDead | RollbackState | AskStatus | AskPlan | Steer
WISHES: dict[str, type[Wish]] = {
    "cancel": CancelRun,
    "pause": PauseRun,
    "resume": ResumeRun,
    "retry": RetryStep,
    "rollback_run": RollbackRun,
    "fork": ForkRun,
    "scale": ScaleRole,
    "down": EndTeam,
    "decide": DecideReview,
    "redrive": RedriveDead,
    "rollback": RollbackState,
    "status": AskStatus,
    "plan": AskPlan,
}
POOL_KEY = "pool."


class PoolReport(msgspec.Struct, frozen=True, kw_only=True):
    """Hosts of a role as their heartbeats tell."""

    desired: int
    ready: int
    busy: int
    slots: int
    pending_reason: str = ""


class Control:
    """Answers operators. A wish is journaled before it is answered."""

    def __init__(
        self,
        team: TeamSpec,
        *,
        runs: Runs,
        overwrites: Overwrites,
        disputes: Disputes,
        steering: Steering,
        pools: Pools,
        dead: DeadLetters,
        redelivered: Callable[[str], Awaitable[int]],
    ) -> None:
        self._team = team
        self._runs = runs
        self._overwrites = overwrites
        self._disputes = disputes
        self._steering = steering
        self._pools = pools
        self._dead = dead
        self._redelivered = redelivered
        self._started_at = datetime.now(UTC)

    async def answer(self, verb: str, operator: str, body: bytes) -> msgspec.Struct:
        """Do what an operator wishes, or refuse it with a code."""
        try:
            if verb not in WISHES:
                raise UsageError(f"no verb {verb!r}", expected=", ".join(sorted(WISHES)), got=verb)
            return await self._do(decode_any(WISHES[verb], body), operator)
        except RemitError as error:
            return Refused(error=error.fault())

    async def _do(self, wish: Wish, operator: str) -> msgspec.Struct:
        match wish:
            case CancelRun():
                return await self._cancel(wish, operator)
            case ScaleRole():
                return await self._scale(wish, operator)
            case EndTeam():
                self._pools.end(max(0.0, wish.drain_s))
                return ControlDone(detail=f"ending; {len(self._runs)} open runs stay in the journal")
            case DecideReview():
                return await self._decide(wish, operator)
            case RedriveDead():
                seq = await self._dead.redrive(wish.seq)
                return ControlDone(detail=f"published again as run r{seq}")
            case RollbackState():
                return await self._rollback(wish, operator)
            case AskStatus():
                return await self._status()
            case AskPlan():
                return await self._steering.plan(wish.run_id)
            case _:
                return await self._steering.do(wish, operator)

    async def _cancel(self, wish: CancelRun, operator: str) -> ControlDone:
        run = self._steering.find(wish.run_id)
        async with run.lock:
            while run.state.finished is None:
                append = decide.cancel(run.state, by=operator, reason=wish.reason, now=datetime.now(UTC))
                await self._runs.store(run, append)
            await self._runs.advance(run)
        return ControlDone(detail=f"{wish.run_id} is {run.state.finished.outcome}")

    async def _scale(self, wish: ScaleRole, operator: str) -> ControlDone:
        role = self._team.role(wish.role)
        _check_hosts(role, wish.hosts)
        key = POOL_KEY + role.name
        await self._overwrites.overwrite(
            TEAM_SCOPE, {key: wish.hosts}, by=operator, rule="set", position=secrets.token_hex(8)
        )
        self._pools.scale(role.name, wish.hosts)
        return ControlDone(detail=f"{role.name} wants {wish.hosts} hosts")

    async def _rollback(self, wish: RollbackState, operator: str) -> ControlDone:
        if wish.key.startswith(POOL_KEY):
            raise UsageError("a wish for hosts is changed by scaling", where=wish.key, fix="remit role scale")
        if is_run(wish.scope) and self._runs.get(wish.scope) is None:
            raise NotFoundError(f"run {wish.scope} is not open: its state stays as it ended", got=wish.scope)
        made = await self._overwrites.rollback(wish, by=wish.by or operator, position=secrets.token_hex(8))
        return ControlDone(detail=f"{made.key} is at version {made.version}, as it was at version {wish.version}")

    async def _decide(self, wish: DecideReview, operator: str) -> ControlDone:
        run = self._steering.find(wish.review_id.rsplit("-", 1)[0])
        async with run.lock:
            while True:
                self._steering.find(run.state.run_id)  # it may be over by now, or have been taken back
                review = run.state.reviews.get(wish.review_id)
                if review is None:
                    raise NotFoundError(f"no review {wish.review_id}", got=wish.review_id, fix="remit review list")
                _check_decision(review, wish)
                self._disputes.check(review, wish)
                if await self._runs.store(run, _decided(run, review, wish, by=wish.by or operator)):
                    break
            await self._runs.advance(run)
        return ControlDone(detail=f"{wish.review_id} is {wish.decision}")

    async def _status(self) -> TeamStatus:
        roles = tuple([await self._role(name) for name in sorted(self._team.roles)])
        parked = sum(_is_parked(run) for run in self._runs)
        return TeamStatus(
            team=self._team.name,
            build=self._team.build,
            charter=self._team.charter_digest,
            roles=roles,
            gateways=self._pools.gateways(),
            open_runs=len(self._runs),
            parked_runs=parked,
            started_at=self._started_at.isoformat(),
        )

    async def _role(self, role: str) -> RoleStatus:
        report = self._pools.report(role)
        waiting = [
            step.since
            for run in self._runs
            for step in run.state.steps.values()
            if step.status == "dispatched" and step.work.role == role
        ]
        oldest = (datetime.now(UTC) - min(waiting)).total_seconds() if waiting else 0.0
        return RoleStatus(
            role=role,
            desired=report.desired,
            ready=report.ready,
            busy=report.busy,
            slots=report.slots,
            backlog=len(waiting),
            oldest_wait_s=round(max(oldest, 0.0), 1),
            redelivered=await self._redelivered(role),
            pending_reason=report.pending_reason,
        )


def _is_parked(run: OpenRun) -> bool:
    return any(review.decided is None for review in run.state.reviews.values())


def _check_hosts(role: RoleSpec, hosts: int) -> None:
    if not 0 <= hosts <= role.pool_max:
        raise UsageError(
            f"role {role.name} cannot have {hosts} hosts", expected=f"0 to {role.pool_max}", got=str(hosts)
        )


def _check_decision(review: ReviewState, wish: DecideReview) -> None:
    if review.decided is not None:
        raise ConflictError(
            f"{wish.review_id} is {review.decided.decision} already, by {review.decided.by}",
            fix=f"remit review show {wish.review_id}",
        )
    if wish.subject != review.opened.subject:
        raise ConflictError(
            "the decision names something else than what is to be decided",
            where=wish.review_id,
            expected=review.opened.subject,
            got=wish.subject,
            fix=f"remit review show {wish.review_id}",
        )
    if wish.resolution and review.opened.kind != "in_doubt":
        raise UsageError("only a call in doubt takes a resolution", where=wish.review_id, got=wish.resolution)


def _decided(run: OpenRun, review: ReviewState, wish: DecideReview, *, by: str) -> Append:
    entry = ReviewDecided(
        review_id=wish.review_id,
        run_id=run.state.run_id,
        decision=wish.decision,
        subject=review.opened.subject,
        by=by,
        reason=wish.reason,
        resolution=wish.resolution,
        value=wish.value,
        decided_at=datetime.now(UTC),
    )
    return Append(subject.decision(run.state.run_id, run.state.number + 1, "review_decided"), entry)
