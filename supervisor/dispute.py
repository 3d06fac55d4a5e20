"""Conflicts that wait: for an arbitrating role, then for a person; what they say is put into the state.

A dispute is named after the proposal that met the conflict. While it is open, its fields keep their value, nobody may
change them, and whoever reads them waits. Everything that it needs stands in the run's lane, in the body of the step
or of the review that asks, so a supervisor that starts finds it there.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Final

import structlog

from remit.contracts.errors import RefusedError, ReplayMismatchError, RetryableError, StateInvalidError, UsageError
from remit.contracts.message import decode
from remit.contracts.policy import MISSING
from remit.contracts.proposal import StateConflict, StateParked
from remit.supervisor import dispatch, question
from remit.supervisor.change import Contested, check_ruling, request_of
from remit.supervisor.merge import value_at
from remit.supervisor.question import PERSON

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, KeysView

    from remit.contracts.control import DecideReview
    from remit.contracts.team import TeamSpec
    from remit.supervisor.arbiter import Arbiter
    from remit.supervisor.dispatch import Append
    from remit.supervisor.merge import Open
    from remit.supervisor.open_run import OpenRun
    from remit.supervisor.question import Question
    from remit.supervisor.run_state import ReviewState, RunState
    from remit.supervisor.runs import Runs

log = structlog.get_logger(__name__)

AGAIN_S: Final = 0.5
DISPUTES_OF_A_RUN: Final = 100


class Disputes:
    """The open disputes of all runs."""

    def __init__(
        self, *, arbiter: Arbiter, runs: Runs, spawn: Callable[[Coroutine[object, object, None]], None]
    ) -> None:
        self._arbiter = arbiter
        self._runs = runs
        self._spawn = spawn
        self._open: dict[str, StateParked] = {}
        """What the proposer of each hears if it asks again."""
        self._of_run: dict[str, set[str]] = defaultdict(set)
        self._requests: dict[str, str] = {}
        self._settling: set[str] = set()

    @property
    def open(self) -> KeysView[str]:
        """Names of the disputes that nobody has decided."""
        return self._open.keys()

    def waiting(self, dispute: str, request: str) -> StateParked | None:
        """Give what the proposer of an open dispute hears if it asks again.

        Raises:
            ReplayMismatchError: it asks for something else now.
        """
        if (parked := self._open.get(dispute)) is not None and (before := self._requests[dispute]) != request:
            raise ReplayMismatchError(
                "another proposal stands at this position", where=dispute, expected=before, got=request
            )
        return parked

    # --- how one begins --------------------------------------------------------------------------

    async def begin(self, run: OpenRun, contested: Contested, *, still: Callable[[], bool]) -> StateParked | None:
        """The dispute is journaled, and its role or a person asked; None if, in its turn, it is not `still` to be.

        Raises:
            RefusedError: the run disputes too much already, or the conflict is too large to be put to anybody; the
                refusal is recorded, and nothing waits.
        """
        wanted = list(question.conflicts_of(contested))
        try:
            if len(self._of_run.get(run.state.run_id, ())) >= DISPUTES_OF_A_RUN:
                raise StateInvalidError(
                    "the run disputes too much already", expected=f"at most {DISPUTES_OF_A_RUN} open disputes"
                )
            is_asked = await self._ask(run, wanted, still)
        except RefusedError as error:
            self._arbiter.disputed.clear(contested.dispute)
            await self._arbiter.refuse(contested.proposal, contested.author.agent, error)
            raise
        if not is_asked:
            self._arbiter.disputed.clear(contested.dispute)
            return None
        parked = _parked(contested.dispute, ((conflict, _whom(run.state.team, opened)) for opened, conflict in wanted))
        self._note(run.state.run_id, parked, request_of(contested.proposal))
        log.info("state.disputed", dispute=contested.dispute, fields=len(parked.paths), waits_for=parked.waits_for)
        return parked

    def adopt(self, run: RunState) -> None:
        """Take up the disputes that a run's journal left open."""
        for dispute in {*run.conflict_steps, *run.conflict_reviews}:
            asked = question.questions(run.team, run, dispute)
            proposal = asked[0].conflict.proposal
            if self._arbiter.versions.is_decided(run.run_id, proposal.step, proposal.position):
                continue
            parked = _parked(dispute, ((item.conflict, item.whom) for item in asked))
            self._note(run.run_id, parked, request_of(proposal))
            for item in (each for one in asked for each in one.conflict.fields):
                self._arbiter.disputed.mark(item.scope, item.key, path=item.path, dispute=dispute)

    def _note(self, run: str, parked: StateParked, request: str) -> None:
        self._open[parked.dispute] = parked
        self._requests[parked.dispute] = request
        self._of_run[run].add(parked.dispute)

    async def _ask(self, run: OpenRun, wanted: list[tuple[Open, StateConflict]], still: Callable[[], bool]) -> bool:
        """Every question stands in the run's lane; False if nobody is to be asked any more. Raises TooLargeError."""
        async with run.lock:
            while (append := self._next_question(run.state, wanted)) is not None:
                if not still():  # its step was taken back, or its run ended, while the lock or the journal was awaited
                    return False
                await self._runs.store(run, append)
            return run.state.finished is None

    def _next_question(self, run: RunState, wanted: list[tuple[Open, StateConflict]]) -> Append | None:
        """Give the entry that asks what nobody is asked yet."""
        asked = question.questions(run.team, run, wanted[0][1].dispute)
        waits = {field for item in asked if item.status == "open" for field in item.fields}
        for opened, conflict in wanted:
            if not {(item.key, item.path) for item in conflict.fields} <= waits:
                return self._question(run, opened, conflict)
        return None

    def _question(self, run: RunState, opened: Open, conflict: StateConflict) -> Append:
        if _whom(run.team, opened) == PERSON:
            return question.review_of(run, conflict)
        return dispatch.arbitration(
            run.team,
            run,
            parent=run.steps[conflict.proposal.step],
            role=opened.policy.role,
            within_s=opened.policy.within_s,
            conflict=conflict,
        )

    # --- how one ends ----------------------------------------------------------------------------

    def look(self, run: OpenRun) -> None:
        """Go on with the disputes of a run about which all was said that was asked."""
        for dispute in self._of_run.get(run.state.run_id, ()):
            if dispute not in self._settling and question.is_answered(run.state.team, run.state, dispute):
                self._settling.add(dispute)
                self._spawn(self._settle(run, dispute))

    def withdraw(self, run: RunState) -> None:
        """A rollback took steps back: what they disputed stays as it was; what the others did still waits."""
        asked = run.conflict_steps.keys() | run.conflict_reviews.keys()
        for dispute in self._arbiter.disputed.of_run(run.run_id) - asked:
            self._of_run.get(run.run_id, set()).discard(dispute)
            self._arbiter.disputed.clear(dispute)  # nobody was asked yet, perhaps: then it was never open
            self._close(dispute)

    def drop(self, run: str) -> None:
        """A run is over: what it disputed stays as it was."""
        for dispute in self._of_run.pop(run, set()):
            self._close(dispute)

    async def _settle(self, run: OpenRun, dispute: str) -> None:
        try:
            while dispute in self._open:
                if await self._is_settled(run, dispute):
                    break
                await asyncio.sleep(AGAIN_S)
        finally:
            self._settling.discard(dispute)
        self.look(run)  # a new question may be answered already

    async def _is_settled(self, run: OpenRun, dispute: str) -> bool:
        """Put what was said into the state; False if the bus is away, and it is to be tried again."""
        asked = [self._sound(item) for item in question.questions(run.state.team, run.state, dispute)]
        if not asked:  # a rollback took it back, and is about to say so
            return False
        conflict = asked[-1].conflict

        def still() -> bool:
            return run.state.finished is None and dispute in self._open

        try:
            answer = await self._arbiter.propose(
                conflict.proposal,
                agent=conflict.agent,
                workflow=run.state.started.workflow,
                rulings=question.rulings_of(asked),
                failed=question.failures_of(asked),
                still=still,
            )
            if isinstance(answer, Contested) and await self.begin(run, answer, still=still) is not None:
                return True
        except RefusedError as error:  # recorded by the arbiter; nothing changed
            log.warning("state.ruling_refused", dispute=dispute, code=error.code, error=error.message)
        except RetryableError as error:
            log.warning("state.ruling_delayed", dispute=dispute, error=str(error))
            return False
        self._of_run.get(run.state.run_id, set()).discard(dispute)
        self._close(dispute)
        return True

    def _close(self, dispute: str) -> None:
        if self._open.pop(dispute, None) is None:
            return
        del self._requests[dispute]
        self._arbiter.disputed.clear(dispute)
        log.info("state.dispute_over", dispute=dispute)
        for run in self._runs:
            if run.state.waiting or dispute.startswith(f"{run.state.run_id}."):
                self._spawn(self._go_on(run))

    async def _go_on(self, run: OpenRun) -> None:
        async with run.lock:
            await self._runs.advance(run)

    def _sound(self, asked: Question) -> Question:
        """A role that gives a value which does not fit its field has given no answer."""
        if asked.whom == PERSON:
            return asked
        try:
            for (key, path), ruling in asked.rulings.items():
                self._check_value(asked.conflict, key, path=path, value=ruling.value)
        except RefusedError as error:
            log.warning("state.ruling_refused", dispute=asked.conflict.dispute, code=error.code, error=error.message)
            return asked._replace(status="lost", rulings={})
        return asked

    # --- what a person may say -------------------------------------------------------------------

    def check(self, review: ReviewState, wish: DecideReview) -> None:
        """A person's value fits the field.

        Raises:
            UsageError: it does not, or the conflict is over several fields.
        """
        if review.opened.kind != "conflict" or bytes(wish.value) == b"null":
            return
        conflict = decode(StateConflict, review.opened.body)
        if len(conflict.fields) != 1:
            raise UsageError(
                "one value cannot decide several fields", where=wish.review_id, got=f"{len(conflict.fields)} fields"
            )
        item = conflict.fields[0]
        self._check_value(conflict, item.key, path=item.path, value=decode(object, wish.value))

    def _check_value(self, conflict: StateConflict, key: str, *, path: str, value: object) -> None:
        proposed = next(change for change in conflict.proposal.changes if change.key == key)
        contract = self._arbiter.rules.contract_of(key)
        document = contract.checked(proposed.value)
        if value is not MISSING and value_at(document, path) is not MISSING:  # an item of a list has no place to try it
            check_ruling(contract, document, path=path, value=value)


def _whom(team: TeamSpec, opened: Open) -> str:
    """Give the role that arbitrates, or a person: the build that serves a run may not have today's role."""
    is_role = opened.policy.kind == "arbitrate" and opened.policy.role in team.roles
    return opened.policy.role if is_role else PERSON


def _parked(dispute: str, asked: Iterable[tuple[StateConflict, str]]) -> StateParked:
    """Say what waits, and for whom: the same whether it was just asked, or is read from the journal."""
    pairs = list(asked)
    fields = sorted({(item.key, item.path) for conflict, _whom in pairs for item in conflict.fields})
    return StateParked(
        dispute=dispute,
        key=fields[0][0],
        paths=tuple(path for _key, path in fields),
        waits_for=", ".join(sorted({whom for _conflict, whom in pairs})),
    )
