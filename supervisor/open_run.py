"""A run that is open: what it stands like, who may change it now, and what is not known of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remit.supervisor.run_state import RunState


class OpenRun:
    """A run's state, the lock that orders its changes, and who waits for its children."""

    __slots__ = ("askers", "lock", "state", "unanswered")

    def __init__(self, state: RunState) -> None:
        self.state = state
        self.lock = asyncio.Lock()  # guards the run's lane: one decision after the other
        self.askers: dict[str, str] = {}
        """Reply subject of whoever asked for a child step."""
        self.unanswered: set[tuple[str, int]] = set()
        """Steps and epochs of leases whose storing was never answered."""

    def has_unanswered_lease(self) -> bool:
        """Whether a lease may stand in the journal that was not there when the run was read again.

        A decision that comes late is fenced out by the next one. A lease does not stand in the lane, and whoever else
        completed its step would count here, and not on replay.
        """
        self.unanswered = {lease for lease in self.unanswered if self._is_dispatched(*lease)}
        return bool(self.unanswered)

    def _is_dispatched(self, name: str, epoch: int) -> bool:
        step = self.state.steps.get(name)
        return step is not None and step.status == "dispatched" and step.work.epoch == epoch
