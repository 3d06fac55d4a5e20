"""`remit evidence`: hold what was sealed against its seal; no server, and no key but the public one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from remit.cli import option, say

if TYPE_CHECKING:
    from remit.cli.say import Output


@click.group()
def command() -> None:
    """Verify archived runs, offline."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--key", default="", metavar="U…", help="The archivist's public key, as you know it from elsewhere.")
@option.output
def verify(file: Path, *, key: str, output: Output) -> None:
    """Hold every entry of FILE against its chain, and every chain against its signature."""
    from remit.bus import seal

    found = seal.read(file, key=key)
    said = {
        "file": str(file),
        "team": found.opening.team,
        "deployment": found.opening.deployment,
        "sealed_at": found.opening.sealed_at.isoformat(),
        "key": found.opening.key,
        "key_is_known": bool(key),
        "runs": [run.run for run in found.runs],
        "entries": found.seal.entries,
        "head": found.seal.head,
    }
    lines = [
        f"{file}: {found.seal.runs} runs, {found.seal.entries} entries; every one is as it was sealed",
        (
            f"by {found.opening.key}, deployment {found.opening.deployment} of team {found.opening.team},"
            f" at {found.opening.sealed_at:%Y-%m-%d %H:%M:%S} UTC"
        ),
    ]
    if not key:
        lines.append("whoever holds that key may have sealed anything: hold it against the one you know, with --key")
    say.one(said, output, text="\n".join(lines))
