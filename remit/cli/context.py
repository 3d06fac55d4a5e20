"""`remit context`: which deployments are known here, and which one commands use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from remit.cli import say
from remit.cli.option import output as output_option

if TYPE_CHECKING:
    from remit.cli.say import Output


@click.group()
def command() -> None:
    """List and choose deployments."""


@command.command("list")
@output_option
def list_(output: Output) -> None:
    """List the known deployments."""
    from remit import places
    from remit.contracts.errors import NotFoundError

    try:
        current = places.current().name
    except NotFoundError:
        current = ""
    items = [say.data(place) | {"current": place.name == current} for place in places.every()]
    columns = ("current", "name", "team", "url", "data")
    say.rows(items, output, columns=columns, empty="nothing is deployed yet; next: remit up")


@command.command()
@click.argument("name")
@output_option
def use(name: str, output: Output) -> None:
    """Make NAME the deployment that commands use."""
    from remit import places

    places.use(name)
    override = os.environ.get(places.CURRENT, "")
    hint = f"; {places.CURRENT}={override} still comes first in this shell" if override not in {"", name} else ""
    say.one({"current": name}, output, text=f"{name} is the current context{hint}")
