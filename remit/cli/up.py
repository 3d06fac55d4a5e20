"""`remit up`: a team on this machine, until Ctrl-C."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remit.cli import fault, say
from remit.cli.option import output as output_option

if TYPE_CHECKING:
    from remit.bus.embedded import Durability
    from remit.cli.say import Output
    from remit.embedded import Embedded
    from remit.loader import Loaded


@click.command()
@click.argument("team", default=".")
@click.option("--name", default="", help="Name of the deployment; else the team's.")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Of NATS; else 4222, or a free one.")
@click.option(
    "--durability",
    type=click.Choice(["embedded", "durable"]),
    default="embedded",
    show_default=True,
    help="`durable` also survives a loss of power.",
)
@click.option("--strand", is_flag=True, help="End the open runs that this build cannot go on with.")
@output_option
def command(team: str, *, name: str, port: int | None, durability: Durability, strand: bool, output: Output) -> int:
    """Serve a team (a folder, a file or a module) until Ctrl-C; what is open goes on at the next start."""
    from remit import foreground, logs
    from remit.check.target import check

    began = time.monotonic()
    verdict = check(team)
    if verdict.loaded is None or verdict.mistakes:
        for mistake in verdict.mistakes:
            fault.write(mistake.fault())
        return fault.CONTRACT
    loaded = verdict.loaded
    logs.configure()
    chosen = name or loaded.team.name
    _check_same_team(chosen, loaded)
    was_up = False
    try:
        with foreground.deployed(
            loaded, name=chosen, port=_port(port), durability=durability, strands=strand
        ) as deployment:
            was_up = True
            _say_ready(deployment, output, duration_s=time.monotonic() - began)
            foreground.wait(deployment)
    except KeyboardInterrupt:
        if output == "table":
            click.echo("stopped; what is open goes on at the next `remit up`", err=True)
        if not was_up:
            foreground.end_at_once()
        return fault.DONE


def _port(chosen: int | None) -> int | None:
    from remit.embedded import FIRST_PORT

    return FIRST_PORT if chosen is None else chosen


def _check_same_team(name: str, loaded: Loaded) -> None:
    """Two teams of one name would take each other's runs for their own."""
    from remit import places
    from remit.contracts.errors import ConflictError, NotFoundError

    try:
        before = places.read(name).team_ref
    except NotFoundError:
        return
    if before != loaded.ref and Path(before).exists():
        raise ConflictError(
            f"the deployment {name} belongs to another team file",
            where=loaded.ref,
            expected=before,
            got=loaded.ref,
            fix=f"remit up --name {name}-2",
        )


def _say_ready(deployment: Embedded, output: Output, *, duration_s: float) -> None:
    from remit.check.target import Verdict
    from remit.cli.check import summary

    place, taken = deployment.place, deployment.server.port_was_taken
    if output != "table":
        say.one(say.data(place) | {"port_was_taken": taken}, output, text="")
        return
    moved = f"   (port {taken} is taken: this one is kept from now on)" if taken else ""
    said = summary(Verdict(deployment.loaded.ref, (), deployment.loaded))
    lines = [
        f"{said}; up after {duration_s:.1f} s",
        f"nats  {place.url}{moved}",
        f"data  {place.data}",
        "",
        "Paste into another shell:",
        *(f"  {line}" for line in _lines(deployment)),
        "",
        "Ctrl-C stops the team; what is open goes on at the next start.",
    ]
    click.echo("\n".join(lines))


def _lines(deployment: Embedded) -> list[str]:
    from remit.example import example_of

    place, spec = deployment.place, deployment.loaded.spec()
    lines = [f"export NATS_URL={place.url} NATS_CREDS={shlex.quote(place.publisher)}"]
    for workflow in spec.workflows:
        given = json.dumps(example_of(spec.takes(workflow)), ensure_ascii=False)
        goal = f"try {workflow}"
        body = f'{{"goal":{json.dumps(goal)},"input":{given}}}'
        lines.append(f"nats req remit.task.{workflow} {shlex.quote(body)}")
        submit = f"remit submit {workflow} --goal {shlex.quote(goal)} --input - --wait"
        lines.append(f"echo {shlex.quote(given)} | {submit}")
    return [*lines, "remit run list", "remit review list"]
