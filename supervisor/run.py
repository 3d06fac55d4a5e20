"""One run as its journal tells it: the fold that live work and replay share.

Agents write the end of a step by themselves, so it may stand in the journal before a decision that was made without
having heard of it: a lease for another agent, a time-out, the next dispatch. Live, such an end comes too late to count.
So on replay it is taken back by the decision behind it: what the supervisor journals outweighs what it had not heard.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

from remit.contracts.ids import intent_key, node_of, role_of
from remit.contracts.lease import Approval, Lease, LeaseRevoked, Resolution
from remit.contracts.plan import PlanAccepted, ProposedPlan
from remit.contracts.review import ReviewDecided, ReviewOpened
from remit.contracts.step import RunStep, StepChecked, StepCompleted, StepFailed, StepParked, StepTimedOut
from remit.contracts.task import RunFinished, RunStarted
from remit.supervisor import turn
from remit.supervisor.run_state import Dropped, NodeState, ReviewState, RunState, StepState
from remit.supervisor.run_view import is_waiting, items_of
from remit.supervisor.step_end import discard, fail, in_plan, park, take_back

if TYPE_CHECKING:
    from datetime import datetime

    from remit.contracts.team import TeamSpec

LaneEntry = (
    RunStarted
    | PlanAccepted
    | RunStep
    | ReviewOpened
    | ReviewDecided
    | StepTimedOut
    | StepParked
    | StepChecked
    | turn.Turn
    | RunFinished
)
StepEntry = StepCompleted | StepFailed


def new_run(started: RunStarted, team: TeamSpec) -> RunState:
    """Give the state of a run of which only the start is known; it has a plan of its own, or the team has one."""
    plan, served = started.plan or team.workflows[started.workflow], team.of(started.build)
    nodes = {node.name: NodeState(node) for node in plan.nodes}
    return RunState(
        started.run_id,
        started,
        nodes,
        plan.window,
        newest=team,
        team=served,
        undecided=len(nodes),
        wants_fresh=any(node.fresh != "ignore" for node in plan.nodes),
        rules=plan.rollbacks,
        planners=frozenset(name for name, role in served.roles.items() if role.gives is ProposedPlan),
        ends_at=started.started_at + timedelta(seconds=started.limits.wall_clock_s),
        is_forking=started.fork is not None,
    )


def evolve(run: RunState, seq: int, entry: LaneEntry, *, at: datetime) -> None:
    """Apply one entry of the supervisor's lane, stored at `seq` at the time `at`."""
    run.lane_seq = seq
    run.first_seq = run.first_seq or seq
    if not isinstance(entry, RunStep):
        run.number += 1
    match entry:
        case RunStarted():
            pass
        case PlanAccepted():
            _on_planned(run, entry)
        case RunStep():
            _on_dispatched(run, entry, seq=seq, at=at)
        case RunFinished():
            run.finished = entry
        case StepTimedOut() | StepParked() | StepChecked() | ReviewOpened() | ReviewDecided():
            _on_held_up(run, entry, at)
        case _:
            turn.on_turn(run, seq, entry, at=at)


def _on_held_up(
    run: RunState, entry: StepTimedOut | StepParked | StepChecked | ReviewOpened | ReviewDecided, at: datetime
) -> None:
    match entry:
        case StepTimedOut():
            _on_timed_out(run, entry, at)
        case StepParked():
            _on_parked(run, entry)
        case StepChecked():
            _on_outdated(run, entry, at)
        case ReviewOpened():
            _on_opened(run, entry)
        case ReviewDecided():
            _on_decided(run, entry)
        case _:
            assert_never(entry)


def fits(run: RunState, entry: LaneEntry) -> bool:
    """Say whether the plan has the nodes that a decision names; a run that began under another plan names others."""
    match entry:
        case PlanAccepted():
            known = {*run.nodes, *(node.name for node in entry.added)}
            return all(planned.node in known for planned in entry.nodes)
        case RunStep():
            return entry.parent is not None or node_of(entry.step) in run.nodes
        case _:
            return True


def _on_planned(run: RunState, entry: PlanAccepted) -> None:
    run.plan_version = entry.version
    for name in entry.dropped:
        node = run.nodes.pop(name)
        run.undecided -= not node.decided
        run.dropped[name] = Dropped(node.spec, node.added_by, entry.proposed_by)
    for spec in entry.added:
        run.nodes[spec.name] = NodeState(spec, added_by=entry.proposed_by)
        run.undecided += 1
        run.wants_fresh |= spec.fresh != "ignore"
    discard(run.proposals, entry.proposed_by)
    for planned in entry.nodes:
        node = run.nodes[planned.node]
        node.decided, node.width, node.fanned, node.skipped = True, planned.width, planned.fanned, planned.skipped
        run.undecided -= 1
        if planned.skipped:
            node.width = 0
            continue
        node.open = planned.width
        node.undispatched.extend(range(planned.width))
        if planned.fanned:
            node.items = items_of(run, node.spec)


def _on_dispatched(run: RunState, work: RunStep, *, seq: int, at: datetime) -> None:
    known = run.steps.get(work.step)
    if work.start is not None:
        _decide_alone(run, work.step)
    if known is None:
        run.steps[work.step] = StepState(work, at, seq, order=run.dispatched)
        if work.conflict:
            run.conflict_steps.setdefault(work.conflict, []).append(work.step)
    else:
        if known.status == "completed":
            take_back(run, known)
        run.steps[work.step] = StepState(
            work,
            at,
            seq,
            lease=known.lease,
            lease_seq=known.lease_seq,
            revoked=known.revoked,
            approvals=known.approvals,
            resolutions=known.resolutions,
            order=run.dispatched if known.status == "reset" else known.order,
        )
        turn.forget_waits(run, work.step)
    if in_plan(work):
        _forget_undispatched(run.nodes[node_of(work.step)], work.step)
    if known is None or not known.is_held:
        run.in_flight += 1
    run.dispatched += 1
    node = node_of(work.step)
    run.spent[node] = run.spent.get(node, 0) + 1


