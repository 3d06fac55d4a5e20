"""Whether a call may run is decided by its lease alone, on arguments that have one meaning."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.bus import subject
from remit.contracts.charter import Charter, CompletionCheck, ReviewPath, Rollback, RunLimits, ToolCharter
from remit.contracts.errors import (
    DeadlineError,
    GrantDeniedError,
    LeaseLostError,
    MalformedMessageError,
    RemitError,
)
from remit.contracts.lease import Approval, Grant, Lease
from remit.contracts.message import digest_of, encode, raw
from remit.contracts.tool import CallTool
from remit.tools import policy
from remit.tools.policy import Desk, Request
from remit.tools.tool import tool

if TYPE_CHECKING:
    from typing import Literal

NOW = datetime(2030, 1, 1, tzinfo=UTC)
AGENT, GATEWAY = "clerk-a1", "gw-1"


@tool(risk="low", effect="pure")
def pay(to: str, cents: int = 1, tags: tuple[str, ...] = ()) -> str:
    return f"{to}{cents}{tags}"


def desk(review: Literal["none", "person"] = "none") -> Desk:
    charter = Charter(
        charter=1,
        team="t",
        owner="o",
        purpose="p",
        roles={},
        tools={"pay": ToolCharter(risk="low", review=review)},
        data_sources={},
        limits=RunLimits(wall_clock_s=1.0, steps=1),
        completion=(CompletionCheck(name="c", check="steps_completed"),),
        review_path=ReviewPath(reviewers=("r",)),
        rollback=Rollback(procedure="p", tested=True),
    )
    return Desk(gateway=GATEWAY, tools={"pay": pay}, charter=charter)


def call(arguments: object = None, **changes: object) -> CallTool:
    asked = CallTool(
        run_id="r1",
        step="s",
        epoch=1,
        position="0",
        tool="pay",
        arguments=raw({"to": "a"} if arguments is None else arguments),
    )
    return msgspec.structs.replace(asked, **changes)


def lease(**changes: object) -> Lease:
    held = Lease(
        run_id="r1",
        step="s",
        epoch=1,
        role="clerk",
        agent=AGENT,
        gateway=GATEWAY,
        until_at=NOW + timedelta(seconds=60),
        grant=Grant(tools=("pay",)),
    )
    return msgspec.structs.replace(held, **changes)


def admitted(asked: CallTool, held: Lease | None = None, *, agent: str = AGENT, at: Desk | None = None) -> Request:
    return policy.admit(agent, asked, held or lease(), desk=at or desk(), now=NOW)


def test_a_call_that_its_lease_covers_is_admitted() -> None:
    request = admitted(call({"to": "a", "cents": 5}))

    assert request.arguments == pay.arguments(to="a", cents=5)
    assert bytes(request.sent) == b'{"cents":5,"to":"a"}'


@pytest.mark.parametrize(
    ("held", "error"),
    [
        (lease(agent="clerk-b2"), GrantDeniedError),
        (lease(epoch=2), GrantDeniedError),
        (lease(step="t"), GrantDeniedError),
        (lease(run_id="r2"), GrantDeniedError),
        (lease(gateway="gw-2"), LeaseLostError),
        (lease(until_at=NOW), DeadlineError),
        (lease(grant=Grant()), GrantDeniedError),
        (lease(grant=Grant(tools=("pay.all", "PAY", "pаy"))), GrantDeniedError),  # noqa: RUF001  # a look-alike
    ],
)
def test_a_call_that_its_lease_does_not_cover_is_not(held: Lease, error: type[RemitError]) -> None:
    with pytest.raises(error):
        admitted(call(), held)


def test_a_tool_without_a_rule_in_the_charter_is_not_there() -> None:
    without = Desk(gateway=GATEWAY, tools={"pay": pay, "burn": pay}, charter=desk().charter)

    with pytest.raises(GrantDeniedError):
        admitted(call(tool="burn"), lease(grant=Grant(tools=("burn",))), at=without)


@given(st.dictionaries(st.sampled_from(["to", "cents", "tags", "more"]), st.none() | st.integers() | st.text()))
def test_arguments_fit_the_tool_or_are_refused_with_their_place(arguments: dict[str, object]) -> None:
    try:
        request = admitted(call(arguments))
    except MalformedMessageError as error:
        assert error.where.startswith("$.arguments")  # noqa: PT017  # either of the two must hold
    else:
        assert set(arguments) <= {"to", "cents"}
        assert request.digest == digest_of({"tool": "pay", "arguments": arguments})


@given(st.fixed_dictionaries({"to": st.text(), "cents": st.integers(-(2**63), 2**64 - 1), "tags": st.lists(st.text())}))
def test_the_digest_is_the_one_that_the_handler_made_of_the_same_arguments(arguments: dict[str, object]) -> None:
    assert admitted(call(arguments)).digest == digest_of({"tool": "pay", "arguments": arguments})


@pytest.mark.parametrize(
    "arguments",
    [
        b'{"to":"a","to":"b"}',
        b'{"to":"a","tags":[{"x":1,"x":1}]}',
        b'{"to":"a","cents":1.0}',
        b'{"to":"a","cents":true}',
        b'{"to":"a","cents":NaN}',
        b'{"to":"a","cents":-Infinity}',
        b'{"to":"a","cents":1e999}',
        b'{"to":"\\ud800"}',
        b'{"to":"a"',
        b"null",
        b"[" * 5000,
    ],
)
def test_arguments_with_more_than_one_meaning_or_none_are_refused(arguments: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        admitted(msgspec.structs.replace(call(), arguments=msgspec.Raw(arguments)))


def test_a_type_of_the_teams_own_that_raises_in_its_check_is_a_refusal() -> None:
    class Even(msgspec.Struct):
        n: int

        def __post_init__(self) -> None:
            raise LookupError(self.n)

    @tool(risk="low", effect="pure", name="pay")
    def strict(even: object) -> str:
        return str(even)

    fields = msgspec.defstruct("Arguments", [("even", Even)], frozen=True)
    odd = Desk(gateway=GATEWAY, tools={"pay": replace(strict, arguments=fields)}, charter=desk().charter)

    with pytest.raises(MalformedMessageError) as refused:
        admitted(call({"even": {"n": 1}}), at=odd)

    assert refused.value.got == "LookupError"


# --- a person's word -----------------------------------------------------------------------------


def reviewed(*approvals: Approval) -> Request:
    return admitted(call(), lease(grant=Grant(tools=("pay",), approvals=approvals)), at=desk("person"))


ACTION = digest_of({"tool": "pay", "arguments": {"to": "a"}})


@pytest.mark.parametrize(
    ("approval", "is_enough"),
    [
        (Approval(review_id="v1", position="0", action=ACTION, by="ops"), True),
        (Approval(review_id="v1", position="1", action=ACTION, by="ops"), False),
        (Approval(review_id="v1", position="0", action=digest_of({"tool": "pay", "arguments": {}}), by="ops"), False),
        (Approval(review_id="v1", position="0", action="", by="ops"), False),
    ],
)
def test_only_an_approval_of_this_action_at_this_position_is_enough(approval: Approval, is_enough: bool) -> None:  # noqa: FBT001
    missing = policy.missing_review(reviewed(approval))

    assert (missing is None) == is_enough
    assert missing is None or missing.action == ACTION


def test_a_summary_draws_nothing_but_itself() -> None:
    request = admitted(call({"to": "a\u202eb\x1b[2J\u200b", "cents": 1}), at=desk("person"))

    assert policy.summary(request) == 'pay(cents=1, to="a\\u202eb\\u001b[2J\\u200b")'


def test_a_summary_is_short_and_says_every_argument() -> None:
    request = admitted(call({"to": "x" * 9000, "cents": 7}), at=desk("person"))

    assert policy.summary(request) == 'pay(cents=7, to="' + "x" * 58 + "…)"


# --- who says what -------------------------------------------------------------------------------


def test_who_calls_is_what_the_server_says() -> None:
    assert policy.read("remit.tool.gw-1.pay.clerk-a1", encode(call()), GATEWAY) == ("clerk-a1", call())


@pytest.mark.parametrize(
    "changes",
    [
        {"tool": "burn"},
        {"tool": "pay."},
        {"tool": "pay-all"},
        {"tool": "PAY"},
        {"run_id": "r1.s"},
        {"run_id": "r0"},
        {"run_id": "r1\n"},
        {"step": "_"},
        {"step": "*"},
        {"step": "s.lease"},
        {"step": ""},
        {"position": "0r1"},
        {"position": "0t1"},
        {"position": "0.x"},
        {"position": ""},
        {"position": "0\n"},
        {"position": "-".join("0" * 40)},
        {"epoch": 0},
    ],
)
def test_a_body_cannot_name_what_its_subject_does_not(changes: dict[str, object]) -> None:
    with pytest.raises(MalformedMessageError):
        policy.read(subject.tool(GATEWAY, "pay", AGENT), encode(call(**changes)), GATEWAY)
