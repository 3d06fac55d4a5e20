"""A run is told from its entries, and only those count whose author had a say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.bus import subject
from remit.bus.journal import Entry
from remit.contracts.errors import Fault
from remit.contracts.lease import DataScope, Grant, Lease
from remit.contracts.message import digest, encode, raw
from remit.contracts.proposal import (
    DisputedField,
    ProposalRecord,
    ProposeState,
    StateBatch,
    StateChange,
    StateCommitted,
    StateConflict,
    StateDecision,
    StateParked,
    StateRead,
    StateRejected,
    StateRuling,
    StateSide,
    StateVersion,
)
from remit.contracts.reflection import ReflectionRound
from remit.contracts.review import ReviewDecided, ReviewOpened
from remit.contracts.step import (
    OutdatedRead,
    Recorded,
    RunStep,
    StepChecked,
    StepCompleted,
    StepFailed,
    StepParked,
    StepTimedOut,
)
from remit.contracts.task import Criterion, Limits, RunFinished, RunStarted
from remit.contracts.tool import ToolCalled, ToolInDoubt, ToolReturned
from remit.history import History, fold
from remit.progress import Progress
from remit.words import line, plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from remit.contracts.step import RecordKind

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
INPUT = msgspec.Raw(b'{"customer":"a@b.c"}')
AGENT = "clerk-1"
OUTDATED = Fault(code="RM-215", message="it had changed")
SIDES = tuple(
    StateSide(role=role, agent=f"{role}-1", run_id="r1", step="ticket", position=position, value=value)
    for role, position, value in (("clerk", "1", 5), ("packer", "0", 3))
)
CONFLICT = StateConflict(
    dispute="r1.ticket.1",
    fields=(DisputedField(scope="r1", key="k", path="/a", base=0, current=3, proposed=5, sides=SIDES),),
    proposal=ProposeState(
        run_id="r1", step="ticket", epoch=1, position="1", changes=(StateChange(key="k", value=raw({"a": 5})),)
    ),
    agent=AGENT,
)
VERSION = StateCommitted(
    scope="r1",
    key="k",
    version=2,
    value=raw({"a": 5}),
    hash="sha256:k",
    run_id="r1",
    step="ticket",
    position="1",
    agent=AGENT,
    rule="escalate",
    base_version=0,
    decisions=(StateDecision(path="/a", rule="escalate", base=0, sides=SIDES, result=5, by="ann", reason="so"),),
    committed_at=NOW,
)


class Told:
    """The entries of run r1, as they are stored one after the other."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, where: str, message: msgspec.Struct) -> Told:
        self.entries.append(Entry(where, len(self.entries) + 1, encode(message), stored_at=NOW))
        return self

    def history(self) -> History:
        return fold("r1", self.entries)

    def lines(self) -> list[str]:
        return [line(entry) for entry in self.entries]

    def dispatched(self, epoch: int = 1) -> Told:
        start = RunStarted(
            run_id="r1",
            workflow="ticket",
            goal="answer",
            goal_hash="sha256:g",
            charter="sha256:c",
            build="sha256:b",
            limits=Limits(),
            started_at=NOW,
        )
        work = RunStep(
            run_id="r1",
            step="ticket",
            epoch=epoch,
            role="clerk",
            goal="answer",
            goal_hash="sha256:g",
            contract="t.t.v1",
            body=INPUT,
            deadline_at=NOW,
            rule="plan" if epoch == 1 else "review r1-v1 decided",
            start=start if epoch == 1 else None,
        )
        return self.add(subject.work("r1", role="clerk", step="ticket", epoch=epoch), work)

    def leased(self, epoch: int = 1) -> Told:
        grant = Grant(data=(DataScope(name="inbox", value="north"),))
        lease = Lease(
            run_id="r1",
            step="ticket",
            epoch=epoch,
            role="clerk",
            agent=AGENT,
            gateway="gw-1",
            until_at=NOW,
            grant=grant,
        )
        return self.add(subject.lease("r1", "ticket", epoch), lease)

    def called(self, *, effect: str = "idempotent") -> Told:
        called = ToolCalled(
            run_id="r1",
            step="ticket",
            epoch=1,
            position="0",
            tool="send_mail",
            request="sha256:q",
            arguments=msgspec.Raw(b'{"to":"a@b.c"}'),
            agent=AGENT,
            gateway="gw-1",
            risk="high",
            effect=effect,  # type: ignore[arg-type]  # one of the literals
            deadline_at=NOW,
        )
        return self.add(subject.call("r1", "ticket", "0", "called"), called)

    def returned(self, error: Fault | None = None) -> Told:
        returned = ToolReturned(
            run_id="r1", step="ticket", position="0", tool="send_mail", value=raw("sent"), error=error, duration_ms=3
        )
        return self.add(subject.call("r1", "ticket", "0", "returned"), returned)

    def read(self, author: str) -> Told:
        found = (StateVersion(key="k", version=4, hash="sha256:k"), StateVersion(key="m", version=0))
        return self.recorded("read", StateRead(items=found), author=author)

    def recorded(self, kind: RecordKind, value: object, author: str = AGENT, *, name: str = "k") -> Told:
        record = Recorded(
            run_id="r1", step="ticket", epoch=1, position="1", kind=kind, name=name, request="q", value=raw(value)
        )
        return self.add(subject.agent_entry("r1", "ticket", agent=author, index="1", kind="recorded"), record)

    def arbitrated(self, epoch: int = 1) -> Told:
        """A judge is asked about the conflict that the step's proposal met."""
        work = RunStep(
            run_id="r1",
            step="ticket-c0-1",
            epoch=epoch,
            role="judge",
            goal="answer",
            goal_hash="sha256:g",
            contract="state.conflict.v1",
            body=raw(CONFLICT),
            deadline_at=NOW,
            rule="conflict over k",
            conflict=CONFLICT.dispute,
        )
        return self.add(subject.work("r1", role="judge", step="ticket-c0-1", epoch=epoch), work)

    def ruled(self, epoch: int = 1) -> Told:
        done = StepCompleted(
            run_id="r1",
            step="ticket-c0-1",
            epoch=epoch,
            contract="state.ruling.v1",
            reply=raw(StateRuling(choice="proposed", reason="no proof")),
            duration_ms=7,
        )
        return self.add(
            subject.agent_entry("r1", "ticket-c0-1", agent="judge-1", index=str(epoch), kind="completed"), done
        )

    def asked(self) -> Told:
        """A person is asked about the same conflict."""
        opened = ReviewOpened(
            review_id="r1-v1",
            run_id="r1",
            step="ticket",
            position="1",
            kind="conflict",
            title="which side of k/a stands?",
            subject="sha256:s",
            body=raw(CONFLICT),
            role="clerk",
            goal_hash="sha256:g",
            opened_at=NOW,
        )
        return self.add(subject.decision("r1", 1, "review_opened"), opened)

    def parked(self, *disputes: str) -> Told:
        parked = StepParked(run_id="r1", step="ticket", epoch=1, disputes=disputes)
        return self.add(subject.decision("r1", 4, "parked"), parked)

    def outdated(self, error: Fault | None = None) -> Told:
        reads = (OutdatedRead(scope="r1", key="k", version=3, now=4),)
        outdated = StepChecked(run_id="r1", step="ticket", epoch=1, reads=reads, error=error, retryable=True)
        return self.add(subject.decision("r1", 5, "checked"), outdated)

    def rejected(self) -> Told:
        rejected = StateRejected(scope="r1", key="k", rule="owner", reason="owned", version=2, path="/a")
        record = ProposalRecord(proposal=CONFLICT.proposal, agent=AGENT, rejected=rejected, at=NOW)
        return self.add(subject.proposal_record("r1", "ticket", "1", "rejected"), record)

    def refused(self) -> Told:
        record = ProposalRecord(proposal=CONFLICT.proposal, agent=AGENT, refused=OUTDATED, at=NOW)
        return self.add(subject.proposal_record("r1", "ticket", "1", "refused"), record)

    def committed(self, **more: object) -> Told:
        version = msgspec.structs.replace(VERSION, **more)
        return self.add(subject.state(version.scope, version.key, version.version), version)

    def opened(self) -> Told:
        opened = ReviewOpened(
            review_id="r1-v1",
            run_id="r1",
            step="ticket",
            position="0",
            kind="action",
            title="send_mail(…)",
            subject="sha256:s",
            role="clerk",
            goal_hash="sha256:g",
            opened_at=NOW,
        )
        return self.add(subject.decision("r1", 1, "review_opened"), opened)

    def decided(self) -> Told:
        decided = ReviewDecided(
            review_id="r1-v1", run_id="r1", decision="approved", subject="sha256:s", by="ada", decided_at=NOW
        )
        return self.add(subject.decision("r1", 2, "review_decided"), decided)

    def completed(self, author: str = AGENT, epoch: int = 1) -> Told:
        done = StepCompleted(run_id="r1", step="ticket", epoch=epoch, contract="t.a.v1", duration_ms=7)
        return self.add(subject.agent_entry("r1", "ticket", agent=author, index=str(epoch), kind="completed"), done)

    def finished(self) -> Told:
        criterion = Criterion(name="answered", passed=True, reason="1 steps completed")
        finished = RunFinished(
            run_id="r1", workflow="ticket", outcome="complete", criteria=(criterion,), finished_at=NOW
        )
        return self.add(subject.decision("r1", 3, "finished"), finished)


