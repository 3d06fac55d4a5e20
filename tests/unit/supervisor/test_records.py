"""What earlier holders did: their records count, and nobody else's."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.bus import subject
from remit.bus.journal import Entry
from remit.contracts.errors import CallCutOffError, Fault
from remit.contracts.lease import Grant, Lease, LeaseRevoked, Resolution
from remit.contracts.message import encode, raw
from remit.contracts.step import Parent, Recorded, RecordKind, StepFailed
from remit.contracts.tool import Effect, ToolCalled, ToolReturned
from remit.supervisor.records import StepRecords, answered_asks
from remit.supervisor.run import on_settled
from tests.teams import shop
from tests.unit.supervisor.run import NOW, completed, dispatched, started

if TYPE_CHECKING:
    from remit.contracts.message import Message

FAULT = Fault(code="RM-500", message="it broke")


class Lane:
    """The entries of one step, as they come."""

    def __init__(self, *, is_retried: bool = False) -> None:
        self.records = StepRecords(is_retried=is_retried)
        self._seq = 0

    def put(self, name: str, message: Message | bytes) -> None:
        self._seq += 1
        body = message if isinstance(message, bytes) else encode(message)
        self.records.apply(Entry(name, self._seq, body))

    def lease(self, agent: str, epoch: int = 1) -> None:
        lease = Lease(
            run_id="r1",
            step="s",
            epoch=epoch,
            role="clerk",
            agent=agent,
            gateway="gw-1",
            until_at=NOW + timedelta(seconds=60),
            grant=Grant(),
        )
        self.put(subject.lease("r1", "s", epoch), lease)

    def revoke(self, agent: str, epoch: int = 1) -> None:
        notice = LeaseRevoked(run_id="r1", step="s", epoch=epoch, agent=agent, reason="cancelled", ends_calls=True)
        self.put(subject.lease_revoked("r1", "s", epoch), notice)

    def record(  # the fields of a record
        self, agent: str, position: str, *, epoch: int = 1, kind: RecordKind = "step", run: str = "r1", step: str = "s"
    ) -> None:
        recorded = Recorded(
            run_id=run,
            step=step,
            epoch=epoch,
            position=position,
            kind=kind,
            name="think",
            request="",
            value=raw(f"{agent} {position}"),
        )
        self.put(subject.agent_entry("r1", "s", agent=agent, index=position, kind="recorded"), recorded)

    def call(self, index: str, *, error: Fault | None = None, effect: Effect = "pure", is_open: bool = False) -> None:
        called = ToolCalled(
            run_id="r1",
            step="s",
            epoch=1,
            position=index,
            tool="mail.send",
            request="sha256:1",
            arguments=raw({}),
            agent="clerk-1",
            gateway="gw-1",
            risk="low",
            effect=effect,
            deadline_at=NOW,
        )
        self.put(subject.call("r1", "s", index, "called"), called)
        if not is_open:
            returned = ToolReturned(
                run_id="r1", step="s", position=index, tool="mail.send", value=raw("sent"), error=error
            )
            self.put(subject.call("r1", "s", index, "returned"), returned)

    @property
    def found(self) -> dict[str, object]:
        return {item.position: msgspec.json.decode(item.value) for item in self.records.recorded()}


def test_what_the_old_holder_records_after_its_lease_was_revoked_does_not_count() -> None:
    lane = Lane()
    lane.lease("clerk-1")
    lane.record("clerk-1", "0")
    lane.revoke("clerk-1")
    lane.record("clerk-1", "1")

    assert lane.found == {"0": "clerk-1 0"}


@pytest.mark.parametrize("effect", ["pure", "at_most_once"])
def test_a_call_that_was_cut_off_is_made_again_though_nothing_failed(effect: Effect) -> None:
    """One of an at_most_once tool that is not in doubt had not begun."""
    lane = Lane()
    lane.lease("clerk-1")
    lane.call("0", error=CallCutOffError("cut off").fault(), effect=effect)

    assert lane.found == {}
    assert lane.records.retries() == (Resolution(position="0", decision="retry"),)


def test_what_the_holder_recorded_counts() -> None:
    lane = Lane()
    lane.lease("clerk-1")
    lane.record("clerk-1", "0")
    lane.record("clerk-1", "1-0-0", kind="read")

    assert lane.found == {"0": "clerk-1 0", "1-0-0": "clerk-1 1-0-0"}


def test_what_others_recorded_does_not_count() -> None:
    lane = Lane()
    lane.record("clerk-1", "0")
    lane.lease("clerk-2")
    lane.record("clerk-1", "1")
    lane.record("clerk-2", "2", epoch=7)
    lane.record("clerk-2", "3", run="r2")
    lane.record("clerk-2", "4", step="t")
    lane.record("clerk-2", "5", kind="call")
    lane.record("clerk-2", "6", kind="ask")

    assert lane.found == {}, "before the lease, not the holder, another epoch, elsewhere, and what the gateway says"


def test_the_records_of_one_holder_are_handed_to_the_next_and_the_first_one_of_a_place_stands() -> None:
    lane = Lane()
    lane.lease("clerk-1")
    lane.record("clerk-1", "0")
    lane.lease("clerk-2", epoch=2)
    lane.record("clerk-1", "1")
    lane.record("clerk-2", "0", epoch=2)
    lane.record("clerk-2", "1", epoch=2)

    assert lane.found == {"0": "clerk-1 0", "1": "clerk-2 1"}


def test_a_call_is_answered_from_its_outcome_and_an_open_one_is_not() -> None:
    lane = Lane()
    lane.lease("clerk-1")
    lane.call("0")
    lane.call("1", is_open=True)

    (record,) = lane.records.recorded()
    assert (record.position, record.kind, record.name, record.request) == ("0", "call", "mail.send", "sha256:1")


def test_an_outcome_without_an_intent_does_not_count() -> None:
    lane = Lane()
    lane.lease("clerk-1")
    lane.put(
        subject.call("r1", "s", "0", "returned"), ToolReturned(run_id="r1", step="s", position="0", tool="mail.send")
    )

    assert lane.found == {}


def test_what_does_not_fit_is_left_out() -> None:
    lane = Lane()
    lane.lease("clerk-1")
    lane.put(subject.agent_entry("r1", "s", agent="clerk-1", index="0", kind="recorded"), b"no json")
    lane.put("something.else", b"{}")
    lane.record("clerk-1", "1")

    assert lane.found == {"1": "clerk-1 1"}


def test_a_failed_call_is_an_answer_until_its_step_is_retried() -> None:
    for is_retried in (False, True):
        lane = Lane(is_retried=is_retried)
        lane.lease("clerk-1")
        lane.call("0", error=FAULT)

        assert bool(lane.found) is not is_retried
        assert [item.position for item in lane.records.retries()] == (["0"] if is_retried else [])


def test_a_failed_call_is_not_made_again_if_the_handler_went_on_after_it() -> None:
    lane = Lane(is_retried=True)
    lane.lease("clerk-1")
    lane.call("0", error=FAULT)
    lane.record("clerk-1", "1")

    assert set(lane.found) == {"0", "1"}
    assert lane.records.retries() == ()


def test_a_failed_call_that_may_have_had_its_effect_is_not_made_again() -> None:
    lane = Lane(is_retried=True)
    lane.lease("clerk-1")
    lane.call("0", error=FAULT, effect="at_most_once")

    assert set(lane.found) == {"0"}


def test_an_ask_is_answered_once_its_child_ended_for_good() -> None:
    run = completed(started("order"), order={})
    run.steps["order"].status = "leased"
    for index, name in enumerate(("order-a0", "order-a1", "order-a2")):
        dispatched(run, name, "packer", parent=Parent(step="order", position=str(index)))
    for name, retryable in (("order-a0", False), ("order-a1", True)):
        failed = StepFailed(run_id="r1", step=name, epoch=1, error=FAULT, retryable=retryable)
        assert on_settled(run, "packer-1", name, entry=failed, at=NOW)

    answered = answered_asks(shop(), run, "order")

    assert [(item.position, item.name, item.error) for item in answered] == [("0", "packer", FAULT)]
