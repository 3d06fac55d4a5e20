"""`remit status`: the deployment as its supervisor sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remit.cli import option, say
from remit.cli.role import COLUMNS
from remit.words import brief

if TYPE_CHECKING:
    from remit.cli.say import Output
    from remit.client import Client
    from remit.contracts.control import TeamStatus
    from remit.places import Place


@click.command()
@option.common
def command(context: str, output: Output) -> None:
    """Show the deployment as its supervisor sees it."""

    async def work(client: Client) -> tuple[Place, TeamStatus]:
        return client.place, await client.status()

    place, status = option.ask(context, work)
    if output != "table":
        say.one(say.data(status) | {"context": place.name, "url": place.url}, output, text="")
        return
    click.echo(_text(place, status) + "\n")
    say.rows([say.data(role) for role in status.roles], output, columns=COLUMNS, empty="no roles")


def _text(place: Place, status: TeamStatus) -> str:
    return say.pairs(
        [
            ("team", status.team),
            ("context", place.name),
            ("nats", place.url),
            ("data", place.data),
            ("build", brief(status.build)),
            ("charter", brief(status.charter)),
            ("since", status.started_at[:19]),
            ("open runs", f"{status.open_runs}, {status.parked_runs} of them wait for a person"),
            ("running", f"{status.running} runs; {status.waiting_tasks} tasks wait"),
            ("gateways", status.gateways),
            *(("alarm", alarm) for alarm in status.alarms),
            *([("not held", f"walls {', '.join(status.weaker)}: remit doctor")] if status.weaker else []),
        ]
    )
