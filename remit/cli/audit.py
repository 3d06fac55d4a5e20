"""`remit audit`: audits a Python repository; a person agrees before anything is written."""

from __future__ import annotations

import getpass
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from remit.cli import option, outcome, screen
from remit.cli.adviser import adviser as adviser_options
from remit.cli.option import output as output_option
from remit.contracts.control import DecideReview

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remit.adviser import Adviser
    from remit.bus.journal import Entry
    from remit.cli.say import Output
    from remit.contracts.review import ReviewOpened
    from remit.history import History
    from remit.places import Place
    from remit.progress import Progress

_BY_YES = "approved by --yes"


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path())
@click.option("--yes", is_flag=True, help="Approve what the audit wants to write; the evidence says so.")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Where the report goes; else PATH/.remit.")
@click.option(
    "--since",
    type=click.Choice(["last"]),
    default=None,
    help="Say what is new and what is mended since the last audit into the same folder.",
)
@click.option(
    "--inject",
    type=click.Choice(["bad-patch"]),
    default=None,
    help="A drill: one patch is spoilt on purpose, so that the audit rolls back and goes on without it.",
)
@click.option(
    "--allow",
    type=click.Choice(["tests"]),
    default=None,
    help="Try patches on the repository's own tests, too: its code runs, after you agreed to the exact command.",
)
@click.option(
    "--branch", default=None, help="Commit the patches to this new branch, too; never the current one, no push."
)
@adviser_options
@output_option
def command(  # noqa: PLR0913  # each option has a name of its own
    path: Path,
    *,
    yes: bool,
    out: Path | None,
    since: str | None,
    inject: str | None,
    allow: str | None,
    branch: str | None,
    adviser: Adviser | None,
    output: Output,
) -> int:
    """Audit the Python repository at PATH. Nothing is written there before a person agrees."""
    from remit.adviser import told
    from remit.audit import Audit, check_output, data, own_tests, repository, request

    option.quiet()
    where = repository(path)
    check_output(where, out, branch or "")
    if adviser is not None:
        adviser.check()
    if output == "table":
        _say(f"auditing {where}: nats-server, Ray and the team are starting")

    @contextmanager
    def show(progress: Progress) -> Iterator[Callable[[Entry], None]]:
        with screen.shown(progress, output) as shown:
            yield shown.tell

    try:
        tests = own_tests(where) if allow else ""
        model = adviser.name if adviser is not None else ""
        wishes = {"since": since, "inject": inject, "tests": tests, "branch": branch, "model": model}
        task = request(where, out, **{name: wish or "" for name, wish in wishes.items()})
        with told(adviser, data(where)):
            history, place = Audit(show=show, decide=_decides(output, yes=yes), say=_say).run(where, task)
    except KeyboardInterrupt:
        _stop()
    return outcome.say_end(history, place, output)


def _decides(output: Output, *, yes: bool) -> Callable[[ReviewOpened, History, Place], DecideReview | None]:
    """Give what decides a review: `--yes`, the person at the terminal, or nobody here."""

    def decide(opened: ReviewOpened, history: History, place: Place) -> DecideReview | None:
        if yes and (agreed := by_yes(opened)) is not None:
            return agreed
        if output == "table" and sys.stdin.isatty() and sys.stdout.isatty():
            return _asked(opened, history, place)
        return None

    return decide


def _stop() -> NoReturn:
    """End at once, and say what goes on with the run."""
    from remit import foreground

    _say(f"stopped; the same command goes on with it: {shlex.join(['remit', *sys.argv[1:]])}")
    foreground.end_at_once()


def _say(text: str) -> None:
    click.echo(text, err=True)


def by_yes(opened: ReviewOpened) -> DecideReview | None:
    """Give what `--yes` decides: what nobody knows, and which of two sides is right, it leaves to a person."""
    return wish(opened, "approved", _BY_YES) if opened.kind in {"action", "question"} else None


def wish(opened: ReviewOpened, decision: str, reason: str) -> DecideReview:
    """Give the decision of whoever sits here."""
    is_yes = decision == "approved"
    return DecideReview(
        review_id=opened.review_id,
        subject=opened.subject,
        decision="approved" if is_yes else "rejected",
        reason=reason,
        resolution="again" if is_yes and opened.kind == "in_doubt" else "",
        by=getpass.getuser(),
    )


def _asked(opened: ReviewOpened, history: History, place: Place) -> DecideReview | None:
    """Give what the person at the terminal decides; nothing if they leave it for later."""
    from remit.cli import edit, preview

    click.echo("\n".join(["", *outcome.drafted(history), f"\n{opened.review_id}  {preview.headline(opened)}"]))
    while True:
        match (
            click.prompt("[a]pprove [e]dit [r]eject [d]iff [w]hy [l]ater", default="w", show_default=False)
            .strip()
            .lower()[:1]
        ):
            case "a":
                return wish(opened, "approved", "")
            case "e" if reason := edit.asked(opened):
                return wish(opened, "rejected", reason)
            case "e":
                continue
            case "r":
                return wish(opened, "rejected", click.prompt("why", default="", show_default=False))
            case "d":
                click.echo_via_pager(preview.difference(opened, history, place))
            case "l":
                return None
            case "w":
                click.echo(preview.why(opened, history))
            case _:
                click.echo("a, e, r, d, w or l")