def test_the_input_of_a_run_of_one_step_is_the_body_of_its_dispatch() -> None:
    history = Told().dispatched().history()

    assert history.started is not None
    assert history.started.goal == "answer"
    assert [(item.what, item.identity) for item in history.reads] == [("the task's input", digest(bytes(INPUT)))]


def test_what_was_read_is_told_with_its_version_or_its_content() -> None:
    history = Told().dispatched().leased().read(AGENT).called(effect="pure").returned().history()

    assert [(item.what, item.identity, item.hash) for item in history.reads[1:]] == [
        ("data source inbox", "north", ""),
        ("state k", "version 4", "sha256:k"),
        ("state m", "was not there", ""),
        ('send_mail {"to":"a@b.c"}', digest(b'"sent"'), ""),
    ]


def test_the_record_of_an_agent_that_did_not_hold_the_step_does_not_count() -> None:
    history = Told().dispatched().leased().read("clerk-2").history()

    assert "state k" not in [item.what for item in history.reads]


def test_a_call_is_told_with_its_outcome() -> None:
    history = Told().dispatched().leased().called().returned().history()

    (call,) = history.calls.values()
    assert call.entry.tool == "send_mail"
    assert call.returned is not None
    assert bytes(call.returned.value) == b'"sent"'


def test_a_call_in_doubt_is_told_with_the_reason() -> None:
    doubt = ToolInDoubt(run_id="r1", step="ticket", position="0", tool="send_mail", request="q", reason="gw-1 ended")

    told = Told().dispatched().leased().called().add(subject.call("r1", "ticket", "0", "in_doubt"), doubt)

    (call,) = told.history().calls.values()
    assert call.in_doubt == "gw-1 ended"


