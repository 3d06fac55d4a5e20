"""Errors in the same words everywhere, on standard error, and the exit code of each."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING, Final

import click

from remit.contracts.errors import (
    AskFailedError,
    ConflictError,
    Fault,
    NotFoundError,
    RefusedError,
    RemitError,
    ReviewRejectedError,
    RoleFailedError,
    StoppedError,
    ToolFailedError,
    UsageError,
    sentence,
)
from remit.words import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remit.contracts.task import Verdict

DONE, FAILED, USAGE, WAITING, STOPPED, CONTRACT, INCOMPLETE, REJECTED = range(8)

BY_OUTCOME: Final[Mapping[Verdict, int]] = {
    "complete": DONE,
    "incomplete": INCOMPLETE,
    "failed": INCOMPLETE,
    "stopped": STOPPED,
    "refused": CONTRACT,
    "rejected": REJECTED,
}
_BY_CLASS: Final[tuple[tuple[type[RemitError], int], ...]] = (
    (ReviewRejectedError, REJECTED),
    (UsageError, USAGE),
    (NotFoundError, USAGE),
    (ConflictError, USAGE),
    (RefusedError, CONTRACT),
    (StoppedError, STOPPED),
    (ToolFailedError, INCOMPLETE),
    (AskFailedError, INCOMPLETE),
    (RoleFailedError, INCOMPLETE),
)


def say(error: Exception) -> int:
    """Write an error's one line and give its exit code."""
    if isinstance(error, click.ClickException):
        error = _usage(error)
    if isinstance(error, RemitError):
        write(error.fault())
        return code_of(error)
    if os.environ.get("REMIT_LOG", "").upper() == "DEBUG":
        traceback.print_exception(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    bug = Fault(
        code=RemitError.code,
        message=f"a fault in Remit itself: {type(error).__name__}: {error}",
        where=f"{place.filename}:{place.lineno}",
        fix="run it again with REMIT_LOG=DEBUG and report what it prints",
    )
    write(bug)
    return FAILED


def write(fault: Fault) -> None:
    """Write a fault's one line."""
    click.echo(plain(sentence(fault)), err=True)


def code_of(error: RemitError) -> int:
    """Give the exit code of an error."""
    return next((code for kind, code in _BY_CLASS if isinstance(error, kind)), FAILED)


def _usage(error: click.ClickException) -> RemitError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "remit"
    said = error.format_message().rstrip(".")
    return UsageError(said[:1].lower() + said[1:], fix=f"{path} --help")
