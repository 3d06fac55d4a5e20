"""`remit dead`: deliveries that no run could own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remit.cli import option, say
from remit.contracts.errors import sentence
from remit.words import moment

if TYPE_CHECKING:
    from remit.bus.dead_letter import StoredLetter
    from remit.cli.say import Output
    from remit.client import Client
    from remit.contracts.control import ControlDone


@click.group()
def command() -> None:
    """List, show and drive dead letters again."""


@command.command("list")
@option.common
def list_(context: str, output: Output) -> None:
    """List dead letters, newest first."""

    async def work(client: Client) -> list[StoredLetter]:
        return [letter async for letter in client.dead.list()]

    found = option.read(context, work)
    items = [_data(letter) for letter in reversed(found)]
    say.rows(items, output, columns=("seq", "at", "subject", "cause"), empty="no dead letters")


@command.command()
@click.argument("seq", type=click.IntRange(min=1))
@option.common
def show(seq: int, context: str, output: Output) -> None:
    """Show the dead letter SEQ: its cause, and where the original is."""

    async def work(client: Client) -> StoredLetter:
        return await client.dead.show(seq)

    letter = option.read(context, work)
    pointer = letter.letter.pointer
    body = letter.letter.body.decode("utf-8", "replace")
    text = say.pairs(
        [
            ("dead letter", letter.seq),
            ("at", moment(letter.stored_at) if letter.stored_at else ""),
            ("subject", letter.letter.subject),
            ("cause", sentence(letter.letter.cause)),
            ("original", f"{pointer.stream}, sequence {pointer.seq}"),
            ("body", body or "in its stream"),
            ("next", f"remit dead redrive {letter.seq}"),
        ]
    )
    say.one(_data(letter) | {"pointer": say.data(pointer), "body": body}, output, text=text)


@command.command()
@click.argument("seq", type=click.IntRange(min=1))
@option.common
def redrive(seq: int, context: str, output: Output) -> None:
    """Publish the task behind the dead letter SEQ again, as a new task."""

    async def work(client: Client) -> ControlDone:
        return await client.redrive(seq)

    done = option.ask(context, work)
    run = done.detail.rsplit(" ", 1)[-1]
    say.one({"seq": seq, "run": run}, output, text=f"{done.detail}; next: remit run tail {run}")


def _data(letter: StoredLetter) -> dict[str, object]:
    return {
        "seq": letter.seq,
        "at": moment(letter.stored_at) if letter.stored_at else None,
        "subject": letter.letter.subject,
        "cause": sentence(letter.letter.cause),
        "code": letter.letter.cause.code,
    }
