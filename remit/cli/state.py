"""`remit state`: shared state, read from the journal: every value with who wrote it, by which rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remit.cli import option, say
from remit.contracts.errors import NotFoundError
from remit.contracts.message import decode
from remit.contracts.proposal import TEAM_SCOPE, StateCommitted
from remit.words import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remit.cli.say import Output
    from remit.client import Client

_scope = click.option("--scope", default=TEAM_SCOPE, show_default=True, metavar="RUN", help="A run, or `team`.")


@click.group()
def command() -> None:
    """Read shared state."""


@command.command("list")
@_scope
@click.option("--prefix", default="", help="Only keys that start so.")
@option.common
def list_(scope: str, prefix: str, *, context: str, output: Output) -> None:
    """List keys with their current version."""
    newest = {item.key: item for item in _versions(context, scope) if item.key.startswith(prefix)}
    items = [_data(newest[key]) for key in sorted(newest)]
    shorter = [item | {"value": shown(newest[str(item["key"])].value, 60)} for item in items]
    columns = ("key", "version", "rule", "by", "run", "step", "value")
    say.rows(shorter if output == "table" else items, output, columns=columns, empty=f"no state in scope {scope}")


@command.command()
@click.argument("key")
@_scope
@option.common
def get(key: str, scope: str, *, context: str, output: Output) -> None:
    """Show every version of KEY, the current one last."""
    items = [_data(item) for item in _versions(context, scope) if item.key == key]
    if not items:
        raise NotFoundError(f"no state {key} in scope {scope}", got=key, fix=f"remit state list --scope {scope}")
    say.rows(items, output, columns=("version", "rule", "by", "run", "step", "value"), empty="")


def _versions(context: str, scope: str) -> Sequence[StateCommitted]:
    async def work(client: Client) -> list[StateCommitted]:
        return [decode(StateCommitted, entry.data) async for entry in client.versions(scope)]

    return option.read(context, work)


def _data(item: StateCommitted) -> dict[str, object]:
    whole = say.data(item)
    return {
        "key": item.key,
        "version": item.version,
        "rule": item.rule,
        "by": item.agent,
        "run": item.run_id,
        "step": item.step,
        "at": whole["committed_at"],
        "value": item.value,
    }
