"""`remit role`: the pools, what waits for them, and how many hosts are wished."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from remit.cli import option, say
from remit.contracts.control import AUTO_HOSTS
from remit.contracts.document import TEAM_SCOPE
from remit.contracts.message import decode
from remit.contracts.proposal import StateCommitted
from remit.supervisor.wishes import POOL_KEY, change_of

if TYPE_CHECKING:
    from remit.cli.say import Output
    from remit.client import Client
    from remit.contracts.control import ControlDone, TeamStatus

COLUMNS = (
    "role",
    "mode",
    "desired",
    "ready",
    "busy",
    "backlog",
    "oldest_wait_s",
    "redelivered",
    "pending_reason",
    "why",
)
HISTORY = ("at", "hosts", "was", "by", "pinned", "waiting", "oldest_wait_s", "busy", "slots", "reason")


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


class Hosts(click.ParamType[int]):
    """A number of hosts, or `auto`."""

    name = "HOSTS"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Give the number; `auto` is the wish for none."""
        if value == "auto":
            return AUTO_HOSTS
        if not str(value).isdecimal():
            self.fail(f"{value!r} is neither a number of hosts nor auto", param, ctx)
        return int(str(value))


@command.command()
@click.argument("role")
@click.argument("hosts", type=Hosts())
@option.common
def scale(role: str, hosts: int, *, context: str, output: Output) -> None:
    """Wish for a number of HOSTS of ROLE, which pins its pool; 0 holds the work, `auto` gives the wish back."""

    async def work(client: Client) -> ControlDone:
        return await client.scale(role, hosts)

    done = option.ask(context, work)
    said = {"role": role, "hosts": hosts if hosts != AUTO_HOSTS else "auto"}
    say.one(said, output, text=f"{done.detail}; next: remit role list")


@command.command()
@click.argument("role")
@option.common
def release(role: str, *, context: str, output: Output) -> None:
    """Start the quarantined hosts of ROLE now; `remit role list` says what they died of."""

    async def work(client: Client) -> ControlDone:
        return await client.release(role)

    done = option.ask(context, work)
    say.one({"role": role, "detail": done.detail}, output, text=f"{done.detail}; next: remit role list")


@command.command()
@click.argument("role")
@option.common
def history(role: str, *, context: str, output: Output) -> None:
    """Show every change of the hosts of ROLE: how many, who said so, why, and what was seen."""

    async def work(client: Client) -> list[StateCommitted]:
        return [decode(StateCommitted, entry.data) async for entry in client.versions(TEAM_SCOPE, POOL_KEY + role)]

    found = option.read(context, work)
    say.rows([_change(version) for version in found], output, columns=HISTORY, empty=f"nobody has changed {role} yet")


def _change(version: StateCommitted) -> dict[str, object]:
    change = change_of(msgspec.json.decode(version.value))
    at: dict[str, object] = {"at": version.committed_at.isoformat(timespec="seconds"), "by": version.agent}
    if change is None:
        return at
    return at | say.data(change) | {"pinned": change.is_pinned}
