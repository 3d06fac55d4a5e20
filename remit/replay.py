"""A run derived again from its journal, with no call made: the supervisor's decisions, and every handler's.

The fold of the journal must give the state whose digest the supervisor wrote when the run ended. And every handler,
given what was recorded for it, must ask for the same operations at the same positions and reply the same: then the
code at hand makes the decisions that were made, and may go on with the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NoReturn

import msgspec

from remit.agents.fault import fault_of, leaf_of, raise_fault
from remit.agents.handler import Handler
from remit.agents.port import ParkedSignal
from remit.agents.replay import Replay
from remit.bus import subject
from remit.contracts.errors import NotFoundError, ReplayMismatchError
from remit.contracts.message import Message, digest, digest_of
from remit.contracts.review import ReviewOutcome
from remit.contracts.step import Marked, Slept
from remit.contracts.tool import CallNeedsReview
from remit.supervisor.finish import state_hash
from remit.supervisor.fold import Fold
from remit.supervisor.records import StepRecords, answered_asks
from remit.supervisor.run_view import review_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remit.agents.role import AnyRole
    from remit.bus.journal import Entry, Journal
    from remit.contracts.errors import Fault
    from remit.contracts.proposal import ProposeState, ReadState, StateDecided, StateRead
    from remit.contracts.review import RequestReview
    from remit.contracts.rollback import MarkCheckpoint
    from remit.contracts.step import AskAnswered, AskRole, Recorded, SleepStep
    from remit.contracts.team import TeamSpec
    from remit.contracts.tool import CallTool, ToolAnswered
    from remit.supervisor.run_state import RunState, StepState

Verdict = Literal["same", "prefix", "different", "skipped"]
"""same: the same reply · prefix: everything recorded so far, and then something new, as a step that is under way ·
different: it decided otherwise · skipped: there is nothing to hold it against."""
_REPLAYED: Final = {"completed", "dispatched", "leased", "parked", "decided", "failed"}


class ReplayedStep(Message, frozen=True, kw_only=True, tag="replay.step.v1"):
    """What became of one step when its handler ran again from its records."""

    step: str
    role: str
    verdict: Verdict
    why: str = ""
    operations: int = 0
    """Recorded operations that it was answered from."""


class Replayed(Message, frozen=True, kw_only=True, tag="replay.run.v1"):
    """What a replay of a run found."""

    run_id: str
    entries: int
    state_hash: str
    """Digest of the state that the journal gives."""
    recorded_hash: str = ""
    """The one that the supervisor wrote when the run ended; empty while it is open."""
    steps: tuple[ReplayedStep, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether nothing was decided otherwise."""
        is_state_same = self.recorded_hash in {"", self.state_hash}
        return is_state_same and not any(step.verdict == "different" for step in self.steps)


async def replay(
    journal: Journal, team: TeamSpec, run: str, *, roles: Mapping[str, type[AnyRole]] | None = None
) -> Replayed:
    """Derive a run again; with `roles`, run the handlers of its steps again as well.

    Raises:
        NotFoundError: the journal holds no such run of this team.
        BusUnavailableError: the journal could not be read.
    """
    entries = [entry async for entry in journal.read(subject.run_all(run))]
    state = folded(team, run, entries)
    if state is None:
        raise NotFoundError(f"there is no run {run} of team {team.name}", got=run, fix="remit run list")
    finished = state.finished
    steps = [await _step(team, state, step, entries=entries, kinds=roles) for step in _replayed(state)] if roles else []
    return Replayed(
        run_id=run,
        entries=len(entries),
        state_hash=state_hash(state, finished.going if finished is not None else ()),
        recorded_hash=finished.state_hash if finished is not None else "",
        steps=tuple(steps),
    )


def folded(team: TeamSpec, run: str, entries: list[Entry]) -> RunState | None:
    """Give a run as its entries tell it, finished or not."""
    fold = Fold(team, keeps_finished=True)
    for entry in entries:
        fold.apply(entry)
    return fold.runs.get(run) or fold.ended.get(run)


def _replayed(state: RunState) -> list[StepState]:
    return [step for step in state.steps.values() if step.status in _REPLAYED and not step.work.conflict]


async def _step(
    team: TeamSpec,
    state: RunState,
    step: StepState,
    *,
    entries: list[Entry],
    kinds: Mapping[str, type[AnyRole]] | None,
) -> ReplayedStep:
    kind = (kinds or {}).get(step.work.role)
    if kind is None:
        return _said(step, "different", why=f"there is no role {step.work.role} any more")
    if step.completed_by.split(".")[2:3] not in ([], [state.run_id]):
        return _said(step, "skipped", why="its records are those of the run that this one is a fork of")
    records = StepRecords()
    for entry in entries:
        if entry.subject.startswith(f"remit.run.{state.run_id}.{step.work.step}."):
            records.apply(entry)
    adopted = state.adopted.get(step.work.step)  # what a retry took over is answered as well
    before = adopted.recorded if adopted is not None else ()
    recorded = before + answered_asks(team, state, step.work.step) + records.recorded()
    return await _handled(state, step, recorded=recorded, handler=Handler(kind, team.upcast))


