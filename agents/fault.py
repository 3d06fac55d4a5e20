"""Errors as data, and data as errors: what a handler raised, and what a plane refused."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Final, NoReturn

from remit.contracts import errors
from remit.contracts.errors import (
    DeadlineError,
    Fault,
    ModelOutputError,
    RefusedError,
    RemitError,
    RoleFailedError,
    StoppedError,
    SupersededError,
)

_MESSAGE_LIMIT: Final = 500
_KINDS: Final[dict[str, type[RemitError]]] = {
    kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RemitError)
}


class WrongReplyError(RoleFailedError):
    """The handler replied with something else than its contract; it would again."""


def raise_fault(fault: Fault) -> NoReturn:
    """Raise the error that a fault was made of; a code that this build does not know is a refusal."""
    raise _error_of(fault)


def fault_of(error: BaseException, *, file: str) -> Fault:
    """Say what a handler raised as data; `where` is the innermost line of the handler's own file."""
    where = _line_of(error, file)
    if isinstance(error, RemitError) and not isinstance(error, SupersededError):
        return error.fault() if error.where or not where else _located(error.fault(), where)
    text = f"{type(error).__name__}: {_said(error)}".rstrip(": ")
    return Fault(code=RoleFailedError.code, message=text[:_MESSAGE_LIMIT], where=where)


def is_retryable(error: BaseException) -> bool:
    """Say whether the same step may succeed when it is tried again: what was refused is refused again.

    Of what stops a run, time alone may be had again. A model's answers are recorded, so they would not fit again.
    """
    if isinstance(error, StoppedError):
        return isinstance(error, DeadlineError)
    return not isinstance(error, RefusedError | WrongReplyError | ModelOutputError)


def leaf_of(error: BaseException) -> BaseException:
    """Give the first single error of a group, as a task group wraps them; any other error as it is."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _error_of(fault: Fault) -> RemitError:
    kind = _KINDS.get(fault.code)
    if kind is None:
        return RefusedError(
            f"{fault.code} {fault.message}",
            where=fault.where,
            expected=fault.expected,
            got=fault.got,
            fix=fault.fix,
        )
    return kind(fault.message, where=fault.where, expected=fault.expected, got=fault.got, fix=fault.fix)


def _located(fault: Fault, where: str) -> Fault:
    return Fault(
        code=fault.code,
        message=fault.message,
        where=where,
        expected=fault.expected,
        got=fault.got,
        fix=fault.fix,
    )


def _line_of(error: BaseException, file: str) -> str:
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
    return f"{_shown(file)}:{lines[-1]}" if lines else ""


def _shown(file: str) -> str:
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001  # a user's __str__ may raise anything; the failure must still be told
        return f"(its text raised {type(broken).__name__})"
