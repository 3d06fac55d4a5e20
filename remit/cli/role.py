"""`remit role`: the pools, what waits for them, and how many hosts are wished."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remit.cli import option, say

if TYPE_CHECKING:
    from remit.cli.say import Output
    from remit.client import Client
    from remit.contracts.control import ControlDone, TeamStatus

COLUMNS = ("role", "desired", "ready", "busy", "backlog", "oldest_wait_s", "redelivered", "pending_reason")


@click.group()
def command() -> None:
    """List and scale the pools of roles."""


@command.command("list")
@option.common
def list_(context: str, output: Output) -> None:
    """List roles: hosts wished and ready, busy slots, what waits and for how long, why something is pending."""

    async def work(client: Client) -> TeamStatus:
        return await client.status()

    status = option.ask(context, work)
    say.rows([say.data(role) for role in status.roles], output, columns=COLUMNS, empty="no roles")


@command.command()
@click.argument("role")
@click.argument("hosts", type=click.IntRange(min=0))
@option.common
def scale(role: str, hosts: int, *, context: str, output: Output) -> None:
    """Wish for a number of HOSTS of ROLE; 0 holds the work. The wish outlives the supervisor."""

    async def work(client: Client) -> ControlDone:
        return await client.scale(role, hosts)

    done = option.ask(context, work)
    say.one({"role": role, "hosts": hosts}, output, text=f"{done.detail}; next: remit role list")
