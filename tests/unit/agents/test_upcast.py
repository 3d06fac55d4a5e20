"""A role gets the body of an older version as today's message, or its step fails with the reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.agents.handler import Handler
from remit.agents.role import Role
from remit.contracts.errors import MalformedMessageError
from remit.contracts.message import Message, decode
from remit.contracts.step import RunStep

if TYPE_CHECKING:
    from remit.agents.context import Context


class Ticket(Message, frozen=True, tag="support.ticket.v2"):
    words: tuple[str, ...]


class Clerk(Role[Ticket, Ticket]):
    async def handle(self, work: Ticket, ctx: Context) -> Ticket:
        return work


def to_v2(plain: dict[str, object]) -> dict[str, object]:
    return {"type": "support.ticket.v2", "words": str(plain["text"]).split()}


def dispatched(body: bytes) -> RunStep:
    return RunStep(
        run_id="r1",
        step="s",
        epoch=1,
        role="clerk",
        goal="help",
        goal_hash="sha256:0",
        contract="support.ticket.v1",
        body=msgspec.Raw(body),
        deadline_at=datetime.now(UTC) + timedelta(seconds=9),
        rule="plan",
    )


async def reply(body: bytes) -> bytes:
    handler = Handler(Clerk, {"support.ticket.v1": to_v2})
    return await handler.reply(dispatched(body), None)  # type: ignore[arg-type]  # this handler opens no door


@pytest.mark.parametrize("body", [b'{"type":"support.ticket.v1","text":"it broke"}', b'{"text":"it broke"}'])
async def test_a_body_of_an_older_build_is_brought_forward(body: bytes) -> None:
    assert decode(Ticket, await reply(body)) == Ticket(("it", "broke"))


async def test_a_body_that_cannot_be_brought_forward_is_refused_before_the_role_runs() -> None:
    with pytest.raises(MalformedMessageError, match=r"the upcast from support.ticket.v1 failed: KeyError"):
        await reply(b"{}")
