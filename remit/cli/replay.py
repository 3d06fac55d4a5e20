"""`remit run replay`: derive a run again from its journal, with no call made, and compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remit.cli import fault, option, say

if TYPE_CHECKING:
    from remit.cli.say import Output
    from remit.client import Client
    from remit.replay import Replayed

COLUMNS = ("step", "role", "verdict", "operations", "why")


@click.command()
@click.argument("run")
@click.option("--team", default="", metavar="PATH", help="The code to replay it with; else the deployment's own.")
@click.option("--decisions-only", is_flag=True, help="Fold the journal; run no handler again.")
@option.common
def replay(run: str, *, team: str, decisions_only: bool, context: str, output: Output) -> int:
    """Derive a run again from its journal, with no call made, and say whether it comes out the same."""

    async def work(client: Client) -> Replayed:
        from remit import loader
        from remit import replay as replaying

        loaded = loader.load(loader.resolve(team) if team else client.place.team_ref)
        roles = None if decisions_only else loaded.team.roles
        return await replaying.replay(client.journal, loaded.spec(), run, roles=roles)

    found = option.read(context, work)
    say.one(say.data(found) | {"is_same": found.is_same}, output, text=_text(found))
    return fault.DONE if found.is_same else fault.BY_OUTCOME["incomplete"]


def _text(found: Replayed) -> str:
    lines = [
        f"{found.run_id}: {found.entries} entries folded, no call made",
        f"state    {found.state_hash}",
        f"recorded {found.recorded_hash or '(the run is open)'}",
    ]
    width = max((len(step.step) for step in found.steps), default=0)
    lines += [
        f"{step.step:<{width}}  {step.verdict:<9}  {step.operations} operations  {step.why}".rstrip()
        for step in found.steps
    ]
    lines.append("the same" if found.is_same else "NOT the same")
    return "\n".join(lines)