def test_a_call_that_another_gateway_carried_on_is_told_once() -> None:
    told = Told().dispatched().leased().called()
    taken = msgspec.structs.replace(called_of(told), position="0t1", gateway="gw-2")

    told.add(subject.call("r1", "ticket", "0t1", "called"), taken).returned()

    (call,) = told.history().calls.values()
    assert (call.taken_over_by, call.returned is not None) == ("gw-2", True)


def called_of(told: Told) -> ToolCalled:
    return msgspec.json.decode(told.entries[-1].data, type=ToolCalled)


def test_a_completion_by_somebody_else_than_the_holder_does_not_count() -> None:
    history = Told().dispatched().leased().completed("clerk-2").history()

    assert history.steps["ticket"].status == "held"


def test_a_completion_without_a_lease_counts_for_an_agent_of_the_role() -> None:
    assert Told().dispatched().completed("clerk-2").history().steps["ticket"].status == "completed"
    assert Told().dispatched().completed("boss-2").history().steps["ticket"].status == "dispatched"


def test_a_completion_of_an_old_epoch_does_not_count() -> None:
    history = Told().dispatched().leased().dispatched(2).completed(epoch=1).history()

    assert history.steps["ticket"].status == "dispatched"


def test_an_open_review_parks_the_run_until_it_is_decided() -> None:
    told = Told().dispatched().leased().opened()

    assert told.history().is_parked
    assert told.history().waiting_for() == "a person: r1-v1"
    assert not told.decided().history().is_parked


def test_a_finished_run_waits_for_nothing() -> None:
    history = Told().dispatched().leased().opened().finished().history()

    assert (history.is_parked, history.waiting_for(), history.open_reviews) == (False, "", ())


def test_what_a_run_waits_for_is_told_at_every_stage() -> None:
    assert Told().history().waiting_for() == "the supervisor"
    assert Told().dispatched().history().waiting_for() == "an agent of role clerk"
    assert Told().dispatched().leased().history().waiting_for() == "clerk-1 at ticket"


def test_entries_of_another_run_or_of_an_unknown_kind_do_not_count() -> None:
    told = Told().dispatched()
    told.entries.append(Entry("remit.run.r1._.9.moonshine", 9, b"{}"))
    told.entries.append(Entry("remit.run.r1._.9.finished", 10, b"{"))

    history = told.history()

    assert history.finished is None
    assert history.next_seq == 11


