"""The smallest team that foreign clients can talk to: one role that takes a millisecond."""

from __future__ import annotations

import asyncio

from remit import Context, Message, Role, Team

WORK_S = 0.001


class Ticket(Message, tag="support.ticket.v1"):
    customer: str
    text: str


class Answer(Message, tag="support.answer.v1"):
    text: str


class Clerk(Role[Ticket, Answer]):
    async def handle(self, work: Ticket, ctx: Context) -> Answer:
        await asyncio.sleep(WORK_S)
        return Answer(text=f"We received: {work.text}")


team = Team("support", roles=[Clerk], workflows={"ticket": Clerk})
