"""`remit doctor`: tries the deployment, and says what it gives and what it does not."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click

from remit.cli import fault, option, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remit.cli.say import Output
    from remit.client import Client
    from remit.doctor import Finding

_WIDTH = 100
_MARKS = {"good": "ok  ", "bad": "BAD ", "note": "    "}


@click.command()
@option.common
def command(context: str, output: Output) -> int:
    """Look at this machine and at the deployment; write one task and read its outcome back."""
    from remit import doctor, places
    from remit.contracts.errors import RemitError

    async def work(client: Client) -> Sequence[Finding]:
        return await doctor.look_at(client)

    found = doctor.look_here()
    try:
        place = places.current(context)
        found += option.ask(place.name, work)
        found += doctor.separation(place)
    except RemitError as error:
        found.append(doctor.absent(error))
    if output == "table":
        click.echo("\n".join(_said(item) for item in found))
    else:
        say.rows([say.data(item) for item in found], output, columns=(), empty="")
    return fault.FAILED if any(item.state == "bad" for item in found) else fault.DONE


def _said(item: Finding) -> str:
    head = f"{_MARKS[item.state]}{item.what:<16}"
    return textwrap.fill(item.said, _WIDTH, initial_indent=head, subsequent_indent=" " * len(head))
