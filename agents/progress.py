"""What a step tells whoever watches: at most ten messages a second, the last one always."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from remit.bus import subject
from remit.contracts.errors import RemitError
from remit.contracts.message import encode

if TYPE_CHECKING:
    from remit.bus.connection import Bus
    from remit.contracts.step import RunStep

log = structlog.get_logger(__name__)

_EVERY_S: Final = 0.1
_TEXT_LIMIT: Final = 500


class Progress:
    """The live line of one step; nothing is stored, and nothing waits for it."""

    def __init__(self, bus: Bus, work: RunStep, agent: str) -> None:
        self._bus = bus
        self._work = work
        self._subject = subject.live(work.run_id, agent)
        self._waiting: dict[str, object] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def tell(self, text: str, *, done: int, total: int) -> None:
        """The message is on its way, or replaces the one that waits for its turn."""
        work = self._work
        said = {"text": text[:_TEXT_LIMIT], "done": done, "total": total, "role": work.role, "step": work.step}
        self._waiting = said
        if self._timer is None:
            self._next()

    def close(self) -> None:
        """What waited is sent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._send()

    def _next(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_EVERY_S, self._next) if self._waiting else None
        self._send()

    def _send(self) -> None:
        said, self._waiting = self._waiting, None
        if said is None:
            return
        try:
            self._bus.send(self._subject, encode(said))
        except RemitError as error:  # whoever watches misses a line; the work goes on
            log.debug("progress.dropped", code=error.code)
