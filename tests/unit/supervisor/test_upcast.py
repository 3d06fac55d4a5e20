"""What an older build wrote, or an older client says, is of today's version when the supervisor decides by it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.bus import subject
from remit.bus.stream import Entry
from remit.contracts.envelope import Envelope
from remit.contracts.message import Message, encode, raw
from remit.contracts.step import RunStep, StepCompleted
from remit.contracts.task import RunFinished, RunStarted
from remit.supervisor import admission
from remit.supervisor.fold import Fold
from tests.teams import ROLES, shop
from tests.unit.supervisor.run import NOW

if TYPE_CHECKING:
    from remit.supervisor.run_state import RunState


class Order(Message, frozen=True, kw_only=True, tag="shop.order.v2"):
    client: str
    lines: tuple[object, ...] = ()


def renamed(plain: dict[str, object]) -> dict[str, object]:
    return {"type": "shop.order.v2", "client": plain["customer"]}


def reworded(plain: dict[str, object]) -> dict[str, object]:
    return {"type": "shop.sheet.v2", "is_urgent": plain["urgent"]}


class Sheet(Message, frozen=True, kw_only=True, tag="shop.sheet.v2"):
    is_urgent: bool


OLD = shop()
NEW = replace(
    shop(roles=ROLES | {"clerk": replace(ROLES["clerk"], takes=Order, gives=Sheet)}),
    upcast={"shop.order.v1": renamed, "shop.sheet.v1": reworded},
)
TASK = encode({"goal": "x", "input": {"type": "shop.order.v1", "customer": "ann"}})


def admitted(workflow: str, body: bytes = TASK) -> Message:
    return admission.start(NEW, run_id="r1", workflow=workflow, body=body, envelope=Envelope(), now=NOW).message


def test_a_task_of_an_older_version_starts_a_run_of_today_s() -> None:
    alone, planned = admitted("order"), admitted("chain")

    assert isinstance(alone, RunStep)
    assert isinstance(planned, RunStarted)
    assert (
        msgspec.json.decode(alone.body)
        == msgspec.json.decode(planned.input)
        == {
            "type": "shop.order.v2",
            "client": "ann",
        }
    )
    assert alone.contract == "shop.order.v2"


def test_a_task_that_cannot_be_brought_forward_is_refused_with_its_place() -> None:
    refused = admitted("order", encode({"goal": "x", "input": {"type": "shop.order.v1", "lines": []}}))

    assert isinstance(refused, RunFinished)
    assert refused.error is not None
    assert (refused.error.code, refused.error.where) == ("RM-201", "$.input")
    assert refused.error.message.startswith("the upcast from shop.order.v1 failed: KeyError")


def folded(reply: object) -> RunState:
    """Give the run that today's build folds, of which an older one did the first step."""
    start = admission.start(OLD, run_id="r1", workflow="order", body=TASK, envelope=Envelope(), now=NOW)
    done = StepCompleted(run_id="r1", step="order", epoch=1, reply=raw(reply), contract="shop.sheet.v1")
    where = subject.agent_entry("r1", "order", agent="clerk-abc", index="1", kind="completed")
    fold = Fold(NEW)
    fold.apply(Entry(start.subject, 1, encode(start.message), stored_at=NOW))
    fold.apply(Entry(where, 2, encode(done), stored_at=NOW))
    return fold.runs["r1"]


def test_a_run_that_an_older_build_began_has_input_and_replies_of_today_s_version() -> None:
    run = folded({"urgent": True})

    assert msgspec.json.decode(run.started.input) == {"type": "shop.order.v2", "client": "ann"}
    assert run.steps["order"].status == "completed"
    assert msgspec.json.decode(run.steps["order"].reply) == {"type": "shop.sheet.v2", "is_urgent": True}


def test_a_reply_that_cannot_be_brought_forward_fails_its_step_and_says_why() -> None:
    step = folded({"type": "shop.sheet.v1"}).steps["order"]

    assert step.status == "failed"
    assert step.error is not None
    assert (step.error.code, step.retryable) == ("RM-201", False)
    assert step.error.message == "the upcast from shop.sheet.v1 failed: KeyError: 'urgent'"


@pytest.mark.parametrize("workflow", ["order", "chain"])
def test_a_run_whose_workflow_was_dropped_is_of_today_s_version_all_the_same(workflow: str) -> None:
    started = admission.start(OLD, run_id="r1", workflow=workflow, body=TASK, envelope=Envelope(), now=NOW)
    fold = Fold(replace(NEW, workflows={"fan": NEW.workflows["fan"]}))

    fold.apply(Entry(started.subject, 1, encode(started.message), stored_at=NOW))

    assert msgspec.json.decode(fold.runs["r1"].input())["client"] == "ann"
