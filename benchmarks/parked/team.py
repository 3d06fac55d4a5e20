"""The team that is measured: a role that waits for a time, and one that waits for a person."""

from __future__ import annotations

from datetime import datetime

from remit import Context, Message, Role, Team


class Nap(Message, tag="parked.nap.v1"):
    """Until when to wait; who waits for a person does not look at it."""

    until: datetime
    text: str = "x" * 200


class Woken(Message, tag="parked.woken.v1"):
    """It went on."""

    text: str


class Sleeper(Role[Nap, Woken]):
    """Waits for a time."""

    pool = 1

    async def handle(self, work: Nap, ctx: Context) -> Woken:
        """Sleep, once."""
        await ctx.sleep_until(work.until)
        return Woken(text=work.text)


class Asker(Role[Nap, Woken]):
    """Waits for a person."""

    pool = 1

    async def handle(self, work: Nap, ctx: Context) -> Woken:
        """Ask, once."""
        outcome = await ctx.review("may it go on?", {"text": work.text})
        return Woken(text=outcome.by)


team = Team("parked", roles=[Sleeper, Asker], workflows={"timer": Sleeper, "review": Asker})
