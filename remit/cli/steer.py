"""`remit run pause|resume|retry|rollback|fork|cancel`: each says beforehand what it will do, and then does it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click
import msgspec

from remit.cli import fault, option, say
from remit.contracts.control import ForkChange, ForkRun, RollbackRun
from remit.contracts.errors import ConflictError, UsageError
from remit.contracts.message import raw

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Literal

    from remit.cli.say import Output
    from remit.client import Client
    from remit.contracts.control import ControlDone
    from remit.facts import Facts
    from remit.forecast import Forecast

    Act = Callable[[Client], Coroutine[object, object, ControlDone]]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a wish is carried out: where, and whether a person is asked first."""

    yes: bool
    dry_run: bool
    context: str
    output: Output


def wished(function: Callable[P, T]) -> Callable[P, T]:
    """Take a run, and the options that every wish has."""
    for take in (
        option.common,
        click.option("--dry-run", is_flag=True, help="Say what it would do, and do nothing."),
        click.option("--yes", "-y", is_flag=True, help="Do not ask."),
    ):
        function = take(function)
    return click.argument("run")(function)


reason_option = click.option("--reason", default="", help="Why; kept in the journal.")


@click.command()
@reason_option
@wished
def pause(run: str, *, reason: str, yes: bool, dry_run: bool, context: str, output: Output) -> int:
    """Dispatch nothing more of a run; calls in flight come to their end."""

    async def look(client: Client) -> tuple[Forecast, Act]:
        from remit import foresight

        found = await _open(client, run, "pause")
        return foresight.pause(found), lambda here: here.pause(run, reason)

    return _steer(run, look, Manner(yes=yes, dry_run=dry_run, context=context, output=output))


@click.command()
@wished
def resume(run: str, *, yes: bool, dry_run: bool, context: str, output: Output) -> int:
    """Go on with a paused run."""

    async def look(client: Client) -> tuple[Forecast, Act]:
        from remit import foresight

        found = await _open(client, run, "resume")
        return foresight.resume(found), lambda here: here.resume(run)

    return _steer(run, look, Manner(yes=yes, dry_run=dry_run, context=context, output=output))


@click.command()
@reason_option
@wished
def cancel(run: str, *, reason: str, yes: bool, dry_run: bool, context: str, output: Output) -> int:
    """End a run; what finished stays finished."""

    async def look(client: Client) -> tuple[Forecast, Act]:
        from remit import foresight

        found = await _open(client, run, "cancel")
        return foresight.cancel(found), lambda here: here.cancel(run, reason)

    return _steer(run, look, Manner(yes=yes, dry_run=dry_run, context=context, output=output))


@click.command()
@click.option("--step", default="", help="This one, whoever holds it; else all that wait after a failure.")
@wished
def retry(run: str, *, step: str, yes: bool, dry_run: bool, context: str, output: Output) -> int:
    """Try failed steps again now; of a run that is over, begin another one that shares all that is finished."""

    async def look(client: Client) -> tuple[Forecast, Act]:
        from remit import facts, foresight

        found = await facts.read(client, run)
        if found.history.finished is None:
            return foresight.retry(found, step), lambda here: here.retry(run, step)
        _check_unfinished(found, step)
        forecast = foresight.fork(await facts.read_whole(client, run), "")
        return replace(forecast, verb="retry"), lambda here: here.fork(ForkRun(run_id=run))

    return _steer(run, look, Manner(yes=yes, dry_run=dry_run, context=context, output=output))


def _check_unfinished(found: Facts, step: str) -> None:
    run, finished = found.history.run_id, found.history.finished
    if finished is not None and finished.outcome == "complete":
        said = f"run {run} is complete; there is nothing to try again"
        raise ConflictError(said, where=run, fix=f"remit run fork {run} --at CHECKPOINT")
    if step:
        said = f"run {run} is over; one step of it cannot be tried again"
        raise ConflictError(said, where=step, fix=f"remit run retry {run}")


