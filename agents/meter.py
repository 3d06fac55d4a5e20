"""What a branch of a handler spends on models."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Meter:
    """Adds up costs; what is spent inside a meter inside it counts for both."""

    def __init__(self, outer: Meter | None) -> None:
        self.cost = 0.0
        self._outer = outer

    def add(self, cost: float) -> None:
        """So much more is spent."""
        self.cost += cost
        if self._outer is not None:
            self._outer.add(cost)


_meter: ContextVar[Meter | None] = ContextVar("remit_meter", default=None)


def spend(cost: float) -> None:
    """So much is spent by the branch of the handler that says so."""
    if (meter := _meter.get()) is not None:
        meter.add(cost)


@contextmanager
def metered() -> Iterator[Meter]:
    """Give a meter of what is spent inside, by whatever is begun there."""
    meter = Meter(_meter.get())
    token = _meter.set(meter)
    try:
        yield meter
    finally:
        _meter.reset(token)
