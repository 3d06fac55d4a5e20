"""What is known of an effect decides what is journaled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from remit.contracts.errors import Fault
from remit.contracts.lease import Grant, Lease
from remit.contracts.message import raw
from remit.contracts.tool import Effect, ToolCalled, ToolInDoubt, ToolReturned
from remit.tools.execute import Effected, Execution
from remit.tools.outcome import RESOLVE_AFTER_S, attempt_index, conclude, is_abandoned, needs_lookup, not_found

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FAULT = Fault(code="RM-500", message="broken")


def intent(effect: Effect = "pure", *, gateway: str = "gw-1") -> ToolCalled:
    return ToolCalled(
        run_id="r1",
        step="s",
        epoch=1,
        position="0",
        tool="t",
        request="sha256:0",
        arguments=raw({}),
        agent="clerk-a1",
        gateway=gateway,
        risk="low",
        effect=effect,
        deadline_at=NOW,
    )


def lease(*gone: str) -> Lease:
    return Lease(
        run_id="r1",
        step="s",
        epoch=2,
        role="clerk",
        agent="clerk-b2",
        gateway="gw-2",
        gateways_gone=gone,
        until_at=NOW,
        grant=Grant(),
    )


@pytest.mark.parametrize("effect", ["pure", "idempotent", "lookup", "at_most_once"])
def test_a_result_is_an_outcome(effect: Effect) -> None:
    outcome = conclude(intent(effect), Execution(effected="yes", value=b"1"), index="0", duration_ms=3)

    assert outcome == ToolReturned(
        run_id="r1", step="s", position="0", tool="t", value=msgspec.Raw(b"1"), duration_ms=3
    )


@pytest.mark.parametrize(
    ("effect", "effected", "kind"),
    [
        ("pure", "unknown", ToolReturned),
        ("pure", "still_running", ToolReturned),
        ("idempotent", "unknown", ToolReturned),
        ("lookup", "no", ToolReturned),
        ("lookup", "unknown", ToolInDoubt),
        ("lookup", "still_running", ToolInDoubt),
        ("at_most_once", "no", ToolReturned),
        ("at_most_once", "yes", ToolReturned),
        ("at_most_once", "unknown", ToolInDoubt),
        ("at_most_once", "still_running", ToolInDoubt),
    ],
)
def test_an_error_is_an_outcome_only_where_it_hides_no_effect(
    effect: Effect, effected: Effected, kind: type[ToolReturned | ToolInDoubt]
) -> None:
    outcome = conclude(intent(effect), Execution(effected=effected, fault=FAULT), index="0", duration_ms=0)

    assert type(outcome) is kind
    assert not isinstance(outcome, ToolReturned) or outcome.error == FAULT


def test_a_lookup_that_finds_nothing_settles_what_broke_off_but_not_what_still_runs() -> None:
    assert not_found(Execution(effected="unknown", fault=FAULT)).effected == "no"
    assert not_found(Execution(effected="still_running", fault=FAULT)).effected == "still_running"


@pytest.mark.parametrize("effected", ["yes", "no"])
def test_a_lookup_is_not_asked_for_what_is_known(effected: Effected) -> None:
    assert not needs_lookup(intent("lookup"), Execution(effected=effected, fault=FAULT))


@pytest.mark.parametrize(
    ("performer", "held", "late_s", "is_free"),
    [
        ("gw-1", lease(), 0.0, False),
        ("gw-1", lease("gw-3"), 0.0, False),
        ("gw-1", lease("gw-1"), -30.0, True),
        ("gw-1", lease(), RESOLVE_AFTER_S - 0.1, False),
        ("gw-1", lease(), RESOLVE_AFTER_S, True),
        ("gw-2", lease(), -30.0, True),
    ],
)
def test_an_intent_is_left_to_its_gateway_while_that_may_live(
    performer: str,
    held: Lease,
    late_s: float,
    is_free: bool,  # noqa: FBT001
) -> None:
    now = NOW + timedelta(seconds=late_s)

    assert is_abandoned(intent(gateway=performer), held, gateway="gw-2", now=now) == is_free


def test_a_further_attempt_has_a_place_that_no_agent_can_name() -> None:
    assert [attempt_index("3-0-1", attempt) for attempt in range(3)] == ["3-0-1", "3-0-1r1", "3-0-1r2"]