def _decide_alone(run: RunState, step: str) -> None:
    node = run.nodes[step]
    node.decided, node.width, node.open = True, 1, 1
    run.undecided -= 1


def _forget_undispatched(node: NodeState, step: str) -> None:
    index = int(step.rsplit("-", 1)[1]) if node.fanned else 0
    discard(node.undispatched, index)


def on_leased(run: RunState, seq: int, lease: Lease) -> bool:
    """Apply a lease; False if it does not count: another epoch, or the step is not to be held."""
    step = run.steps.get(lease.step)
    if step is None or step.work.epoch != lease.epoch:
        return False
    if step.status in {"completed", "failed"}:
        if step.settled_by == lease.agent:  # it claimed, and was done before the answer came
            step.lease, step.lease_seq = lease, seq
            return False
        take_back(run, step)
    if step.status != "dispatched":
        return False
    step.status, step.lease, step.lease_seq = "leased", lease, seq
    return True


def on_revoked(run: RunState, notice: LeaseRevoked) -> None:
    """Apply the revocation of a lease. What becomes of the step is a decision of its own."""
    step = run.steps.get(notice.step)
    if step is not None:
        step.revoked = max(step.revoked, notice.epoch)


def on_settled(run: RunState, author: str, subject: str, *, entry: StepEntry, at: datetime) -> bool:
    """Apply a completion or failure; False if its author did not hold the step in that epoch."""
    step = run.steps.get(entry.step)
    if step is None or not counts(step, author, entry.epoch):
        return False
    match entry:
        case StepCompleted():
            _on_completed(run, step, entry, subject=subject)
        case StepFailed():
            fail(run, entry.step, entry.error, retryable=entry.retryable, at=at)
        case _:
            assert_never(entry)
    step.settled_by = author
    return True


def counts(step: StepState, author: str, epoch: int) -> bool:
    """Say whether what this author says of this epoch counts.

    The holder's word counts. Before any lease of the epoch, the first word of an agent of the role does.
    """
    if not step.is_held or step.work.epoch != epoch:
        return False
    if step.status == "leased":
        return step.lease is not None and step.lease.agent == author
    return role_of(author) == step.work.role


def _on_completed(run: RunState, step: StepState, entry: StepCompleted, *, subject: str) -> None:
    step.status, step.reply, step.completed_by = "completed", entry.reply, subject
    run.in_flight -= 1
    if in_plan(step.work):
        run.nodes[node_of(step.work.step)].open -= 1
        if step.work.role in run.planners:
            run.proposals.append(step.work.step)


def _on_timed_out(run: RunState, entry: StepTimedOut, at: datetime) -> None:
    step = run.steps[entry.step]
    if step.work.epoch != entry.epoch:
        return
    if step.status in {"completed", "failed"}:
        take_back(run, step)
    elif not step.is_held:  # it was parked
        run.in_flight += 1
        turn.forget_waits(run, entry.step)
    fail(run, entry.step, entry.error, retryable=entry.retryable, at=at)


def _on_outdated(run: RunState, entry: StepChecked, at: datetime) -> None:
    step = run.steps[entry.step]
    if step.work.epoch != entry.epoch or step.status != "completed":
        return
    if entry.error is None:
        step.is_accepted = True
        return
    take_back(run, step)
    fail(run, entry.step, entry.error, retryable=entry.retryable, at=at)
    step.outdated = entry.reads


def _on_parked(run: RunState, entry: StepParked) -> None:
    step = run.steps[entry.step]
    if step.work.epoch != entry.epoch:
        return
    if step.status in {"completed", "failed"}:
        take_back(run, step)
    if park(run, step):
        if entry.disputes:
            run.waiting[entry.step] = entry.disputes
        if entry.steps:
            run.awaiting[entry.step] = entry.steps
    if entry.until_at is not None and step.status == "parked":
        run.sleeping[entry.step] = min(entry.until_at, run.sleeping.get(entry.step, entry.until_at))


def _on_opened(run: RunState, entry: ReviewOpened) -> None:
    run.reviews[entry.review_id] = ReviewState(entry)
    if entry.kind == "conflict":
        dispute = intent_key(entry.run_id, entry.step, entry.position)
        run.conflict_reviews.setdefault(dispute, []).append(entry.review_id)
    step = run.steps[entry.step]
    if step.work.epoch != entry.epoch:
        return
    if step.status in {"completed", "failed"}:
        take_back(run, step)
    park(run, step)


def _on_decided(run: RunState, entry: ReviewDecided) -> None:
    review = run.reviews[entry.review_id]
    review.decided = entry
    opened = review.opened
    if opened.kind == "conflict":
        return  # nobody waits for it but the arbiter, and who reads what is disputed
    step = run.steps[opened.step]
    if opened.kind == "action" and entry.decision == "approved":
        step.approvals += (
            Approval(review_id=entry.review_id, position=opened.position, action=opened.subject, by=entry.by),
        )
    if opened.kind == "in_doubt":
        decision = (entry.resolution or "again") if entry.decision == "approved" else "skip"
        step.resolutions += (Resolution(position=opened.position, decision=decision, value=entry.value),)
    if step.status == "parked" and not is_waiting(run, opened.step):
        turn.reopen(run, step)