@click.command()
@click.option("--to", required=True, metavar="CHECKPOINT", help="`start` is the run's beginning.")
@click.option("--then", type=click.Choice(("resume", "pause", "end")), default="resume", show_default=True)
@reason_option
@wished
def rollback(
    run: str,
    *,
    to: str,
    then: Literal["resume", "pause", "end"],
    reason: str,
    yes: bool,
    dry_run: bool,
    context: str,
    output: Output,
) -> int:
    """Go back to a checkpoint: undo what came later, newest first, and put the state back."""

    async def look(client: Client) -> tuple[Forecast, Act]:
        from remit import facts, foresight

        await _open(client, run, "roll back")
        found = await facts.read_whole(client, run)
        wish = RollbackRun(run_id=run, to=to, reason=reason, then=then)
        return foresight.rollback(found, to, then), lambda here: here.rollback_run(wish)

    return _steer(run, look, Manner(yes=yes, dry_run=dry_run, context=context, output=output))


@click.command()
@click.option("--at", default="", metavar="CHECKPOINT", help="Else all that is finished.")
@click.option(
    "--set", "changes", multiple=True, metavar="PATH=VALUE", help="input.x, NODE.x or state.KEY; JSON or text."
)
@wished
def fork(run: str, *, at: str, changes: tuple[str, ...], yes: bool, dry_run: bool, context: str, output: Output) -> int:
    """Begin a run that shares the past of this one, and may differ from it."""
    wish = ForkRun(run_id=run, at=at, changes=changes_of(changes))

    async def look(client: Client) -> tuple[Forecast, Act]:
        from remit import facts, foresight

        found = await facts.read_whole(client, run)
        foresight.check_fork(found, at)
        return foresight.fork(found, at), lambda here: here.fork(wish)

    return _steer(run, look, Manner(yes=yes, dry_run=dry_run, context=context, output=output))


def changes_of(given: Sequence[str]) -> tuple[ForkChange, ...]:
    """Give what is to be different, from `path=value`; a value that is no JSON is text.

    Raises:
        UsageError: one has no path, no value, or is said twice.
    """
    found: dict[str, ForkChange] = {}
    for item in given:
        path, has_value, value = item.partition("=")
        if not has_value or "." not in path.strip("."):
            raise UsageError(
                "--set takes a path and a value",
                where=path,
                expected="input.FIELD=VALUE, NODE.FIELD=VALUE or state.KEY=VALUE",
                got=item,
                fix="remit run fork --help",
            )
        if path in found:
            raise UsageError("--set says this path twice", where=path, got=item)
        found[path] = ForkChange(path=path, value=_value(value))
    return tuple(found.values())


def _value(text: str) -> msgspec.Raw:
    try:
        return raw(msgspec.json.decode(text.encode()))
    except msgspec.DecodeError:
        return raw(text)


# --- what they share -----------------------------------------------------------------------------


async def _open(client: Client, run: str, verb: str) -> Facts:
    from remit import facts, foresight

    found = await facts.read(client, run)
    foresight.check_open(found.history, verb)
    return found


def _steer(run: str, look: Callable[[Client], Coroutine[object, object, tuple[Forecast, Act]]], manner: Manner) -> int:
    """Say what the wish will do, ask on a terminal, and have it done."""
    from remit.cli import foresee

    forecast, act = option.ask(manner.context, look)
    said, output = foresee.text(forecast), manner.output
    if manner.dry_run:
        say.one({"run_id": run, "done": False, "preview": say.data(forecast)}, output, text=said)
        return fault.DONE
    asks = not manner.yes and sys.stdin.isatty() and sys.stderr.isatty()
    if output == "table" or asks:
        click.echo(said, err=True)
    if asks and not click.confirm("Go on?", err=True):
        click.echo("nothing was done", err=True)
        return fault.REJECTED
    done = option.ask(manner.context, act)
    next_ = f"remit run {'tail' if done.run_id or forecast.verb in _GOES_ON else 'show'} {done.run_id or run}"
    whole = {"run_id": done.run_id or run, "done": True, "detail": done.detail, "preview": say.data(forecast)}
    say.one(whole | {"next": next_}, output, text=f"{done.detail}; next: {next_}")
    return fault.DONE


_GOES_ON = ("resume", "retry", "rollback")
COMMANDS = (pause, resume, retry, rollback, fork, cancel)
