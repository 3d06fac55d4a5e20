"""`remit run archive`: take runs that are over out of the journal, into files that anybody can verify."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from remit.cli import fault, option, say
from remit.contracts.errors import UsageError

if TYPE_CHECKING:
    from remit.archive import Choice, Report
    from remit.cli.say import Output
    from remit.client import Client

_UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_AGE: Final = re.compile(r"(\d+(?:\.\d+)?)([dhms])")
_OLDEST: Final = timedelta(days=36_500)
_SHOWN: Final = 20


@dataclass(frozen=True, kw_only=True)
class _Wish:
    runs: tuple[str, ...]
    older_than: timedelta
    out: Path | None
    creds: Path | None


@click.command("archive")
@click.argument("runs", nargs=-1)
@click.option("--older-than", default="30d", show_default=True, metavar="AGE", help="Since their end: 30d, 12h.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the files; else in the deployment's data.")
@click.option("--creds", type=click.Path(path_type=Path, exists=True), help="The archivist's, if not in the data.")
@click.option("--dry-run", is_flag=True, help="Say which, and do nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@option.common
def command(  # one for each option
    runs: tuple[str, ...],
    *,
    older_than: str,
    out: Path | None,
    creds: Path | None,
    dry_run: bool,
    yes: bool,
    context: str,
    output: Output,
) -> int:
    """Seal RUNS that are over, or all that are old enough, in files, and purge them from the journal."""
    wish = _Wish(runs=runs, older_than=age(older_than), out=out, creds=creds)
    choice = option.read(context, lambda client: _choose(client, wish))
    if dry_run or not choice.runs:
        return _say_choice(choice, output, is_named=bool(runs))
    asks = not yes and sys.stdin.isatty() and sys.stderr.isatty()
    if asks and not click.confirm(f"Archive {len(choice.runs)} runs, and purge them from the journal?", err=True):
        click.echo("nothing was done", err=True)
        return fault.REJECTED
    report = option.read(context, lambda client: _archive(client, choice, wish))
    whole = say.data(report)
    say.one(whole, output, text=_text(report))
    return fault.USAGE if runs and report.refused else fault.DONE


async def _choose(client: Client, wish: _Wish) -> Choice:
    from remit import archive, loader

    archive.check_age(wish.older_than, loader.load(client.place.team_ref).charter.retention_days)
    return await archive.choose(client, older_than=wish.older_than, named=wish.runs)


async def _archive(client: Client, choice: Choice, wish: _Wish) -> Report:
    from remit.archive import Archivist, Choice, choose

    # While the question stood somebody may have asked for a fork of one of them.
    now = await choose(client, older_than=wish.older_than, named=choice.runs)
    choice = Choice(runs=now.runs, refused=(*choice.refused, *now.refused), forks=now.forks)
    archivist = await Archivist.connect(client, credentials=wish.creds, out=wish.out)
    try:
        return await archivist.archive(choice, say=_progress)
    finally:
        await archivist.close()


def _progress(report: Report) -> None:
    if sys.stderr.isatty():
        click.echo(f"{report.runs} runs in {len(report.files)} files", err=True)


def _say_choice(choice: Choice, output: Output, *, is_named: bool) -> int:
    lines = [f"{len(choice.runs)} runs may be archived" + (f": {_listed(choice.runs)}" if choice.runs else "")]
    lines += [f"stays: {item.run}: {item.why}" for item in choice.refused]
    say.one(say.data(choice), output, text="\n".join(lines))
    return fault.USAGE if is_named and choice.refused else fault.DONE


def _text(report: Report) -> str:
    lines = [
        (
            f"{report.runs} runs, {report.entries} entries, {report.bytes_in / 1e6:.1f} MB"
            f" -> {len(report.files)} files, {report.bytes_out / 1e6:.1f} MB"
        ),
        *report.files[:_SHOWN],
        *(f"stays: {item.run}: {item.why}" for item in report.refused),
        f"sealed by {report.key}; next: remit evidence verify FILE --key {report.key}",
    ]
    return "\n".join(lines)


def _listed(runs: tuple[str, ...]) -> str:
    more = f" and {len(runs) - _SHOWN} more" if len(runs) > _SHOWN else ""
    return ", ".join(runs[:_SHOWN]) + more


def age(text: str) -> timedelta:
    """Give a span of time such as `30d`.

    Raises:
        UsageError: it is none.
    """
    found = _AGE.fullmatch(text)
    if found is None:
        raise UsageError("this is no age", where="--older-than", expected="30d, 12h, 90m or 45s", got=text)
    seconds = float(found[1]) * _UNITS[found[2]]
    if seconds > _OLDEST.total_seconds():
        raise UsageError("nothing is so old", where="--older-than", expected=f"{_OLDEST.days}d or less", got=text)
    return timedelta(seconds=seconds)
