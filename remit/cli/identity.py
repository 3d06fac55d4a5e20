"""`remit identity`: who a deployment is on a NATS that somebody else runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from remit.cli import say
from remit.cli.option import output as output_option

if TYPE_CHECKING:
    from remit.cli.say import Output


@click.group()
def command() -> None:
    """Write what the operator of NATS and the nodes need to know of a deployment."""


@command.command()
@click.option("--name", required=True, help="Name of the deployment.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@output_option
def export(name: str, *, out: Path, output: Output) -> None:
    """Write accounts and streams for who runs NATS, and secrets for the trusted nodes."""
    from remit import identity_export
    from remit.bus.permission import inbox

    inbox(name)  # it becomes part of names on the bus
    written = identity_export.export(name, out)
    text = "\n".join([*map(str, written), f"next: read {out / 'README.md'}"])
    say.one({"name": name, "files": [str(path) for path in written]}, output, text=text)
