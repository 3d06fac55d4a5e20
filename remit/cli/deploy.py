"""`remit deploy`: a team on a Ray cluster and a NATS that are there already; it survives this shell."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remit.cli import fault, say
from remit.cli.option import output as output_option

if TYPE_CHECKING:
    from remit.bus.topology import Profile
    from remit.cli.say import Output
    from remit.cluster import Deployed


def _absolute(_ctx: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
    """Give a path that means the same on another node, and to a later command in another folder."""
    return path.absolute() if path is not None else None


@click.command()
@click.argument("team", default=".")
@click.option("--nats", "url", required=True, metavar="URL", help="Addresses of NATS, with commas.")
@click.option("--ray-address", required=True, metavar="ADDR", help="Of the cluster, as `ray.init` takes it.")
@click.option("--name", default="", help="Name of the deployment; else the team's.")
@click.option(
    "--profile",
    type=click.Choice(["cluster", "durable", "embedded"]),
    default="cluster",
    show_default=True,
    help="What the server is to survive; it is tried at the start.",
)
@click.option(
    "--secrets",
    type=click.Path(path_type=Path),
    default=None,
    callback=_absolute,
    help="Folder with the signing keys on the trusted nodes; else this machine's own.",
)
@click.option(
    "--creds",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=None,
    callback=_absolute,
    help="One identity for everybody, a file on every node; for a server on which the team has no accounts.",
)
@click.option("--allow-weaker", is_flag=True, help="Serve also where the server cannot hold every wall.")
@click.option("--gateways", type=click.IntRange(1, 64), default=2, show_default=True, help="How many.")
@click.option("--strand", is_flag=True, help="End the open runs that this build cannot go on with.")
@output_option
def command(  # noqa: PLR0913  # one for each option
    team: str,
    *,
    url: str,
    ray_address: str,
    name: str,
    profile: Profile,
    secrets: Path | None,
    creds: Path | None,
    allow_weaker: bool,
    gateways: int,
    strand: bool,
    output: Output,
) -> int:
    """Serve a team (a folder, a file, or a module that the nodes have) on a cluster, and return."""
    from remit import cluster, logs
    from remit.check.target import check

    began = time.monotonic()
    verdict = check(team)
    if verdict.loaded is None or verdict.mistakes:
        for mistake in verdict.mistakes:
            fault.write(mistake.fault())
        return fault.CONTRACT
    logs.configure()
    target = cluster.Target(
        name=name or verdict.loaded.team.name,
        url=url,
        ray_address=ray_address,
        profile=profile,
        secrets=secrets,
        creds=creds,
        allows_weaker=allow_weaker,
        gateways=gateways,
    )
    deployed = cluster.deploy(verdict.loaded, target, strands=strand)
    text = _text(deployed, duration_s=time.monotonic() - began)
    say.one(say.data(deployed.place) | {"build": deployed.build, "was_there": deployed.was_there}, output, text=text)
    return fault.DONE


def _text(deployed: Deployed, *, duration_s: float) -> str:
    from remit.words import brief

    if deployed.was_there:
        said = "is served already, and nothing changed"
    elif deployed.is_replacement:
        said = "is served now; what the deployment before it holds is finished or handed over"
    else:
        said = "is served"
    return (
        f"{deployed.place.team}, build {brief(deployed.build)}, {said}; {duration_s:.1f} s\n"
        f"context {deployed.place.name}; next: remit status"
    )
