"""`remit down`: a deployment on a cluster is served no more; its journal stays."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

import click

from remit.cli import option, say
from remit.contracts.errors import ClusterLostError, UsageError

if TYPE_CHECKING:
    from remit.cli.say import Output
    from remit.client import Client

_UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_MARGIN_S: Final = 15.0


class Duration(click.ParamType[float]):
    """Seconds, minutes or hours: `60s`, `5m`, `1h`; a plain number is seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Give the seconds."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(value))
        if found is None:
            self.fail(f"expected a duration such as 60s or 5m, got {value!r}", param, ctx)
        return float(found[1]) * _UNITS[found[2]]


@click.command()
@click.option(
    "--drain", type=Duration(), default=30.0, metavar="TIME", help="How long steps may finish: 60s, 5m. Else 30s."
)
@option.common
def command(drain: float, *, context: str, output: Output) -> None:
    """End a deployment on a cluster: steps finish or are handed back, then nothing of it runs any more."""
    from remit import places

    place = places.current(context)
    if not place.ray_address:
        raise UsageError(
            "this deployment lives in the shell of its `remit up`", where=place.name, fix="end it there with Ctrl-C"
        )
    began = time.monotonic()
    try:
        said = option.ask(context, lambda client: _down(client, drain))
    except ClusterLostError:
        from remit import ray_cluster

        ended = ray_cluster.end_by_force(place.name, place.ray_address)
        said = f"the supervisor did not answer; {ended} actors were ended by Ray" if ended else "it was down already"
    took_s = time.monotonic() - began
    text = f"{place.name} is down after {took_s:.1f} s: {said}; next: remit deploy goes on from the journal"
    say.one({"context": place.name, "detail": said, "duration_s": round(took_s, 1)}, output, text=text)


async def _down(client: Client, drain_s: float) -> str:
    done = await client.down(drain_s)
    await client.until_down(drain_s * 2 + _MARGIN_S)  # hosts first, then gateways
    return done.detail
