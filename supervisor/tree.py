"""Restart intensity, as in OTP: a child that dies too often in a period is quarantined instead of restarted.

Source: the supervisor behaviour of Erlang/OTP (intensity and period), with exponential backoff between restarts.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ALARM_AT: Final = 2
"""So many quarantined children of one role are no accident of one of them: somebody is to look."""


@dataclass(frozen=True, kw_only=True)
class Intensity:
    """At most `restarts` in `period_s`; between them a pause that doubles from `backoff_s`."""

    restarts: int = 5
    period_s: float = 30.0
    backoff_s: float = 0.1
    backoff_max_s: float = 5.0
    quarantine_s: float = 60.0


@dataclass(slots=True)
class Restarts:
    """Deaths of one child spec, and when it may start again. Times are seconds of a monotonic clock."""

    intensity: Intensity
    _deaths: deque[float] = field(default_factory=deque)
    _ready_at: float = 0.0
    is_quarantined: bool = False
    reason: str = ""
    """What it died of last, as far as that is known."""

    def died(self, now: float, reason: str = "") -> None:
        """Count a death; the next start is later, and much later when there were too many."""
        self.reason = reason or self.reason
        self._deaths.append(now)
        while self._deaths and self._deaths[0] < now - self.intensity.period_s:
            self._deaths.popleft()
        count = len(self._deaths)
        self.is_quarantined = count > self.intensity.restarts
        if self.is_quarantined:
            self._ready_at = now + self.intensity.quarantine_s
        else:
            pause = self.intensity.backoff_s * 2 ** (count - 1) if count > 1 else 0.0
            self._ready_at = now + min(pause, self.intensity.backoff_max_s)

    def may_start(self, now: float) -> bool:
        """Say whether the child may start now; a quarantine that ended starts a new count."""
        if now < self._ready_at:
            return False
        if self.is_quarantined:
            self.is_quarantined = False
            self._deaths.clear()
        return True

    def release(self) -> bool:
        """Let the child start now, with a new count; say whether it was quarantined."""
        was, self.is_quarantined, self._ready_at = self.is_quarantined, False, 0.0
        self._deaths.clear()
        return was

    def why(self, now: float) -> str:
        """Say why the child does not start now; empty if it may."""
        if self.wait_s(now) <= 0:
            return ""
        died = f"; it died of: {self.reason}" if self.reason else ""
        if not self.is_quarantined:
            return f"restarting in {self.wait_s(now):.0f} s{died}"
        count, period = len(self._deaths), self.intensity.period_s
        return f"quarantined for {self.wait_s(now):.0f} s after {count} deaths in {period:.0f} s{died}"

    def wait_s(self, now: float) -> float:
        """Give the seconds until the child may start."""
        return max(0.0, self._ready_at - now)


def alarm(role: str, quarantined: Mapping[str, str], wished: int) -> str:
    """Say that several children of a role are quarantined, by label and what they died of; empty if it is not so."""
    if len(quarantined) < min(ALARM_AT, max(wished, 1)):
        return ""
    label, reason = next(iter(quarantined.items()))
    died = f"; {label} died of: {reason}" if reason else ""
    return f"{len(quarantined)} of {wished} hosts of {role} are quarantined{died}"
