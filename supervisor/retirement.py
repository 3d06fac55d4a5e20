"""Children of an earlier deployment: they pull no more, finish what they hold, and leave; hosts before gateways."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog
from ray.exceptions import RayError

from remit.supervisor.children import ANSWER_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from remit.supervisor.children import Child

log = structlog.get_logger(__name__)

DRAIN_S: Final = 30.0


class Retirement:
    """Replaces children one generation by the next without a step in the hands of both."""

    def __init__(self, *, gone: Callable[[str], None]) -> None:
        self._gone = gone
        self._leaving: dict[str, tuple[Child, tuple[str, ...]]] = {}

    @property
    def names(self) -> set[str]:
        """Agents and gateways that are leaving and may still hold something."""
        return {name for _child, names in self._leaving.values() for name in names}

    async def rest(self, child: Child, names: tuple[str, ...]) -> None:
        """The child takes no new work; one that does not answer is ended."""
        if child.kind == "host":
            try:
                await child.ask("rest")
            except (RayError, TimeoutError) as error:
                log.warning("child.lost", child=child.name, error=str(error)[:200])
                child.kill()
                return
        self._leaving[child.name] = (child, names)

    async def retire(self, child: Child, names: tuple[str, ...], drain_s: float = DRAIN_S) -> None:
        """The child finished what it held, as far as that was possible in time, and is gone."""
        await self.rest(child, names)
        await self._end(child, names, drain_s)

    async def run(self, drain_s: float = DRAIN_S) -> None:
        """All of them are gone; what they could not finish in time is left to others."""
        for kind in ("host", "gateway"):  # a step that ends in time may still call its tools
            leaving = [item for item in self._leaving.values() if item[0].kind == kind]
            await asyncio.gather(*(self._end(child, names, drain_s) for child, names in leaving))

    async def _end(self, child: Child, names: tuple[str, ...], drain_s: float) -> None:
        arguments = (None, drain_s) if child.kind == "host" else (drain_s,)
        with suppress(RayError, TimeoutError):  # dead or frozen: what it held is dispatched again below
            await child.ask("drain", *arguments, within_s=drain_s + ANSWER_S)
        child.kill()
        self._leaving.pop(child.name, None)
        for name in names:
            self._gone(name)
        log.info("child.retired", child=child.name, generation=child.generation)
