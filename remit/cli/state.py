"""`remit state`: shared state as the journal holds it: what stands, why, by whom, and back to what stood before."""

from __future__ import annotations

import getpass
import sys
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click
import msgspec

from remit.cli import fault, option, say
from remit.contracts.errors import NotFoundError, UsageError
from remit.contracts.proposal import TEAM_SCOPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedWriter

    from remit.cards import Card
    from remit.cli.say import Output
    from remit.client import Client
    from remit.contracts.control import ControlDone
    from remit.contracts.proposal import ProposalRecord, StateCommitted
    from remit.disputes import Dispute
    from remit.provenance import Difference, Origin

P = ParamSpec("P")
T = TypeVar("T")


def _scope(function: Callable[P, T]) -> Callable[P, T]:
    given = click.option(
        "--scope",
        default=TEAM_SCOPE,
        show_default=True,
        metavar="SCOPE",
        help="A run such as r41, workflow:NAME, or team.",
    )
    return given(function)


_prefix = click.option("--prefix", default="", help="Only keys that start so.")
_version = click.IntRange(min=0)


@click.group()
def command() -> None:
    """Read, explain, roll back and export shared state."""


@command.command("list")
@_scope
@_prefix
@click.option("--all", "with_gone", is_flag=True, help="Keys that were taken out, too.")
@option.common
def list_(scope: str, prefix: str, *, with_gone: bool, context: str, output: Output) -> None:
    """List keys with their newest version: who made it, in which run and step, by which rule."""
    from remit import dossier
    from remit.cli import ledger

    found = option.read(context, lambda client: dossier.newest(client, scope, prefix))
    shown = [item for item in found if with_gone or not item.deleted]
    tell = ledger.cells if output == "table" else ledger.listed
    say.rows([tell(item) for item in shown], output, columns=ledger.LIST, empty=f"no state in scope {scope}")


@command.command()
@click.argument("key")
@_scope
@click.option("--version", type=click.IntRange(min=1), default=None, help="An older one; else the newest.")
@option.common
def get(key: str, scope: str, *, version: int | None, context: str, output: Output) -> None:
    """Show the whole value of KEY, with its version, its digest, and who made it when."""
    from remit import dossier
    from remit.cli import ledger

    async def work(client: Client) -> tuple[StateCommitted, bytes]:
        chosen = dossier.pick(await dossier.of_key(client, scope, key), version or 0)
        return chosen, await dossier.value(client, chosen)

    found, data = option.read(context, work)
    if found.deleted:
        raise NotFoundError(
            f"{key} was taken out in version {found.version}",
            got=key,
            fix=f"remit state history {quote(key)} --scope {scope}",
        )
    say.one(ledger.listed(found) | {"value": msgspec.Raw(data)}, output, text=ledger.whole(found, data))


@command.command()
@click.argument("key")
@_scope
@option.common
def history(key: str, scope: str, *, context: str, output: Output) -> None:
    """Show what became of every proposal for KEY: committed, with what was decided; rejected, refused, or waiting."""
    from remit import contention, dossier
    from remit.cli import ledger

    async def work(client: Client) -> tuple[list[StateCommitted], list[ProposalRecord], list[Dispute]]:
        found = await dossier.of_key(client, scope, key)
        waiting = await contention.open_disputes(client, scope, key)
        mine = [item for item in waiting if any(field.key == key for field in item.conflict.fields)]
        return found, await contention.records(client, scope, key), mine

    told = ledger.events(*option.read(context, work))
    if output == "table":
        click.echo("\n".join([say.heading(f"{key}, scope {scope}"), *(line for _row, lines in told for line in lines)]))
    else:
        say.rows([row for row, _lines in told], output, columns=(), empty="")


@command.command()
@click.argument("key")
@click.argument("old", type=_version, metavar="FROM")
@click.argument("new", type=_version, metavar="TO")
@_scope
@option.common
def diff(key: str, old: int, new: int, *, scope: str, context: str, output: Output) -> None:
    """Show which parts of KEY differ between two versions; version 0 is before it was there."""
    from remit.cli import ledger

    found = option.read(context, lambda client: _differences(client, scope, key, between=(old, new)))
    tell = ledger.difference_cells if output == "table" else ledger.difference
    say.rows([tell(item) for item in found], output, columns=ledger.DIFF, empty="nothing differs")


@command.command()
@click.argument("key")
@click.argument("path", default="")
@_scope
@option.common
def blame(key: str, path: str, *, scope: str, context: str, output: Output) -> None:
    """Show for every field of KEY, or of the part at PATH, who set or decided it, why, and what it replaced."""
    from remit import blame as fields
    from remit import dossier
    from remit.cli import ledger

    async def work(client: Client) -> list[Origin]:
        return await fields.origins(client, await dossier.of_key(client, scope, key), path)

    path = path if path.startswith("/") or not path else f"/{path}"
    found = option.read(context, work)
    if not found:
        raise NotFoundError(
            f"{key} has no part {path}", got=path, fix=f"remit state blame {quote(key)} --scope {scope}"
        )
    tell = ledger.origin_cells if output == "table" else ledger.origin
    say.rows([tell(item) for item in found], output, columns=ledger.BLAME, empty="")


