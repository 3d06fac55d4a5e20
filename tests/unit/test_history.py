"""A run is told from its entries, and only those count whose author had a say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from remit.bus import subject
from remit.bus.journal import Entry
from remit.contracts.lease import DataScope, Grant, Lease
from remit.contracts.message import digest, encode, raw
from remit.contracts.proposal import StateCommitted, StateRead, StateVersion
from remit.contracts.review import ReviewDecided, ReviewOpened
from remit.contracts.step import Recorded, RunStep, StepCompleted, StepFailed
from remit.contracts.task import Criterion, Limits, RunFinished, RunStarted
from remit.contracts.tool import ToolCalled, ToolInDoubt, ToolReturned
from remit.history import History, fold
from remit.words import line, plain

if TYPE_CHECKING:
    from remit.contracts.errors import Fault

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
INPUT = msgspec.Raw(b'{"customer":"a@b.c"}')
AGENT = "clerk-1"


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
        value = raw(StateRead(items=(StateVersion(key="k", version=4), StateVersion(key="m", version=0))))
        record = Recorded(
            run_id="r1", step="ticket", epoch=1, position="1", kind="read", name="k", request="q", value=value
        )
        return self.add(subject.agent_entry("r1", "ticket", agent=author, index="1", kind="recorded"), record)

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

    assert [(item.what, item.identity) for item in history.reads[1:]] == [
        ("data source inbox", "north"),
        ("state k", "version 4"),
        ("state m", "was not there"),
        ('send_mail {"to":"a@b.c"}', digest(b'"sent"')),
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


def test_versions_of_state_are_told() -> None:
    version = StateCommitted(
        scope="r1",
        key="k",
        version=2,
        value=raw(1),
        run_id="r1",
        step="ticket",
        position="2",
        agent=AGENT,
        rule="max",
        base_version=0,
        committed_at=NOW,
    )

    history = Told().dispatched().add(subject.state("r1", "k", 2), version).history()

    assert [(item.key, item.rule) for item in history.versions] == [("k", "max")]


def test_every_kind_of_entry_is_said_in_plain_words() -> None:
    fault = Told()
    failed = StepFailed(
        run_id="r1",
        step="ticket",
        epoch=1,
        error=msgspec.convert({"type": "error.fault.v1", "code": "RM-511", "message": "it raised"}, type=_fault()),
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


def _fault() -> type[Fault]:
    from remit.contracts.errors import Fault

    return Fault
