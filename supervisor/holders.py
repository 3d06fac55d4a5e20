"""What agents ask for: leases, other roles, decisions of people, and shared state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zlib import crc32

from remit.bus import subject
from remit.contracts.errors import (
    Fault,
    GrantDeniedError,
    LimitReachedError,
    MalformedMessageError,
    RefusedError,
    RemitError,
)
from remit.contracts.ids import child_step, intent_key, is_position, largest_in, role_of
from remit.contracts.lease import DataScope, Grant, Lease, Resolution
from remit.contracts.message import decode
from remit.contracts.step import (
    AskAnswered,
    AskRole,
    ClaimRefused,
    ClaimStep,
    Parked,
    Refused,
    StepLeased,
    StepParked,
    Superseded,
)
from remit.supervisor import dispatch
from remit.supervisor.asking import check_circle, check_limits
from remit.supervisor.change import Contested, request_of
from remit.supervisor.dispatch import Append
from remit.supervisor.plan import field_at
from remit.supervisor.reader import Reader
from remit.supervisor.records import StepRecords, answered_asks, is_answered
from remit.supervisor.review import open_review, shown_truly
from remit.supervisor.run_view import review_at
from remit.supervisor.runs import answer_of
from remit.supervisor.waits import NOT_HELD, Waits, holding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from remit.bus.journal import Journal
    from remit.contracts.proposal import ProposeState, ReadState, StateDecided, StateRead
    from remit.contracts.review import RequestReview, ReviewOutcome
    from remit.contracts.team import TeamSpec
    from remit.supervisor.arbiter import Arbiter
    from remit.supervisor.dispute import Disputes
    from remit.supervisor.open_run import OpenRun
    from remit.supervisor.reader import Place
    from remit.supervisor.run_state import RunState, StepState, StepStatus
    from remit.supervisor.runs import Runs

    class Gateways(Protocol):
        """Who knows which gateways live."""

        def gateways(self, build: str = "") -> Sequence[str]:
            """Names of the gateways that serve calls now: the deployment's own, or those of an older build."""

        def knows(self, agent: str) -> bool:
            """Say whether an agent lives, as far as is known."""