@command.command()
@_scope
@_prefix
@option.common
def conflicts(scope: str, prefix: str, *, context: str, output: Output) -> None:
    """Show the conflicts that were decided, and those that wait: base, every side, the rule, the result."""
    from remit import cards, contention, dossier
    from remit.cli import ledger

    async def work(client: Client) -> tuple[list[Card], list[Dispute]]:
        found = [item async for item in dossier.versions(client, scope) if item.key.startswith(prefix)]
        return cards.cards(found), await contention.open_disputes(client, scope, prefix)

    decided, disputes = option.read(context, work)
    waiting = [(item, field) for item in disputes for field in item.conflict.fields if field.key.startswith(prefix)]
    if output == "table":
        lines = [line for item in decided for line in ledger.card_lines(item)]
        lines += [line for item in waiting for line in ledger.open_card_lines(*item)]
        click.echo("\n".join(lines) or f"no conflicts in scope {scope}")
    else:
        told = [*map(ledger.card, decided), *(ledger.open_card(*item) for item in waiting)]
        say.rows(told, output, columns=(), empty="")


@command.command()
@click.argument("key")
@click.option("--to", type=_version, required=True, metavar="VERSION", help="What is to stand again; 0 takes it out.")
@_scope
@click.option("--yes", is_flag=True, help="Do not ask.")
@option.common
def rollback(key: str, to: int, *, scope: str, yes: bool, context: str, output: Output) -> int:
    """Let an older version of KEY stand again, as a new version; nothing that was is lost."""
    from remit.cli import ledger
    from remit.contracts.control import RollbackState

    newest, found = option.ask(context, lambda client: _undone(client, scope, key, to=to))
    for item in found:
        click.echo(ledger.difference_line(item), err=True)
    if found and not (yes or _agreed(key, to, scope)):
        click.echo("nothing changed", err=True)
        return fault.REJECTED
    wish = RollbackState(scope=scope, key=key, version=to, by=getpass.getuser(), expected_version=newest)

    async def work(client: Client) -> ControlDone:
        return await client.rollback(wish)

    detail = option.ask(context, work).detail if found else f"{key} is as it was at version {to} already"
    whole = {"key": key, "scope": scope, "to": to, "changed": [ledger.difference(item) for item in found]}
    next_ = f"remit state history {quote(key)} --scope {scope}"
    say.one(whole | {"detail": detail, "next": next_}, output, text=f"{detail}; next: {next_}")
    return fault.DONE


@command.command()
@_scope
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default=None, help="A file; else it is printed."
)
@click.option("--history", "whole", is_flag=True, help="Every version, oldest first, one per line.")
@option.common
def export(scope: str, *, out: Path | None, whole: bool, context: str, output: Output) -> None:
    """Write the state of a scope: keys in order, each with value, version and digest."""

    async def work(client: Client, write: Callable[[bytes], object]) -> int:
        if whole:
            return await _export_history(client, scope, write)
        return await _export(client, scope, write, output=output)

    with _written(out) as write:
        count = option.read(context, lambda client: work(client, write))
    if out is not None:
        what = "versions" if whole else "keys"
        say.one({"file": str(out), what: count}, output, text=f"wrote {count} {what} of scope {scope} to {out}")


# --- work ----------------------------------------------------------------------------------------


async def _differences(client: Client, scope: str, key: str, *, between: tuple[int, int]) -> list[Difference]:
    """Give what differs between two versions."""
    from remit import dossier, provenance

    found = await dossier.of_key(client, scope, key)
    before, after = [await dossier.document_at(client, found, number) for number in between]
    return list(provenance.differences(before, after))


async def _undone(client: Client, scope: str, key: str, *, to: int) -> tuple[int, list[Difference]]:
    """Give the newest version, and what of it a rollback would change."""
    from remit import dossier

    newest = (await dossier.of_key(client, scope, key))[-1].version
    return newest, await _differences(client, scope, key, between=(newest, to))


def _agreed(key: str, to: int, scope: str) -> bool:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "a rollback wants a yes, and nobody is here to ask",
            fix=f"remit state rollback {quote(key)} --to {to} --scope {scope} --yes",
        )
    return click.confirm(f"let version {to} of {key} stand again?", err=True)


async def _export(client: Client, scope: str, write: Callable[[bytes], object], *, output: Output) -> int:
    from remit import dossier

    found = [item for item in await dossier.newest(client, scope) if not item.deleted]
    keys: dict[str, dict[str, object]] = {}
    for item in found:
        data = await dossier.value(client, item)
        keys[item.key] = {"version": item.version, "hash": item.hash, "value": msgspec.Raw(data)}
    if output == "jsonl":
        write(b"".join(msgspec.json.encode({"key": key} | item) + b"\n" for key, item in keys.items()))
    else:
        encoded = msgspec.json.encode({"scope": scope, "keys": keys}, order="sorted")
        write(msgspec.json.format(encoded, indent=2) + b"\n")
    return len(found)


async def _export_history(client: Client, scope: str, write: Callable[[bytes], object]) -> int:
    from remit import dossier

    count = 0
    async for item in dossier.versions(client, scope):
        whole = msgspec.structs.replace(item, value=msgspec.Raw(await dossier.value(client, item)), value_ref=None)
        write(msgspec.json.encode(whole) + b"\n")
        count += 1
    return count


@contextmanager
def _written(out: Path | None) -> Iterator[Callable[[bytes], object]]:
    """Give where to write; a file is there once all of it is."""
    if out is None:
        yield lambda data: click.echo(data, nl=False)
        return
    part = out.with_name(f"{out.name}.part")
    try:
        with _opened(part) as file:
            yield file.write
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _opened(part: Path) -> BufferedWriter:
    try:
        return part.open("wb")
    except OSError as error:
        raise UsageError("nothing can be written there", where=str(part.parent), got=str(error.strerror)) from error