async def _handled(
    state: RunState, step: StepState, *, recorded: tuple[Recorded, ...], handler: Handler
) -> ReplayedStep:
    port = RecordedPort(state, step, recorded)
    count = len(recorded)
    try:
        reply = await handler.reply(step.work, port)
    except _NothingRecorded as new:
        if step.status == "completed":
            return _said(step, "different", why=f"it asks for something new: {new}", operations=count)
        return _said(step, "prefix", operations=count)
    except ParkedSignal:
        return _said(step, "prefix", operations=count)
    except Exception as error:  # noqa: BLE001  # what a handler raises is what is to be told
        return _of_error(step, fault_of(leaf_of(error), file=handler.file), count)
    if step.status != "completed":
        # It may have replied just before its host died; or failed where it does not any more.
        return _said(step, "different" if step.status == "failed" else "prefix", why="it replies now", operations=count)
    if digest(reply) != digest(bytes(step.reply)):
        return _said(step, "different", why="it replies something else", operations=count)
    return _said(step, "same", operations=count)


def _of_error(step: StepState, fault: Fault, count: int) -> ReplayedStep:
    if step.status == "failed" and step.error is not None and step.error.code == fault.code:
        return _said(step, "same", operations=count)
    return _said(step, "different", why=f"{fault.code} {fault.message}", operations=count)


def _said(step: StepState, verdict: Verdict, *, why: str = "", operations: int = 0) -> ReplayedStep:
    return ReplayedStep(step=step.work.step, role=step.work.role, verdict=verdict, why=why, operations=operations)


class _NothingRecorded(BaseException):  # no error: unwinds a handler past `except Exception`
    """The handler came to the end of what was recorded."""


class RecordedPort:
    """A `StepPort` that knows what was recorded, and nothing else: no call is made, and nobody is asked."""

    def __init__(self, run: RunState, step: StepState, recorded: tuple[Recorded, ...]) -> None:
        self._run = run
        self._step = step
        self._replay = Replay.of(recorded, step.lease.grant) if step.lease is not None else Replay(recorded)

    @property
    def epoch(self) -> int:
        """The epoch that is replayed."""
        return self._step.work.epoch

    async def hold(self) -> Replay:
        """Give what was recorded."""
        return self._replay

    async def record(self, recorded: Recorded) -> None:
        """Nothing new is recorded."""
        self._end(recorded.kind, recorded.name)

    async def call(self, call: CallTool) -> ToolAnswered | CallNeedsReview:
        """No call is made; one that a person rejected was not made before either."""
        known = review_at(self._run, call.step, call.position, is_doubt=False)
        if known is None or known.decided is None or known.decided.decision == "approved":
            self._end("call", call.tool)
        action = digest_of({"tool": call.tool, "arguments": msgspec.json.decode(call.arguments)})
        return CallNeedsReview(action=action, summary=known.opened.title)

    async def ask(self, role: str, ask: AskRole) -> AskAnswered:
        """Nobody is asked."""
        self._end("ask", role)

    async def review(self, request: RequestReview) -> ReviewOutcome:
        """Give what was decided."""
        known = review_at(self._run, request.step, request.position, is_doubt=False)
        if known is None:
            self._end("review", request.title)
        if known.opened.subject != request.subject:
            raise_fault(
                ReplayMismatchError(
                    "another action stands at this position",
                    where=request.position,
                    expected=known.opened.subject,
                    got=request.subject,
                ).fault()
            )
        if known.decided is None:
            raise ParkedSignal
        decided = known.decided
        return ReviewOutcome(
            review_id=decided.review_id,
            approved=decided.decision == "approved",
            by=decided.by,
            reason=decided.reason,
        )

    async def sleep(self, request: SleepStep) -> Slept:
        """It was time, if the step is over."""
        if self._step.status == "completed":
            return Slept()
        raise ParkedSignal

    async def mark(self, request: MarkCheckpoint) -> Marked:
        """A checkpoint changes nothing that a handler sees."""
        return Marked()

    async def read(self, request: ReadState) -> StateRead:
        """Nothing is read but what was."""
        self._end("read", request.key or request.prefix)

    async def propose(self, proposal: ProposeState) -> StateDecided:
        """Nothing is proposed."""
        self._end("propose", proposal.changes[0].key)

    def progress(self, text: str, *, done: int, total: int) -> None:
        """Nobody watches."""

    def _end(self, kind: str, name: str) -> NoReturn:
        raise _NothingRecorded(f"{kind} {name}")
