"""`remit run`: what is running and what was, why it was believed complete, and how to steer it."""

from __future__ import annotations

from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remit.archive_index import ArchiveIndex
from remit.cli import archive as archiving
from remit.cli import fault, option, say, steer
from remit.cli.replay import replay
from remit.contracts.errors import NotFoundError
from remit.words import clock, line

if TYPE_CHECKING:
    from remit.bus.journal import Entry
    from remit.cli.say import Output
    from remit.client import Client
    from remit.forks import Fork
    from remit.history import History
    from remit.listing import RunLine

COLUMNS = ("run", "state", "workflow", "age", "took", "goal", "waiting_for")
_GOAL_SHOWN = 48


@click.group()
def command() -> None:
    """List, show, follow and steer runs."""


@command.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="The newest so many.")
@option.common
def list_(limit: int, context: str, output: Output) -> None:
    """List the newest runs: state, goal, age, and what they wait for."""

    async def work(client: Client) -> list[RunLine]:
        from remit import listing

        return await listing.runs(client, limit=limit)

    found = option.read(context, work)
    if output == "table":
        say.rows([_row(item) for item in found], output, columns=COLUMNS, empty="no runs; next: remit submit --help")
    else:
        say.rows([say.data(item) for item in found], output, columns=(), empty="")


@command.command()
@click.argument("run")
@click.option(
    "--archive",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Read it from this file, which is verified; no server.",
)
@option.common
def show(run: str, *, archive: Path | None, context: str, output: Output) -> None:
    """Show a run: its goal, the context it read, the tools it called, and why it was believed complete."""
    from remit.cli import account

    if archive is not None:
        history = _archived(archive, run)
        say.one(account.whole(history, []), output, text=account.text(history, []))
        return

    async def work(client: Client) -> tuple[History, list[Fork]]:
        from remit import forks

        history = await _history(client, run)
        return history, await forks.of(client, run)

    history, found = option.read(context, work)
    say.one(account.whole(history, found), output, text=account.text(history, found))


@command.command()
@click.argument("run")
@option.common
def tail(run: str, context: str, output: Output) -> int:
    """Follow a run, one line per entry, until it is finished."""

    async def work(client: Client) -> History:
        from remit.history import History
        from remit.watch import follow

        await _check(client, run)
        history = History(run)
        async for entry in follow(client, history):
            _say(entry, output)
        return history

    history = option.ask(context, work)
    return fault.BY_OUTCOME[history.finished.outcome] if history.finished is not None else fault.DONE


async def _history(client: Client, run: str) -> History:
    from remit import dossier, watch
    from remit.history import fold

    await _check(client, run)
    entries = await watch.read(client, run)
    more = await dossier.written_elsewhere(client, fold(run, entries), entries)
    return fold(run, sorted([*entries, *more], key=attrgetter("seq")))


async def _check(client: Client, run: str) -> None:
    from remit.client import seq_of

    seq = seq_of(run)
    if await client.first_of(run) is not None or await client.task(seq) is not None:
        return
    if await client.finished(run) is None:
        raise NotFoundError(f"there is no run {run}", got=run, fix="remit run list")
    file = ArchiveIndex(Path(client.place.data)).find(run)
    raise NotFoundError(
        f"run {run} was archived",
        where=str(file) if file is not None else "in a file that this deployment's index does not name",
        got=run,
        fix=f"remit run show {run} --archive {file or 'FILE'}",
    )


def _archived(file: Path, run: str) -> History:
    from remit.bus import seal
    from remit.history import fold

    found = next((item for item in seal.read(file).runs if item.run == run), None)
    if found is None:
        raise NotFoundError(f"there is no run {run} in this file", where=str(file), got=run)
    return fold(run, found.entries)


def _say(entry: Entry, output: Output) -> None:
    if output == "table":
        click.echo(f"{clock(entry.stored_at)}  {line(entry)}")
        return
    at = entry.stored_at.isoformat() if entry.stored_at is not None else None
    said = {"seq": entry.seq, "at": at, "subject": entry.subject, "text": line(entry)}
    say.rows([said], "jsonl", columns=(), empty="")


def _row(item: RunLine) -> dict[str, object]:
    goal = item.goal if len(item.goal) <= _GOAL_SHOWN else item.goal[: _GOAL_SHOWN - 1] + "…"
    age = (datetime.now(UTC) - item.started_at).total_seconds() if item.started_at is not None else 0.0
    return say.data(item) | {
        "goal": goal,
        "age": _span(age),
        "took": _span(item.duration_ms / 1000) if item.duration_ms else "",
    }


def _span(seconds: float) -> str:
    """Give a span of time with its largest unit."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"


for item in (*steer.COMMANDS, replay, archiving.command):
    command.add_command(item)
