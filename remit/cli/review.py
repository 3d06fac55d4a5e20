"""`remit review`: what waits for a person, exactly, and the decision."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import click
import msgspec

from remit.cli import fault, option, outcome, say, screen
from remit.contracts.control import DecideReview
from remit.contracts.errors import UsageError
from remit.contracts.message import NULL, raw
from remit.words import moment, plain

if TYPE_CHECKING:
    from remit.cli.say import Output
    from remit.client import Client
    from remit.contracts.control import ControlDone
    from remit.contracts.review import ReviewOpened
    from remit.listing import ReviewCase
    from remit.places import Place


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

    async def work(client: Client) -> ReviewCase:
        from remit import listing

        return await listing.review(client, review)

    case = option.read(context, work)
    whole = say.data(case) | {"digest_matches": case.is_what_it_says}
    say.one(whole, output, text=_text(case, context))


@command.command()
@click.argument("review")
@click.option("--reason", default="", help="Why; kept in the journal.")
@click.option("--again", is_flag=True, help="A call in doubt did not happen: make it once more.")
@click.option("--done", default="", metavar="JSON", help="A call in doubt happened, and this is its result.")
@click.option("--value", default="", metavar="JSON", help="A conflict is decided for neither side, but for this value.")
@option.common
def approve(review: str, *, reason: str, again: bool, done: str, value: str, context: str, output: Output) -> int:
    """Approve exactly what `remit review show` shows; of a conflict the proposed side stands.

    An embedded deployment that is down is brought up, finishes the run, and is taken down.
    """
    wish = DecideReview(
        review_id=review,
        subject="",
        decision="approved",
        reason=reason,
        resolution="again" if again else "done" if done else "",
        value=_value(done, value, again=again),
        by=getpass.getuser(),
    )
    return _decide(wish, context, output)


@command.command()
@click.argument("review")
@click.option("--reason", default="", help="Why; kept in the journal.")
@option.common
def reject(review: str, *, reason: str, context: str, output: Output) -> int:
    """Reject: the action does not run, a call in doubt is skipped, of a conflict the current side stands."""
    wish = DecideReview(review_id=review, subject="", decision="rejected", reason=reason, by=getpass.getuser())
    return _decide(wish, context, output)


def _value(done: str, value: str, *, again: bool) -> msgspec.Raw:
    if sum(map(bool, (again, done, value))) > 1:
        raise UsageError("--again, --done and --value exclude each other", fix="remit review approve --help")
    if value and (given := _json("--value", value)) is not None:
        return raw(given)
    if value:
        raise UsageError("null cannot be said as a value", got=value, fix="approve or reject the side that says null")
    return raw(_json("--done", done)) if done else NULL


def _json(name: str, text: str) -> object:
    try:
        return msgspec.json.decode(text.encode())
    except msgspec.DecodeError as error:
        raise UsageError(f"{name} is no JSON: {error}", expected='a JSON value, such as "sent"', got=text) from error


def _decide(wish: DecideReview, context: str, output: Output) -> int:
    async def work(client: Client) -> ControlDone:
        from remit import deciding

        return await deciding.decide(client, wish)

    from remit import offline, places

    place = places.current(context)
    try:
        done = option.ask(place.name, work)
    except option.NOT_THERE:
        if not offline.is_embedded(place):
            raise
        return _bring_up(place, wish, output)
    run = wish.review_id.rpartition("-v")[0]
    say.one(
        {"review": wish.review_id, "decision": wish.decision, "run": run},
        output,
        text=f"{done.detail}; next: remit run tail {run}",
    )
    return fault.DONE


def _bring_up(place: Place, wish: DecideReview, output: Output) -> int:
    from remit import revival

    def say_start() -> None:
        if output == "table":
            click.echo(f"{place.name} is down: it is brought up from {place.data} to finish the run", err=True)

    history = revival.finish(place, wish, on_start=say_start, on_entry=screen.lines(output).tell)
    return outcome.say_end(history, place, output)


def _text(case: ReviewCase, context: str) -> str:
    opened = case.opened
    state = f"{case.decided.decision} by {case.decided.by}" if case.decided is not None else "waits for a person"
    if case.withdrawn:
        state = f"withdrawn: its step was rolled back to {case.withdrawn}"
    if case.finished is not None and case.decided is None:
        state = f"not decided; its run is {case.finished.outcome}"
    facts = [
        ("review", f"{opened.review_id}: {state}"),
        ("kind", _KINDS[opened.kind]),
        ("goal", case.goal),
        ("asked by", f"role {opened.role}, step {opened.step}, since {moment(opened.opened_at)}"),
        ("title", opened.title),
    ]
    digest = f"{opened.subject} ({'of exactly this' if case.is_what_it_says else 'NOT of what is shown here'})"
    lines = [say.pairs(facts), "", *(f"  {line}" for line in _shown(case)), "", f"digest    {digest}"]
    if case.decided is None and case.finished is None and not case.withdrawn:
        lines += [f"next      {line}" for line in outcome.ways(opened, context)]
    return "\n".join(lines)


def _shown(case: ReviewCase) -> list[str]:
    from remit.cli import preview

    if case.conflict is not None:
        return preview.sides(case.conflict)
    return [plain(line) for line in msgspec.json.format(bytes(case.shown), indent=2).decode().splitlines()]


_KINDS = {
    "action": "may this call run?",
    "question": "a role asks",
    "in_doubt": "did this call happen?",
    "conflict": "which side stands?",
}
