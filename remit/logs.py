"""Logs through the standard library, so that Ray keeps its ids: JSON outside a terminal, colours inside."""

from __future__ import annotations

import logging
import os
import sys

import structlog

LEVEL = "REMIT_LOG"


def configure() -> None:
    """Every log line of this process has a time, a level and its bound facts, on standard error."""
    is_terminal = sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if is_terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logger = logging.getLogger("remit")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(os.environ.get(LEVEL, "INFO" if not is_terminal else "WARNING"))
