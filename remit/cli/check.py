"""`remit check`: every mistake of a team and its charter, with file, line and fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remit.cli import fault, say
from remit.cli.option import output as output_option

if TYPE_CHECKING:
    from remit.check.target import Verdict
    from remit.cli.say import Output


@click.command()
@click.argument("team", default=".")
@output_option
def command(team: str, output: Output) -> int:
    """Hold a team (a folder, a file or a module) against its charter."""
    from remit.check.target import check

    verdict = check(team)
    found = [error.fault() for error in verdict.mistakes]
    if output == "table":
        for item in found:
            fault.write(item)
        click.echo(_said(verdict))
    else:
        say.rows([say.data(item) for item in found], output, columns=(), empty="")
    return fault.DONE if verdict.is_sound else fault.CONTRACT


def _said(verdict: Verdict) -> str:
    if verdict.loaded is None or verdict.mistakes:
        count = len(verdict.mistakes)
        return f"{count} mistake{'s' if count > 1 else ''}: the team does not start"
    return f"{summary(verdict)}: in order; next: remit up"


def summary(verdict: Verdict) -> str:
    """Say how much there is in a team."""
    if verdict.loaded is None:
        return verdict.ref
    team = verdict.loaded.team
    counts = (("role", team.roles), ("tool", team.tools), ("workflow", team.workflows))
    said = ", ".join(f"{len(items)} {noun}{'' if len(items) == 1 else 's'}" for noun, items in counts)
    return f"team {team.name}: {said}"