def test_versions_of_state_are_told_and_those_of_other_runs_are_not() -> None:
    told = Told().dispatched().committed().committed(scope="team", version=7).committed(scope="team", run_id="r2")

    assert [(item.scope, item.version, item.rule) for item in told.history().versions] == [
        ("r1", 2, "escalate"),
        ("team", 7, "escalate"),
    ]


def test_a_conflict_waits_for_a_role_until_that_has_ruled() -> None:
    told = Told().dispatched().leased().arbitrated()

    (waits,) = told.history().open_disputes
    assert (waits.name, waits.waits_for) == ("r1.ticket.1", "role judge, step ticket-c0-1")
    assert told.ruled().history().open_disputes == ()
    assert told.arbitrated(2).history().open_disputes != ()


def test_a_conflict_that_a_person_decides_parks_nobody_but_who_reads_it() -> None:
    told = Told().dispatched().leased().asked()

    goes_on = told.history()
    assert (goes_on.steps["ticket"].status, goes_on.is_parked) == ("held", False)
    assert goes_on.open_disputes[0].waits_for == "a person: r1-v1"
    parked = told.parked("r1.ticket.1").history()
    assert (parked.steps["ticket"].status, parked.is_parked, parked.waiting_for()) == (
        "parked",
        True,
        "a person: r1-v1",
    )
    assert told.decided().history().open_disputes == ()


def test_a_step_that_reads_what_another_run_disputes_waits_for_that() -> None:
    told = Told().dispatched().leased().parked("r0.ticket.1")

    history = told.history()
    assert (history.is_parked, history.open_reviews) == (True, ())
    assert history.waiting_for() == "the decision of dispute r0.ticket.1"
    assert not told.dispatched(2).history().is_parked
    assert told.finished().history().parked_on == ()


def test_a_step_that_completed_before_it_was_parked_did_not() -> None:
    assert Told().dispatched().leased().completed().parked("r0.a.1").history().steps["ticket"].status == "parked"


@pytest.mark.parametrize("end", [Told.committed, Told.rejected, Told.refused, Told.finished])
def test_a_dispute_is_over_with_the_answer_to_its_proposal_or_with_its_run(end: Callable[[Told], Told]) -> None:
    told = Told().dispatched().leased().asked()
    assert told.history().open_disputes != ()

    assert end(told).history().open_disputes == ()


def test_a_role_that_was_asked_and_ran_out_of_time_gives_way() -> None:
    late = StepTimedOut(run_id="r1", step="ticket-c0-1", epoch=1, error=OUTDATED)
    told = Told().dispatched().arbitrated().add(subject.decision("r1", 1, "timed_out"), late)

    assert told.history().steps["ticket-c0-1"].ended_by == "the supervisor"
    assert told.history().open_disputes[0].waits_for == "the supervisor"
    assert told.asked().history().open_disputes[0].waits_for == "a person: r1-v1"


def test_proposals_that_changed_nothing_are_told() -> None:
    (record,) = Told().dispatched().rejected().history().records

    assert record.rejected is not None
    assert record.rejected.reason == "owned"


@pytest.mark.parametrize(("error", "status"), [(None, "completed"), (OUTDATED, "failed")])
def test_a_result_on_outdated_state_counts_or_does_not(error: Fault | None, status: str) -> None:
    step = Told().dispatched().leased().completed().outdated(error).history().steps["ticket"]

    assert (step.status, [item.key for item in step.outdated]) == (status, ["k"])


def test_progress_counts_conflicts_by_the_rule_of_each_decision() -> None:
    told = Told().dispatched().committed(version=1, decisions=(), rule="disjoint").committed(rule="merged")

    progress = Progress(told.history())

    assert progress.conflicts() == {"escalate": 1}
    assert progress.conflicts() == {"escalate": 1}


