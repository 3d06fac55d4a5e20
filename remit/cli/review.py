"""`remit review`: what waits for a person, exactly, and the decision."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import click
import msgspec

from remit.cli import fault, option, say
from remit.contracts.control import DecideReview
from remit.contracts.errors import UsageError
from remit.contracts.message import raw
from remit.words import hash_of, moment, shown

if TYPE_CHECKING:
    from remit.cli.say import Output
    from remit.client import Client
    from remit.contracts.control import ControlDone
    from remit.contracts.review import ReviewOpened
    from remit.listing import ReviewCase


@click.group()
def command() -> None:
    """List, show and decide what waits for a person."""


@command.command("list")
@option.common
def list_(context: str, output: Output) -> None:
    """List what waits for a person, oldest first."""

    async def work(client: Client) -> list[ReviewOpened]:
        from remit import listing

        return await listing.open_reviews(client)

    found = option.read(context, work)
    items = [say.data(item) | {"review": item.review_id, "since": moment(item.opened_at)} for item in found]
    say.rows(items, output, columns=("review", "kind", "role", "since", "title"), empty="nothing waits for a person")


@command.command()
@click.argument("review")
@option.common
def show(review: str, context: str, output: Output) -> None:
    """Show exactly what is to be decided: tool, arguments and their digest."""
    case = _case(review, context)
    whole = say.data(case) | {"digest_matches": case.is_what_it_says}
    say.one(whole, output, text=text_of(case))


@command.command()
@click.argument("review")
@click.option("--reason", default="", help="Why; kept in the journal.")
@click.option("--again", is_flag=True, help="A call in doubt did not happen: make it once more.")
@click.option("--done", default="", metavar="JSON", help="A call in doubt happened, and this is its result.")
@option.common
def approve(review: str, *, reason: str, again: bool, done: str, context: str, output: Output) -> int:
    """Approve exactly what `remit review show` shows; an embedded deployment that is down finishes the run first."""
    resolution, value = _resolution(again=again, done=done)
    wish = DecideReview(
        review_id=review,
        subject="",
        decision="approved",
        reason=reason,
        resolution=resolution,
        value=value,
        by=getpass.getuser(),
    )
    return _decide(wish, context, output)


@command.command()
@click.argument("review")
@click.option("--reason", default="", help="Why; kept in the journal.")
@option.common
def reject(review: str, reason: str, context: str, output: Output) -> int:
    """Reject: the action does not run. A call in doubt is skipped."""
    wish = DecideReview(
        review_id=review, subject="", decision="rejected", reason=reason, by=getpass.getuser()
    )
    return _decide(wish, context, output)
