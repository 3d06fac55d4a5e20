"""Leases that were revoked: no call under one is begun any more, and what runs for it may be cut off."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog

from remit.contracts.errors import CallCutOffError, LeaseLostError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remit.contracts.errors import Fault
    from remit.contracts.lease import LeaseRevoked
    from remit.contracts.tool import CallTool

log = structlog.get_logger(__name__)

Held: TypeAlias = tuple[str, str, int]
"""Run, step and epoch: what a lease is about."""

_KEPT: Final = 4096
"""What is forgotten is refused by the journal, only later."""


class Cut:
    """How one call that runs hears that it is cut off."""

    def __init__(self) -> None:
        self.asked: asyncio.Future[Fault] = asyncio.get_running_loop().create_future()

    def off(self, reason: str) -> None:
        """Whoever carries the call out stops."""
        if not self.asked.done():
            self.asked.set_result(CallCutOffError(f"the call was cut off: {reason}").fault())

    @property
    def fault(self) -> Fault | None:
        """What the call ends with, if it is cut off."""
        return self.asked.result() if self.asked.done() else None


class Stops:
    """What a gateway heard of revoked leases, and the calls that run under others."""

    def __init__(self) -> None:
        self._revoked: OrderedDict[Held, LeaseRevoked] = OrderedDict()
        self._running: dict[Held, set[Cut]] = {}

    @property
    def running(self) -> tuple[Held, ...]:
        """The leases under which calls run."""
        return tuple(self._running)

    def hear(self, notice: LeaseRevoked) -> None:
        """From here on no call is begun under this lease; those that run go on, or are cut off. May be heard twice."""
        held = (notice.run_id, notice.step, notice.epoch)
        cuts = self._running.get(held, set()) if notice.ends_calls else set()
        if held not in self._revoked or cuts:
            log.info("lease.revoked", run_id=held[0], step=held[1], epoch=held[2], cut_off=len(cuts))
        self._revoked[held] = notice
        if len(self._revoked) > _KEPT:
            self._revoked.popitem(last=False)
        for cut in cuts:
            cut.off(notice.reason)

    def check(self, call: CallTool) -> None:
        """Pass if nothing is known against the lease of a call.

        Raises:
            LeaseLostError: it was revoked.
        """
        notice = self._revoked.get(held_by(call))
        if notice is not None:
            raise LeaseLostError(notice.reason, where=f"{call.run_id} {call.step} epoch {call.epoch}")

    @contextmanager
    def watch(self, call: CallTool) -> Iterator[Cut]:
        """Give what tells a call that runs in here to stop; it may say so already."""
        held, cut = held_by(call), Cut()
        notice = self._revoked.get(held)
        if notice is not None and notice.ends_calls:
            cut.off(notice.reason)
        cuts = self._running.setdefault(held, set())
        cuts.add(cut)
        try:
            yield cut
        finally:
            cuts.discard(cut)
            if not cuts and self._running.get(held) is cuts:
                del self._running[held]


def held_by(call: CallTool) -> Held:
    """Give what the lease of a call is about."""
    return call.run_id, call.step, call.epoch
