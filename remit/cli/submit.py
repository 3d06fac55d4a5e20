"""`remit submit`: publish a task, and wait for its outcome if asked to."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import click
import msgspec

from remit.cli import fault, option, outcome, say, screen
from remit.contracts.task import TaskRequest

if TYPE_CHECKING:
    from remit.cli.say import Output
    from remit.client import Client
    from remit.history import History
    from remit.places import Place


@click.command()
@click.argument("workflow")
@click.option("--goal", required=True, help="The requirement in words; it never changes during the run.")
@click.option("--input", "file", type=click.File("rb"), default=None, help="JSON file; `-` is standard input.")
@click.option("--wait", is_flag=True, help="Until it is finished, or waits for a person.")
@click.option("--message-id", default="", help="The same id within two minutes is the same run.")
@click.option("--wall-clock", type=click.FloatRange(min=0, min_open=True), default=None, help="Seconds; at most.")
@option.common
def command(
    workflow: str,
    *,
    goal: str,
    file: IO[bytes] | None,
    wait: bool,
    message_id: str,
    wall_clock: float | None,
    context: str,
    output: Output,
) -> int:
    """Publish a task for WORKFLOW."""
    request = TaskRequest(goal=goal, input=_input(file), wall_clock_s=wall_clock)

    async def work(client: Client) -> tuple[str, Place, History | None]:
        run = await client.submit(workflow, request, message_id=message_id)
        return run, client.place, await _wait(client, run, output) if wait else None

    run, place, history = option.ask(context, work)
    if history is not None:
        return outcome.say_end(history, place, output)
    say.one({"run_id": run}, output, text=f"run {run}; next: remit run tail {run}")
    return fault.DONE


async def _wait(client: Client, run: str, output: Output) -> History:
    from remit.history import History
    from remit.watch import follow

    history, tell = History(run), screen.lines(output).tell
    async for entry in follow(client, history, stops_when_parked=True):
        tell(entry)
    return history


def _input(file: IO[bytes] | None) -> msgspec.Raw:
    """Give the task's input as it is, if it is JSON.

    Raises:
        MalformedMessageError: it is not; says where.
    """
    if file is None:
        return msgspec.Raw(b"{}")
    body = file.read()
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(file.name, body, error) from error
    return msgspec.Raw(body)


def _malformed(name: str, body: bytes, error: Exception) -> Exception:
    import json

    from remit.contracts.errors import MalformedMessageError

    where = "standard input" if name in {"-", "<stdin>"} else name
    try:
        json.loads(body)
    except json.JSONDecodeError as found:
        return MalformedMessageError(
            f"the input is no JSON: {found.msg}", where=f"{where}:{found.lineno}:{found.colno}"
        )
    except UnicodeDecodeError as found:
        return MalformedMessageError("the input is not valid UTF-8", where=f"{where}, byte {found.start}")
    return MalformedMessageError(f"the input is no JSON: {error}", where=where)
