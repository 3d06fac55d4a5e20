"""A model behind a real gateway: what its server does, good or bad, becomes one outcome in the journal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from remit.contracts.message import decode
from remit.contracts.model import Completion
from remit.contracts.tool import ToolAnswered
from remit.tools.model import model_tool
from tests.integration.tools.model_floor import HELLO, KEY
from tests.model_server import Reaction, fails, says

if TYPE_CHECKING:
    from remit.contracts.errors import Fault
    from tests.integration.tools.conftest import Answer
    from tests.integration.tools.model_floor import ModelFloor


def completion(answer: Answer) -> Completion:
    assert isinstance(answer, ToolAnswered), answer
    assert answer.error is None, answer.error
    return decode(Completion, answer.value)


def failed(answer: Answer) -> Fault:
    assert isinstance(answer, ToolAnswered), answer
    assert answer.error is not None
    return answer.error


async def test_a_completion_is_answered_priced_and_journaled(model: ModelFloor) -> None:
    await model.serve()
    model.server.then(says("good day", tokens=(1000, 500)))

    answer = completion(await model.ask(max_tokens=9, temperature=0.5))

    assert answer == Completion(text="good day", model="small-2026", tokens_in=1000, tokens_out=500, cost=0.002)
    (asked,) = model.server.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body == {
        "model": "small",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 9,
        "temperature": 0.5,
    }
    assert await model.floor.entries() == ["0.called", "0.returned"]
    assert decode(Completion, (await model.floor.returned()).value) == answer


async def test_an_answer_is_paid_for_once_however_often_it_is_asked_for(model: ModelFloor) -> None:
    await model.serve()

    first, second = await model.ask(), await model.ask()

    assert completion(first) == completion(second)
    assert len(model.server.asked) == model.server.paid == 1


async def test_a_server_without_room_is_asked_again_when_it_says_so(model: ModelFloor) -> None:
    await model.serve()
    model.server.then(fails(429, "slow down", retry_after="0.01"), fails(503, retry_after="0"))

    assert completion(await model.ask()).text == "ok"
    assert len(model.server.asked) == 3
    assert len({asked.key for asked in model.server.asked}) == 1
    assert model.server.paid == 1


async def test_a_server_that_asks_for_more_time_than_there_is_fails_the_call_at_once(model: ModelFloor) -> None:
    await model.serve()
    model.server.then(fails(429, "come back tomorrow", retry_after="86400"))

    fault = failed(await model.ask())

    assert (fault.code, fault.got) == ("RM-501", "429 come back tomorrow")
    assert len(model.server.asked) == 1


async def test_a_server_that_fails_again_and_again_fails_the_call(model: ModelFloor) -> None:
    await model.serve()
    model.server.script = lambda _asked: fails(500, "oh no", retry_after="0")

    fault = failed(await model.ask())

    assert (fault.code, fault.got, fault.expected) == ("RM-500", "500 oh no", "an answer within 4 tries")
    assert len(model.server.asked) == 4


async def test_a_request_that_the_server_refuses_is_told_in_its_words_and_not_repeated(model: ModelFloor) -> None:
    await model.serve()
    model.server.then(fails(401, f"wrong key: {KEY}"))

    fault = failed(await model.ask())

    assert (fault.code, fault.got) == ("RM-216", "401 wrong key: ***")
    assert len(model.server.asked) == 1


async def test_a_redirect_is_not_followed_with_the_key(model: ModelFloor) -> None:
    await model.serve()
    model.server.then(Reaction(b"", 307, {"Location": model.server.url}))

    assert failed(await model.ask()).code == "RM-216"
    assert len(model.server.asked) == 1


async def test_a_connection_lost_in_the_middle_of_an_answer_is_not_paid_for_twice(model: ModelFloor) -> None:
    await model.serve()
    said = says("a long answer")
    model.server.then(Reaction(said.body, sends=20, pays=True))

    assert completion(await model.ask()).text == "a long answer"
    assert (len(model.server.asked), model.server.paid) == (2, 1)


async def test_a_server_that_ignores_keys_may_be_paid_twice_for_a_connection_lost(model: ModelFloor) -> None:
    await model.serve()
    model.server.honours_keys = False
    model.server.then(Reaction(says("a").body, sends=20, pays=True))

    assert completion(await model.ask()).text == "ok"
    assert model.server.paid == 2


async def test_a_server_that_hangs_is_given_up_in_time(model: ModelFloor) -> None:
    await model.serve(timeout_s=0.4)
    model.server.then(Reaction(hangs=True))

    fault = failed(await model.ask())

    assert fault.code == "RM-102"
    assert "may have been paid for" in fault.message


async def test_nobody_at_the_address_is_said(model: ModelFloor) -> None:
    await model.serve(model_tool("http://127.0.0.1:9", models=["small"]), timeout_s=5.0)

    fault = failed(await model.ask())

    assert (fault.code, fault.where) == ("RM-501", "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"x" * (1024 * 1024 + 1), "too large"),
        (b"<html>down</html>", "cannot be read"),
        (b'{"choices": [7]}', "cannot be read"),
        (b'{"choices": []}', "gives no answer"),
        (b'{"error": {"message": "quota"}}', "gives no answer"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
async def test_an_answer_that_is_none_fails_the_call_and_is_not_asked_for_again(
    model: ModelFloor, body: bytes, said: str
) -> None:
    await model.serve()
    model.server.then(Reaction(body, pays=True))

    fault = failed(await model.ask())

    assert fault.code == "RM-500"
    assert said in fault.message
    assert len(model.server.asked) == 1


async def test_an_answer_that_is_packed_is_not_unpacked(model: ModelFloor) -> None:
    await model.serve()
    model.server.then(Reaction(b"\x1f\x8b", headers={"Content-Encoding": "gzip"}, pays=True))

    assert "packs" in failed(await model.ask()).message


@pytest.mark.parametrize(
    ("reaction", "stop", "refusal"),
    [
        (says("a", stop="length"), "length", ""),
        (says(None, refusal="I will not"), "refusal", "I will not"),
        (says("", stop="content_filter"), "refusal", ""),
        (says("a", stop="tool_calls"), "other", ""),
    ],
)
async def test_why_a_model_ended_is_told(model: ModelFloor, reaction: Reaction, stop: str, refusal: str) -> None:
    await model.serve()
    model.server.then(reaction)

    answer = completion(await model.ask())

    assert (answer.stop, answer.refusal) == (stop, refusal)


async def test_a_model_that_the_team_does_not_name_is_refused_and_nobody_is_asked(model: ModelFloor) -> None:
    await model.serve()

    fault = failed(await model.ask(model="huge"))

    assert (fault.code, fault.expected, fault.got) == ("RM-216", "small, large", "huge")
    assert model.server.asked == []


async def test_another_model_has_its_own_price(model: ModelFloor) -> None:
    await model.serve()
    model.server.then(says("a", tokens=(1000, 0)))

    assert completion(await model.ask(model="large")).cost == 0.01
    assert model.server.asked[0].body["model"] == "large"


async def test_a_key_that_is_not_there_is_said_without_asking_anybody(model: ModelFloor) -> None:
    await model.serve()
    model.key_file.unlink()

    fault = failed(await model.ask())

    assert (fault.code, fault.where) == ("RM-600", str(model.key_file))
    assert model.server.asked == []


async def test_a_key_that_no_header_can_hold_is_not_shown(model: ModelFloor) -> None:
    await model.serve()
    model.key_file.write_text("sk-line\nsk-other")

    assert failed(await model.ask()).code == "RM-600"
    assert b"sk-" not in await model.journal()


async def test_the_key_is_in_no_entry_even_where_a_server_says_it(model: ModelFloor) -> None:
    await model.serve()
    model.server.then(fails(403, f"{KEY} may not"), says(f"your key is {KEY}"))

    await model.ask("0")
    await model.ask("1")

    journal = await model.journal()
    assert KEY.encode() not in journal
    assert b"your key is ***" in journal


async def test_a_gateway_that_goes_on_for_a_dead_one_asks_under_the_same_key(model: ModelFloor) -> None:
    first = await model.serve()
    model.server.then(Reaction(hangs=True))
    asking = asyncio.create_task(model.ask())
    await model.server.reached.wait()
    await first.stop()
    asking.cancel()

    await model.serve(name="gw-2")
    await model.floor.lease("model.complete", epoch=2, gateway="gw-2", gone=("gw-1",))
    answer = await model.floor.call("model.complete", epoch=2, gateway="gw-2", messages=HELLO)

    assert completion(answer).text == "ok"
    assert len(model.server.asked) == 2
    assert len({asked.key for asked in model.server.asked}) == 1


async def test_a_schema_is_sent_unless_the_server_cannot_bear_one(model: ModelFloor) -> None:
    await model.serve()

    await model.ask(schema={"type": "object"})

    assert model.server.asked[0].body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}},
    }


async def test_a_server_that_is_said_to_bear_no_schema_gets_none(model: ModelFloor) -> None:
    await model.serve(model.tool(sends_schema=False, limit_field="max_completion_tokens"))

    await model.ask(schema={"type": "object"}, max_tokens=3)

    assert "response_format" not in model.server.asked[0].body
    assert model.server.asked[0].body["max_completion_tokens"] == 3


async def test_arguments_that_do_not_fit_are_refused(model: ModelFloor) -> None:
    await model.serve()

    wrong: tuple[dict[str, object], ...] = (
        {"messages": []},
        {"messages": ["x"]},
        {"max_tokens": -1},
        {"stream": True},
    )
    for arguments in wrong:
        assert not isinstance(await model.ask(**arguments), ToolAnswered)
    assert model.server.asked == []
