"""`remit init`: a new team that starts as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from remit.cli import say
from remit.cli.option import output as output_option

if TYPE_CHECKING:
    from remit.cli.say import Output


@click.command()
@click.argument("name")
@output_option
def command(name: str, output: Output) -> None:
    """Write a new team NAME: team.py, charter.yaml, test_team.py."""
    from remit import scaffold

    folder = Path(name)
    files = scaffold.write(folder.absolute())
    names = [str(folder / file.name) for file in files]
    text = "\n".join(["wrote " + ", ".join(names), f"next: cd {folder} && remit check . && pytest -q && remit up"])
    say.one({"name": folder.name, "files": names}, output, text=text)
