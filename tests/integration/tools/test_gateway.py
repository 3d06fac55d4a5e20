"""A call goes through the gateway once, if its lease lets it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from remit.bus import subject
from remit.contracts.lease import Approval, DataScope
from remit.contracts.message import digest_of
from remit.contracts.step import Refused, Superseded
from remit.contracts.tool import CallNeedsReview, ToolAnswered

if TYPE_CHECKING:
    from remit.contracts.errors import Fault
    from tests.integration.tools.conftest import Answer, Floor


def value(answer: Answer) -> bytes:
    assert isinstance(answer, ToolAnswered), answer
    assert answer.error is None, answer.error
    return bytes(answer.value)


def failed(answer: Answer) -> Fault:
    assert isinstance(answer, ToolAnswered), answer
    assert answer.error is not None
    return answer.error


def refused(answer: Answer) -> Fault:
    assert isinstance(answer, Refused), answer
    return answer.error


# --- whether -------------------------------------------------------------------------------------


async def test_a_granted_call_is_journaled_carried_out_and_answered(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease("look")

    answer = await floor.call("look", what="a")

    assert value(answer) == b'"A"'
    assert floor.effects.all == ["a"]
    assert await floor.entries() == ["0.called", "0.returned"]
    called = await floor.called()
    assert (called.agent, called.gateway, called.effect) == ("clerk-a1", "gw-1", "pure")
    assert bytes((await floor.returned()).value) == b'"A"'


async def test_the_digest_of_an_intent_is_the_one_that_the_handler_computes(floor: Floor) -> None:
    """Even where the tool has defaults: replay compares it with what the handler asks."""
    await floor.gateway()
    await floor.lease()

    await floor.call("look", what="a")

    assert (await floor.called()).request == digest_of({"tool": "look", "arguments": {"what": "a"}})


async def test_a_tool_that_is_not_granted_is_refused(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease("look", "charge")

    fault = refused(await floor.call("fax", what="a"))

    assert (fault.code, fault.expected, fault.got) == ("RM-203", "look, charge", "fax")
    assert await floor.entries() == []
    assert floor.effects.all == []


async def test_a_tool_that_the_team_does_not_have_is_refused_even_if_granted(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease("shred")

    assert refused(await floor.call("shred", what="a")).code == "RM-203"


async def test_a_step_that_nobody_holds_is_refused(floor: Floor) -> None:
    await floor.gateway()

    assert refused(await floor.call("look", what="a")).code == "RM-203"
    assert floor.effects.all == []


async def test_a_lease_serves_its_own_agent_only(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease()

    assert refused(await floor.call("look", agent="clerk-b2", what="a")).code == "RM-203"
    assert floor.effects.all == []
    assert value(await floor.call("look", what="a")) == b'"A"'


async def test_a_step_that_another_gateway_serves_is_not_touched(floor: Floor) -> None:
    await floor.gateway("gw-2")
    await floor.lease(gateway="gw-1")

    assert isinstance(await floor.call("look", gateway="gw-2", what="a"), Superseded)
    assert floor.effects.all == []


async def test_nothing_is_called_after_the_lease_has_ended(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease(until_s=60)

    assert value(await floor.call("look", what="a")) == b'"A"'
    floor.clock.move(61)

    assert refused(await floor.call("look", "1", what="b")).code == "RM-401"
    assert floor.effects.all == ["a"]


async def test_a_zombie_is_told_so_and_touches_nothing(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease(epoch=1, agent="clerk-a1")
    assert value(await floor.call("look", what="warm")) == b'"WARM"'  # the old lease is known to the gateway
    await floor.lease(epoch=2, agent="clerk-b2")

    zombie = await floor.call("fax", "1", epoch=1, agent="clerk-a1", what="twice")
    holder = await floor.call("fax", "1", epoch=2, agent="clerk-b2", what="twice")

    assert isinstance(zombie, Superseded)
    assert value(holder) == b'"TWICE"'
    assert floor.effects.all == ["warm", "twice"]


async def test_a_zombie_does_not_even_get_an_outcome_that_is_known(floor: Floor) -> None:
    """The fence is judged before the index: whoever repeats under an old lease learns that it is old."""
    await floor.gateway()
    await floor.lease(epoch=1, agent="clerk-a1")
    await floor.call("look", what="a")
    await floor.lease(epoch=2, agent="clerk-b2")

    assert isinstance(await floor.call("look", epoch=1, agent="clerk-a1", what="a"), Superseded)


# --- once ----------------------------------------------------------------------------------------


async def test_a_request_repeated_while_it_runs_shares_the_one_execution(floor: Floor) -> None:
    gateway = await floor.gateway()
    await floor.lease()
    await floor.effects.hold("hit")

    first = asyncio.create_task(floor.call("fax", what="once"))
    await floor.effects.seen("hit")
    others = [asyncio.create_task(floor.call("fax", what="once")) for _ in range(5)]
    async with asyncio.timeout(5):
        while gateway.open_calls < 6:
            await asyncio.sleep(0.001)
    await floor.stored("called")
    await floor.effects.release()
    answers = await asyncio.gather(first, *others)

    assert {value(answer) for answer in answers} == {b'"ONCE"'}
    assert floor.effects.all == ["once"]


async def test_an_outcome_is_answered_again_without_a_second_execution(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease(epoch=1, agent="clerk-a1")
    before = await floor.call("fax", what="once")
    await floor.lease(epoch=2, agent="clerk-b2")

    after = await floor.call("fax", epoch=2, agent="clerk-b2", what="once")

    assert value(after) == value(before)
    assert floor.effects.all == ["once"]


async def test_an_outcome_is_answered_by_any_gateway(floor: Floor) -> None:
    await floor.gateway("gw-1")
    await floor.gateway("gw-2")
    await floor.lease(epoch=1, gateway="gw-1")
    await floor.call("fax", gateway="gw-1", what="once")
    await floor.lease(epoch=2, gateway="gw-2")

    assert value(await floor.call("fax", epoch=2, gateway="gw-2", what="once")) == b'"ONCE"'
    assert floor.effects.all == ["once"]


async def test_another_call_at_the_same_position_is_refused_and_shows_both(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease()
    await floor.call("look", what="a")

    fault = refused(await floor.call("look", what="b"))

    assert fault.code == "RM-208"
    assert '{"what":"a"}' in fault.expected
    assert '{"what":"b"}' in fault.got
    assert floor.effects.all == ["a"]


async def test_the_spelling_of_the_arguments_does_not_matter(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease()
    await floor.call("look", what="a", times=2)
    spelled = (
        b'{"type":"tool.call.v1","run_id":"r1","step":"s","epoch":1,"position":"0","tool":"look",'
        b'"arguments":{ "times" : 2, "what":"\\u0061" }}'
    )

    assert value(await floor.call("look", body=spelled)) == b'"AA"'
    assert floor.effects.all == ["a"]


async def test_a_hundred_calls_of_one_step_run_side_by_side(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease()

    answers = await asyncio.gather(*(floor.call("charge", str(n), what=f"w{n}") for n in range(100)))

    assert [value(answer) for answer in answers] == [f'"W{n}"'.encode() for n in range(100)]
    assert sorted(floor.effects.all) == sorted(f"w{n}@r1.s.{n}" for n in range(100))


# --- what a person approves ----------------------------------------------------------------------


async def test_a_reviewed_tool_names_the_action_that_a_person_must_approve(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease()

    answer = await floor.call("wire", what="100 EUR")

    assert isinstance(answer, CallNeedsReview)
    assert answer.action == digest_of({"tool": "wire", "arguments": {"what": "100 EUR"}})
    assert answer.summary == 'wire(what="100 EUR")'
    assert await floor.entries() == []
    assert floor.effects.all == []


async def test_what_was_approved_is_what_runs(floor: Floor) -> None:
    await floor.gateway()
    action = digest_of({"tool": "wire", "arguments": {"what": "100 EUR"}})
    await floor.lease(approvals=(Approval(review_id="v1", position="0", action=action, by="ops"),))

    other = await floor.call("wire", what="900 EUR")
    approved = await floor.call("wire", what="100 EUR")

    assert isinstance(other, CallNeedsReview)
    assert value(approved) == b'"100 EUR"'
    assert (await floor.called()).review_id == "v1"
    assert floor.effects.all == ["100 EUR"]


async def test_an_approval_serves_one_call_only(floor: Floor) -> None:
    await floor.gateway()
    action = digest_of({"tool": "wire", "arguments": {"what": "100 EUR"}})
    await floor.lease(approvals=(Approval(review_id="v1", position="0", action=action, by="ops"),))

    first = await floor.call("wire", "0", what="100 EUR")
    second = await floor.call("wire", "1", what="100 EUR")

    assert value(first) == b'"100 EUR"'
    assert isinstance(second, CallNeedsReview)
    assert floor.effects.all == ["100 EUR"]


# --- what goes wrong in a tool -------------------------------------------------------------------


async def test_a_result_of_the_wrong_type_is_an_error_that_says_where(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease()

    fault = failed(await floor.call("wrong.type", what="x"))

    assert (fault.code, fault.where, fault.expected, fault.got) == ("RM-500", "result[1]", "int", "str")
    assert (await floor.returned()).error == fault


async def test_a_result_that_is_too_large_is_kept_and_answered_as_an_error(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease()

    fault = failed(await floor.call("big.text", size=3_000_000))

    returned = await floor.returned()
    assert fault.code == "RM-212"
    assert bytes(returned.value) == b"null"
    assert returned.value_ref is not None
    assert returned.value_ref.size_bytes == 3_000_002


async def test_a_result_that_just_fits_is_answered(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease()

    assert len(value(await floor.call("big.text", size=512 * 1024 - 2))) == 512 * 1024


async def test_a_tool_that_hangs_is_stopped_at_its_deadline(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease()

    fault = failed(await floor.call("slow.look", what="a"))

    assert fault.code == "RM-102"
    assert (await floor.returned()).error == fault


async def test_an_effect_that_happened_before_its_tool_broke_is_found_by_the_lookup(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease()

    assert value(await floor.call("mail.cut", what="a")) == b'"A"'
    assert floor.effects.all == ["a"]


async def test_a_tool_that_certainly_did_nothing_is_not_in_doubt(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease()

    assert failed(await floor.call("fax.unplugged", what="a")).code == "RM-501"
    assert await floor.entries() == ["0.called", "0.returned"]


# --- what a tool gets ----------------------------------------------------------------------------


async def test_a_tool_sees_its_run_its_folder_and_the_granted_data(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease(data=(DataScope(name="ledger", value="file:///ledger"),))
    folder = floor.folder / "data" / "scratch" / "r1"

    seen = value(await floor.call("who.am_i", source="ledger"))
    other = failed(await floor.call("who.am_i", "1", source="payroll"))

    assert seen == f'["clerk","r1.s.0","{folder}","file:///ledger"]'.encode()
    assert (folder / "seen").read_text() == "r1"
    assert (other.code, other.expected, other.got) == ("RM-203", "ledger", "payroll")


# --- what is sent --------------------------------------------------------------------------------

HEAD = b'{"type":"tool.call.v1","run_id":"r1","step":"s","epoch":1,"position":"0","tool":"look",'


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"\xff", "byte 0"),
        (HEAD + b'"arguments":{"what":"\xff"}}', f"byte {len(HEAD) + 21}"),
        (b"{}", "$"),
        (b"[" * 100_000, "$"),
        (HEAD + b'"arguments":' + b"[" * 100_000 + b"}", "$"),
        (HEAD + b'"arguments":{"what":7}}', "$.arguments.what"),
        (HEAD + b'"arguments":{"what":"a","times":true}}', "$.arguments.times"),
        (HEAD + b'"arguments":{"what":"a","times":1.5}}', "$.arguments.times"),
        (HEAD + b'"arguments":{"what":"a","times":1e400}}', "$.arguments[...]"),
        (HEAD + b'"arguments":{"what":"a","times":' + b"1" * 5000 + b"}}", "$.arguments"),
        (HEAD + b'"arguments":{"what":"a","more":1}}', "$.arguments"),
        (HEAD + b'"arguments":{"what":"a","what":"b"}}', "$.arguments"),
        (HEAD + b'"arguments":["a"]}', "$.arguments"),
        (HEAD.replace(b'"0"', b'"0r1"') + b'"arguments":{"what":"a"}}', "$.position, $.epoch"),
        (HEAD.replace(b'"0"', b'"0.called.x"') + b'"arguments":{"what":"a"}}', "$.position, $.epoch"),
        (HEAD.replace(b'"s"', b'">"') + b'"arguments":{"what":"a"}}', "$.run_id, $.step"),
        (HEAD.replace(b'"r1"', b'"*"') + b'"arguments":{"what":"a"}}', "$.run_id, $.step"),
        (HEAD.replace(b'"look"', b'"fax"') + b'"arguments":{"what":"a"}}', "$.tool"),
        (HEAD.replace(b'"look"', b'"look."') + b'"arguments":{"what":"a"}}', "$.tool"),
    ],
)
async def test_a_message_that_does_not_fit_is_refused_with_its_place(floor: Floor, body: bytes, where: str) -> None:
    await floor.gateway()
    await floor.lease()

    fault = refused(await floor.call("look", body=body))

    assert (fault.code, fault.where) == ("RM-201", where)
    assert floor.effects.all == []
    assert value(await floor.call("look", what="a")) == b'"A"'


async def test_arguments_that_are_too_large_are_refused(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease()

    assert refused(await floor.call("look", what="x" * 600_000)).code == "RM-212"
    assert await floor.entries() == []


# --- the gateway itself --------------------------------------------------------------------------


async def test_a_gateway_that_drains_finishes_what_runs_and_takes_nothing_new(floor: Floor) -> None:
    gateway = await floor.gateway()
    await floor.lease()
    await floor.effects.hold("hit")
    running = asyncio.create_task(floor.call("fax", what="last"))
    await floor.effects.seen("hit")

    draining = asyncio.create_task(gateway.drain(10.0))
    await asyncio.sleep(0)
    await floor.effects.release()

    assert await draining == 0
    assert value(await running) == b'"LAST"'


async def test_a_bug_of_our_own_is_told_and_nothing_is_called(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that raises what it should not ends the gateway: no answer is a no."""
    told = asyncio.Event()
    monkeypatch.setattr("remit.tools.policy.CHECKS", (lambda _: 1 / 0,))
    gateway = await floor.gateway()

    def tell(bug: BaseException) -> None:
        floor.bugs.append(bug)
        told.set()

    gateway._on_bug = tell
    await floor.lease()

    await floor.bus.publish(
        subject.tool("gw-1", "look", "clerk-a1"), HEAD + b'"arguments":{"what":"a"}}', reply="_I.test.x"
    )
    await asyncio.wait_for(told.wait(), 5)

    assert isinstance(floor.bugs.pop(), ExceptionGroup)
    assert await floor.entries() == []
    assert floor.effects.all == []
