"""One line per event on standard error, which Ray keeps per process: JSON outside a terminal, colours inside."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

import msgspec
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

LEVEL = "REMIT_LOG"


class Lines:
    """Writes finished lines. The standard library's records, handlers and locks cost more than the line itself."""

    def __init__(self, *_names: object) -> None:
        self._stream = sys.stderr

    def msg(self, line: str) -> None:
        """The line is written, whole, and flushed: standard error is buffered by lines."""
        self._stream.write(line + "\n")

    debug = info = warning = error = exception = critical = msg


def configure() -> None:
    """Every log line of this process has a time, a level and its bound facts, on standard error."""
    is_terminal = sys.stderr.isatty()
    level = os.environ.get(LEVEL, "WARNING" if is_terminal else "INFO").upper()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if is_terminal else structlog.processors.JSONRenderer(serializer=_json),
        ],
        # Below its level a line is not even begun.
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping().get(level, logging.INFO)),
        logger_factory=Lines,
        cache_logger_on_first_use=True,
    )


def _json(event: object, default: Callable[[object], object]) -> str:
    return msgspec.json.encode(event, enc_hook=default).decode()
