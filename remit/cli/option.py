"""What many commands share: the options for context and output, and work with a client of the chosen deployment."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import click

from remit.cli.say import OUTPUTS
from remit.contracts.errors import BusUnavailableError, CredentialsRefusedError, DataDirectoryInUseError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from remit.client import Client
    from remit.contracts.errors import RemitError
    from remit.places import Place

P = ParamSpec("P")
T = TypeVar("T")
Command = click.Command

NOT_THERE: Final = (BusUnavailableError, CredentialsRefusedError)
"""How a deployment that is down answers: not at all, or another server has its port."""
QUIET: Final = "WARNING"
"""What a command logs unless REMIT_LOG says otherwise: its answer is what it prints."""


def output(function: Callable[P, T]) -> Callable[P, T]:
    """Take `--output`."""
    option = click.option(
        "--output",
        "-o",
        type=click.Choice(OUTPUTS),
        default="table",
        show_default=True,
        help="For people, or for programs.",
    )
    return option(function)


def context(function: Callable[P, T]) -> Callable[P, T]:
    """Take `--context`."""
    option = click.option(
        "--context", default="", metavar="NAME", help="Which deployment; else REMIT_CONTEXT, else the current one."
    )
    return option(function)


def common(function: Callable[P, T]) -> Callable[P, T]:
    """Take `--context` and `--output`."""
    return context(output(function))


def quiet() -> None:
    """Log warnings only, on standard error."""
    from remit import logs

    os.environ.setdefault(logs.LEVEL, QUIET)
    logs.configure()


def ask(name: str, work: Callable[[Client], Coroutine[object, object, T]]) -> T:
    """Give what comes of work with a deployment that is up.

    Raises:
        NotFoundError: there is no such deployment.
        BusUnavailableError: it is not up.
    """
    from remit import places

    quiet()
    return asyncio.run(_with_client(places.current(name), work))


def read(name: str, work: Callable[[Client], Coroutine[object, object, T]]) -> T:
    """As `ask`, for work that only reads: of an embedded deployment that is down, its data is served meanwhile."""
    from remit import offline, places

    quiet()
    place = places.current(name)
    try:
        return asyncio.run(_with_client(place, work))
    except NOT_THERE as error:
        if not offline.is_embedded(place):
            raise
        return _read_offline(place, work, error)


def _read_offline(place: Place, work: Callable[[Client], Coroutine[object, object, T]], before: RemitError) -> T:
    from remit import offline

    try:
        with offline.served(place) as here:
            return asyncio.run(_with_client(here, work))
    except DataDirectoryInUseError:
        raise before from None  # the deployment is there, and does not answer


async def _with_client(place: Place, work: Callable[[Client], Awaitable[T]]) -> T:
    from remit.client import Client

    async with await Client.connect(place) as client:
        return await work(client)
