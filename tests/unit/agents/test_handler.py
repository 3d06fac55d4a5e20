"""A role ready to run: its body is checked before, its reply after."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.agents.fault import WrongReplyError
from remit.agents.handler import Handler
from remit.agents.role import Role
from remit.contracts.blob import INLINE_LIMIT_BYTES, BlobRef
from remit.contracts.errors import MalformedMessageError, TooLargeError
from remit.contracts.message import Message, decode
from remit.contracts.step import RunStep

if TYPE_CHECKING:
    from remit.agents.context import Context
    from remit.agents.port import StepPort


class Ticket(Message, tag="support.ticket.v1"):
    text: str


class Answer(Message, tag="support.answer.v1"):
    text: str
    stars: int = 0


class Clerk(Role[Ticket, Answer]):
    async def handle(self, work: Ticket, ctx: Context) -> Answer:
        match work.text:
            case "wrong class":
                return Ticket(text="mine")  # type: ignore[return-value]
            case "nothing":
                return None  # type: ignore[return-value]
            case "wrong field":
                return Answer(text="ok", stars="five")  # type: ignore[arg-type]
            case "no json":
                return Answer(text=object())  # type: ignore[arg-type]
            case "half a character":
                return Answer(text="\ud800")
            case "too large":
                return Answer(text="x" * INLINE_LIMIT_BYTES)
            case text:
                return Answer(text=f"{ctx.goal}: {text}")


@pytest.fixture
def handler() -> Handler:
    return Handler(Clerk)


def dispatched(body: bytes, *, body_ref: BlobRef | None = None) -> RunStep:
    return RunStep(
        run_id="r1",
        step="s",
        epoch=1,
        role="clerk",
        goal="help",
        goal_hash="sha256:0",
        contract="support.ticket.v1",
        body=msgspec.Raw(body),
        body_ref=body_ref,
        deadline_at=datetime.now(UTC) + timedelta(seconds=9),
        rule="plan",
    )


async def reply(handler: Handler, body: bytes, *, port: StepPort | None = None) -> bytes:
    return await handler.reply(dispatched(body), port)  # type: ignore[arg-type]  # these handlers open no door


async def test_a_reply_is_the_encoded_message(handler: Handler) -> None:
    body = await reply(handler, b'{"type":"support.ticket.v1","text":"broken"}')

    assert decode(Answer, body) == Answer(text="help: broken")
    assert (handler.role, handler.contract) == ("clerk", "support.answer.v1")


async def test_input_from_outside_needs_no_tag(handler: Handler) -> None:
    assert decode(Answer, await reply(handler, b'{"text":"broken"}')).text == "help: broken"


@pytest.mark.parametrize(
    ("body", "where"),
    [(b'{"text":5}', "$.text"), (b"{}", "$"), (b'{"type":"support.answer.v1","text":"x"}', "$.type"), (b"[", "$")],
)
async def test_a_body_that_breaks_the_contract_never_reaches_the_handler(
    handler: Handler, body: bytes, where: str
) -> None:
    with pytest.raises(MalformedMessageError) as caught:
        await reply(handler, body)

    assert caught.value.where == where


@pytest.mark.parametrize(
    ("text", "expected", "got"),
    [
        ("wrong class", "Answer", "Ticket"),
        ("nothing", "Answer", "NoneType"),
        ("wrong field", "int at $.stars", "str"),
        ("no json", "Answer as JSON", "Encoding objects of type object is unsupported"),
    ],
)
async def test_a_reply_that_breaks_the_contract_says_both_sides_and_the_handlers_line(
    handler: Handler, text: str, expected: str, got: str
) -> None:
    with pytest.raises(WrongReplyError) as caught:
        await reply(handler, msgspec.json.encode({"text": text}))

    assert (caught.value.expected, caught.value.got) == (expected, got)
    assert caught.value.where == f"{__file__}:{Clerk.handle.__code__.co_firstlineno}"


async def test_text_that_is_no_unicode_is_a_wrong_reply(handler: Handler) -> None:
    with pytest.raises(WrongReplyError):
        await reply(handler, b'{"text":"half a character"}')


async def test_a_reply_above_the_limit_of_a_message_is_refused_with_what_to_do(handler: Handler) -> None:
    with pytest.raises(TooLargeError, match="keep it behind a tool"):
        await reply(handler, b'{"text":"too large"}')


async def test_a_body_by_reference_is_refused(handler: Handler) -> None:
    work = dispatched(b"{}", body_ref=BlobRef(digest="sha256:0", size_bytes=1_000_000))

    with pytest.raises(TooLargeError, match="1000000 bytes"):
        await handler.reply(work, None)  # type: ignore[arg-type]
