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
from remit.contracts.errors import ConflictError, NotFoundError, RemitError, UsageError
from remit.contracts.ids import is_run
from remit.contracts.message import decode_any
from remit.contracts.review import ReviewDecided
from remit.contracts.step import Refused
from remit.supervisor import decide
from remit.supervisor.dispatch import Append
from remit.supervisor.steering import Steer, Steering
from remit.supervisor.wishes import POOL_KEY

if TYPE_CHECKING:
    from remit.bus.dead_letter import DeadLetters
    from remit.contracts.team import TeamSpec
    from remit.supervisor.dispute import Disputes
    from remit.supervisor.intake import Intake
    from remit.supervisor.open_run import OpenRun
    from remit.supervisor.overwrite import Overwrites
    from remit.supervisor.run_state import ReviewState
    from remit.supervisor.runs import Runs
    from remit.supervisor.scaler import Scaler


Wish = (
    CancelRun
    | ScaleRole
    | ReleaseRole
    | EndTeam
    | DecideReview
    | RedriveDead
    | RollbackState
    | AskStatus
    | AskPlan
    | Steer
)
WISHES: dict[str, type[Wish]] = {
    "cancel": CancelRun,
    "pause": PauseRun,
    "resume": ResumeRun,
    "retry": RetryStep,
    "rollback_run": RollbackRun,
    "fork": ForkRun,
    "scale": ScaleRole,
    "release": ReleaseRole,
    "down": EndTeam,
    "decide": DecideReview,
    "redrive": RedriveDead,
    "rollback": RollbackState,
    "status": AskStatus,
    "plan": AskPlan,
}


class PoolReport(msgspec.Struct, frozen=True, kw_only=True):
    """Hosts of a role as their heartbeats tell."""

    desired: int
    ready: int
    busy: int
    slots: int
    pending_reason: str = ""
    quarantined: int = 0
    alarm: str = ""


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
        scaler: Scaler,
        intake: Intake,
        dead: DeadLetters,
    ) -> None:
        self._team = team
        self._runs = runs
        self._overwrites = overwrites
        self._disputes = disputes
        self._steering = steering
        self._scaler = scaler
        self._intake = intake
        self._dead = dead
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
                return ControlDone(detail=await self._scaler.wish(wish, by=operator))
            case ReleaseRole():
                return await self._release(wish, operator)
            case EndTeam():
                self._scaler.pools.end(max(0.0, wish.drain_s))
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

    async def _release(self, wish: ReleaseRole, operator: str) -> ControlDone:
        role = self._team.role(wish.role).name
        count = self._scaler.pools.release(role)
        if not count:
            raise ConflictError(f"no host of {role} is quarantined", got=role, fix="remit role list")
        hosts = "1 host" if count == 1 else f"{count} hosts"
        await self._scaler.note(role, by=operator, reason=f"{operator} released {hosts} from quarantine")
        return ControlDone(detail=f"{hosts} of {role} start again")

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
            gateways=self._scaler.pools.gateways(),
            open_runs=len(self._runs),
            parked_runs=parked,
            started_at=self._started_at.isoformat(),
            running=len(self._runs.activity),
            waiting_tasks=self._intake.waiting,
            alarms=tuple(role.alarm for role in roles if role.alarm),
            weaker=self._team.weaker,
        )

    async def _role(self, role: str) -> RoleStatus:
        report, sizing = self._scaler.pools.report(role), self._team.roles[role].sizing
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
            redelivered=await self._scaler.redelivered(role),
            pending_reason=report.pending_reason,
            mode=self._scaler.mode(role),
            why=self._scaler.why(role),
            least=sizing.min if sizing.is_scaled else 0,
            most=self._team.roles[role].pool_max,
            quarantined=report.quarantined,
            alarm=report.alarm,
        )


def _is_parked(run: OpenRun) -> bool:
    return any(review.decided is None for review in run.state.reviews.values())


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