class Holders:
    """Answers the requests of agents; every answer follows from the journal."""

    def __init__(
        self,
        journal: Journal,
        team: TeamSpec,
        *,
        runs: Runs,
        arbiter: Arbiter,
        disputes: Disputes,
        pools: Gateways,
    ) -> None:
        self._journal = journal
        self._team = team
        self._runs = runs
        self._arbiter = arbiter
        self._reader = Reader(arbiter)
        self._disputes = disputes
        self._pools = pools
        self._waits = Waits(runs)

    async def claim(self, agent: str, claim: ClaimStep) -> StepLeased | ClaimRefused | None:
        """The agent holds the step, or hears why not; None while no gateway could serve it."""
        run = await self._runs.locate(claim.run_id)
        if run is None:
            return ClaimRefused(reason="finished")
        async with run.lock:
            await self._runs.catch_up(run, claim.step, claim.epoch)
            if not self._pools.knows(agent):
                return None  # it died while its claim was on the way: nobody would ever end this lease
            refusal = self._check_claim(run, agent, claim)
            if refusal is not None:
                return refusal
            step = run.state.steps[claim.step]
            is_new = step.status == "dispatched"
            records = await self._records(run.state, step, is_first=is_new and claim.epoch == 1)
            if is_new:
                if not await self._lease(run, step, agent, retries=records.retries()):
                    return None
                # Whoever held the step before could record until this lease was journaled, and that counts.
                records = await self._records(run.state, step, is_first=claim.epoch == 1)
            step = run.state.steps[claim.step]
            if step.lease is None:
                return None
            adopted = run.state.adopted.get(claim.step)
            before = adopted.recorded if adopted is not None else ()
            recorded = before + answered_asks(run.state.team, run.state, claim.step) + records.recorded()
            return StepLeased(lease=step.lease, lease_seq=step.lease_seq, recorded=recorded)

    async def _records(self, run: RunState, step: StepState, *, is_first: bool) -> StepRecords:
        records = StepRecords(is_retried=step.work.attempt > 1)
        if not is_first:
            await records.read(self._journal, run, step.work.step)
        return records

    def _check_claim(self, run: OpenRun, agent: str, claim: ClaimStep) -> ClaimRefused | None:
        if run.state.finished is not None:  # it ended while the claim waited for the run
            return ClaimRefused(reason="finished")
        step = run.state.steps.get(claim.step)
        if step is None or role_of(agent) != step.work.role or claim.epoch > step.work.epoch:
            return ClaimRefused(reason="unknown")
        if claim.epoch < step.work.epoch or step.status in {"parked", "decided"}:
            return ClaimRefused(reason="superseded")
        if not step.is_held:
            return ClaimRefused(reason="finished")
        if step.status == "leased" and step.lease is not None and step.lease.agent != agent:
            return ClaimRefused(reason="held")
        return None

    async def _lease(self, run: OpenRun, step: StepState, agent: str, *, retries: tuple[Resolution, ...]) -> bool:
        gateway, gone = self._gateway(run.state.team, step)
        if not gateway:
            return False
        now = datetime.now(UTC)
        work = step.work
        lease = Lease(
            run_id=work.run_id,
            step=work.step,
            epoch=work.epoch,
            role=work.role,
            agent=agent,
            gateway=gateway,
            gateways_gone=gone,
            until_at=min(now + timedelta(seconds=work.limit_s), work.deadline_at),
            grant=self._grant(run.state, step, retries),
        )
        return await self._runs.lease(run, lease)

    def _gateway(self, team: TeamSpec, step: StepState) -> tuple[str, tuple[str, ...]]:
        build = team.build if team.is_older else ""
        live = self._pools.gateways(build)
        if not live:
            return "", ()
        before = step.lease
        if before is not None and before.gateway in live:
            return before.gateway, before.gateways_gone
        gone = (*before.gateways_gone, before.gateway) if before is not None else ()
        return live[crc32(step.work.run_id.encode()) % len(live)], gone

    def _grant(self, run: RunState, step: StepState, retries: tuple[Resolution, ...]) -> Grant:
        charter = run.team.charter
        role = charter.roles[step.work.role]
        data = [DataScope(name=name, value=self._source(run, name)) for name in role.data_sources]
        return Grant(
            tools=role.tools,
            asks=role.asks,
            data=tuple(data),
            approvals=step.approvals,
            resolutions=step.resolutions + retries,
            keys=adopted.open_calls if (adopted := run.adopted.get(step.work.step)) is not None else (),
            operations=role.limits.operations,
            repeats=role.limits.repeats,
            tokens=role.limits.tokens or 0,
            cost=role.limits.cost or 0.0,
        )

    def _source(self, run: RunState, name: str) -> str:
        source = run.team.charter.data_sources[name]
        if not source.from_input:
            return source.value
        value = field_at(run.input(), source.from_input)
        return value if isinstance(value, str) else ""

    async def ask(
        self, agent: str, role: str, ask: AskRole, *, reply: str
    ) -> AskAnswered | Parked | Refused | Superseded | None:
        """The child step is journaled; answered at once if it ended, else when it ends (None now).

        An asker that has waited for a while and has nothing else to do is parked.
        """
        run = self._holding(agent, ask.run_id, step=ask.step, epoch=ask.epoch)
        if run is None:
            return NOT_HELD
        async with run.lock:
            name = child_step(ask.step, ask.position)
            while (child := run.state.steps.get(name)) is None or child.status == "reset":
                if self._holding(agent, ask.run_id, step=ask.step, epoch=ask.epoch) is None:
                    return NOT_HELD  # lost while the lock or the journal was awaited
                refusal = self._check_ask(run.state, role, ask)
                if refusal is not None:
                    return Refused(error=refusal)
                await self._runs.store(run, self._child(run.state, role, ask, name=name))
            if is_answered(run.state.team, child):
                return answer_of(child)
            if await self._waits.park_asker(run, ask):
                return Parked()
            run.askers[name] = reply
            return None

    def _check_ask(self, run: RunState, role: str, ask: AskRole) -> Fault | None:
        asker = run.steps[ask.step].work.role
        try:
            if role not in run.team.charter.roles[asker].asks or role not in run.team.roles:
                raise GrantDeniedError(
                    f"role {asker} may not ask {role}",
                    where=f"charter.yaml: roles.{asker}.asks",
                    expected=", ".join(run.team.charter.roles[asker].asks) or "no role",
                    got=role,
                )
            check_limits(run, ask.step)
            _check_position(ask.position, _operations(run, ask.step))
            decode(object, ask.body)
            decode(run.team.roles[role].takes, ask.body)
            check_circle(run, ask.step, role, body=ask.body)
        except RemitError as error:
            return error.fault()
        return None

    def _child(self, run: RunState, role: str, ask: AskRole, *, name: str) -> Append:
        parent = run.steps[ask.step]
        return dispatch.child(run.team, run, parent=parent, step=name, role=role, body=ask.body, position=ask.position)

    def _holding(
        self, agent: str, run_id: str, *, step: str, epoch: int, status: Sequence[StepStatus] = ("leased",)
    ) -> OpenRun | None:
        return holding(self._runs, agent, run_id, step=step, epoch=epoch, status=status)

    def _asking(self, agent: str, request: RequestReview) -> OpenRun | None:
        """The branches of a gather may each ask a person, and the first of them parks the step."""
        step, epoch = request.step, request.epoch
        return self._holding(agent, request.run_id, step=step, epoch=epoch, status=("leased", "parked"))

    async def review(self, agent: str, request: RequestReview) -> ReviewOutcome | Parked | Refused | Superseded:
        """The decision, if a person made it; else the review is open and the step parked."""
        run = self._asking(agent, request)
        if run is None:
            return NOT_HELD
        async with run.lock:
            while review_at(run.state, request.step, request.position, is_doubt=False) is None:
                if self._asking(agent, request) is None:
                    return NOT_HELD  # lost while the lock or the journal was awaited
                try:
                    _check_position(request.position, _operations(run.state, request.step))
                    shown = shown_truly(request)
                except RemitError as error:
                    return Refused(error=error.fault())
                if await self._runs.store(run, open_review(run.state, shown, datetime.now(UTC))):
                    await self._runs.advance(run)  # it waits from now on, and nobody looks at it meanwhile
            return await self._waits.for_person(run, request)

    async def read(self, agent: str, request: ReadState) -> StateRead | Parked | Refused | Superseded:
        """The state at this point in time; whoever looks at what is disputed is parked until that is over."""
        run = self._holding(agent, request.run_id, step=request.step, epoch=request.epoch)
        if run is None:
            return NOT_HELD
        try:
            places = self._reader.places(request, run.state.started.workflow)
            if waits := self._disputes_before(run, request, places):
                return await self._park(run, agent, request, waits=waits)
            return await self._reader.read(request, places)
        except RefusedError as error:
            return Refused(error=error.fault())

    def _disputes_before(self, run: OpenRun, request: ReadState, places: list[Place]) -> tuple[str, ...]:
        """An arbitrating step reads what stands: two that waited for each other would wait for ever."""
        if run.state.steps[request.step].work.conflict:
            return ()
        return tuple(sorted(self._reader.disputes(request, places)))

    async def _park(
        self, run: OpenRun, agent: str, request: ReadState, *, waits: tuple[str, ...]
    ) -> Parked | Superseded:
        async with run.lock:
            while True:
                if self._holding(agent, request.run_id, step=request.step, epoch=request.epoch) is None:
                    return NOT_HELD if request.step not in run.state.waiting else Parked(review_id=waits[0])
                entry = StepParked(run_id=request.run_id, step=request.step, epoch=request.epoch, disputes=waits)
                name = subject.decision(request.run_id, run.state.number + 1, "parked")
                if await self._runs.store(run, Append(name, entry)):
                    await self._runs.advance(run)  # they may be over by now
                    return Parked(review_id=waits[0])

    async def propose(self, agent: str, proposal: ProposeState) -> StateDecided | Refused | Superseded:
        """The proposal is committed, merged, rejected or refused; or it is contested, and waits."""
        run = self._holding(agent, proposal.run_id, step=proposal.step, epoch=proposal.epoch)
        if run is None:
            return NOT_HELD
        dispute = intent_key(proposal.run_id, proposal.step, proposal.position)

        def still() -> bool:
            return self._holding(agent, proposal.run_id, step=proposal.step, epoch=proposal.epoch) is run

        try:
            if (waiting := self._disputes.waiting(dispute, request_of(proposal))) is not None:
                return waiting
            answer = await self._arbiter.propose(
                proposal,
                agent=agent,
                workflow=run.state.started.workflow,
                still=still,
            )
            if isinstance(answer, Contested):
                return await self._disputes.begin(run, answer, still=still) or NOT_HELD
        except RefusedError as error:
            return Refused(error=error.fault())
        if isinstance(answer, Fault):
            return Refused(error=answer)
        return answer or NOT_HELD


def _check_position(position: str, most: int) -> None:
    if not is_position(position):
        raise MalformedMessageError(
            "this is no position", where="$.position", expected="0-1-2", got=repr(position)[:40]
        )
    if largest_in(position) >= most:
        raise LimitReachedError(
            "the step has made as many operations as it may",
            where="$.position",
            expected=f"at most {most}",
            got=position,
            fix="raise limits.operations of the role in charter.yaml, if this is meant",
        )


def _operations(run: RunState, step: str) -> int:
    return run.team.charter.roles[run.steps[step].work.role].limits.operations