def test_what_becomes_of_shared_state_is_said_in_plain_words() -> None:
    told = Told().committed().committed(scope="team", decisions=(), rule="write", hash="")
    told.committed(rule="rollback", step="rollback", agent="ann", decisions=())
    told.committed(rule="rollback", step="rollback", agent="ann", decisions=(), deleted=True)
    told.rejected().refused().parked("r0.ticket.1").outdated().outdated(OUTDATED).arbitrated().ruled().asked()
    conflict = "/a: base 0; clerk 5, packer 3; escalate: 5, by ann (so)"
    moved = "k was read at version 3 and is at 4"

    assert told.lines() == [
        f'ticket wrote state k version 2 (escalate): {{"a":5}}; conflict over {conflict}',
        'ticket wrote state k of team version 2 (write): {"a":5}',
        'ann rolled back state k version 2 (rollback): {"a":5}',
        "ann took out state k in version 2",
        "ticket: clerk-1 proposed k: rejected, owned at /a (owner): k stays at 2",
        "ticket: clerk-1 proposed k: refused, RM-215 it had changed",
        "ticket waits: what it reads is disputed in r0.ticket.1",
        f"ticket completed on outdated state, and its result counts: {moved}",
        f"ticket completed on outdated state, so that its result does not count, and it may run again: {moved}",
        "ticket-c0-1 asks role judge to decide dispute r1.ticket.1 (conflict over k)",
        "ticket-c0-1 completed by judge-1 after 7 ms: the proposed side stands (no proof)",
        "a person is asked: r1-v1 which side of k/a stands? (ticket goes on)",
    ]


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("propose", VERSION, "proposed k: version 2 (escalate)"),
        ("propose", StateBatch(versions=(VERSION,)), "proposed k: k version 2 (escalate)"),
        (
            "propose",
            StateParked(dispute="r1.ticket.1", key="k", paths=("/a",), waits_for="judge"),
            "proposed k: /a waits for judge",
        ),
        ("propose", {}, "recorded propose k {}"),
        ("read", StateRead(items=(StateVersion(key="k", version=4),)), "read state k version 4"),
        ("read", StateRead(items=(StateVersion(key="k", version=0),)), "read state k (was not there)"),
        ("read", StateRead(), "read state k: nothing"),
    ],
)
def test_what_an_agent_recorded_of_shared_state_is_said(kind: RecordKind, value: object, said: str) -> None:
    assert Told().recorded(kind, value).lines() == [f"ticket: clerk-1 {said}"]


def test_the_rounds_of_a_reflection_are_said_with_score_reasons_and_what_ended_it() -> None:
    first = ReflectionRound(number=1, requirement="sha256:q", score=0.25, reasons=("too long", "no\x1bvoice"), best=1)
    last = ReflectionRound(number=2, requirement="sha256:q", cost=0.5, best=1, stopped_by="repetition")
    told = Told().dispatched().leased()
    told.recorded("step", first, name="reflect").recorded("step", last, name="reflect")

    assert told.lines()[2:] == [
        "ticket: clerk-1 reflected: round 1, score 0.25 (too long; no voice)",
        "ticket: clerk-1 reflected: round 2, not judged, cost 0.5; stopped by repetition, round 1 is the best",
    ]
    assert told.history().rounds == [("ticket", first), ("ticket", last)]


def test_a_step_of_a_handler_that_is_called_like_a_reflection_is_no_round() -> None:
    told = Told().dispatched().leased().recorded("step", "mirror", name="reflect")

    assert told.history().rounds == []
    assert told.lines()[-1] == 'ticket: clerk-1 recorded step reflect "mirror"'


def test_every_kind_of_entry_is_said_in_plain_words() -> None:
    fault = Told()
    failed = StepFailed(
        run_id="r1",
        step="ticket",
        epoch=1,
        error=Fault(code="RM-511", message="it raised"),
    )
    fault.dispatched().leased().called().returned().opened().decided().completed().finished()
    fault.add(subject.agent_entry("r1", "ticket", agent=AGENT, index="1", kind="failed"), failed)

    assert fault.lines() == [
        'run started: "answer"; ticket is for role clerk (plan)',
        f"ticket is held by clerk-1 until {NOW.astimezone():%H:%M:%S}.000",
        'ticket calls send_mail {"to":"a@b.c"} (high risk)',
        'send_mail returned "sent" after 3 ms',
        "ticket waits for a person: r1-v1 send_mail(…)",
        "r1-v1 approved by ada",
        "ticket completed by clerk-1 after 7 ms",
        "finished: complete",
        "ticket failed at clerk-1: RM-511 it raised",
    ]


def test_an_entry_of_a_later_version_is_named_by_its_subject() -> None:
    said = line(Entry("remit.run.r1._.9.moonshine", 9, b"{}"))

    assert said == "remit.run.r1._.9.moonshine (this version of Remit cannot say it)"


def test_text_of_strangers_cannot_draw_on_a_terminal() -> None:
    assert plain("a\x1b[2J\nb\u202ec") == "a [2J b c"
