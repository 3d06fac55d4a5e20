"""Who was heard when: heartbeats of agents against a monotonic clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remit.contracts.control import Heartbeat

GRACE_S = 10.0
"""How long an agent may take until its first heartbeat."""


class Roster:
    """Heartbeats by agent. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._beats: dict[str, Heartbeat] = {}
        self._heard: dict[str, float] = {}

    def expect(self, agents: Iterable[str], now: float) -> None:
        """Await the first heartbeat of new agents."""
        for agent in agents:
            self._heard.setdefault(agent, now + GRACE_S)

    def heard(self, beat: Heartbeat, now: float) -> None:
        """Note a heartbeat of an agent that is awaited; strangers do not count."""
        if beat.agent in self._heard:
            self._beats[beat.agent] = beat
            self._heard[beat.agent] = max(now, self._heard[beat.agent] - GRACE_S)

    def forgive(self, now: float) -> None:
        """Count silence from now."""
        self._heard = {agent: max(at, now) for agent, at in self._heard.items()}

    def forget(self, *agents: str) -> None:
        """Expect nothing more of these agents."""
        for agent in agents:
            self._beats.pop(agent, None)
            self._heard.pop(agent, None)

    def knows(self, agent: str) -> bool:
        """Say whether an agent is expected to live."""
        return agent in self._heard

    def beats(self, agents: Iterable[str]) -> list[Heartbeat]:
        """Give the last heartbeats of agents that were heard."""
        return [self._beats[agent] for agent in agents if agent in self._beats]

    def silent(self, now: float, limit_s: float) -> list[str]:
        """Give the agents that were not heard for longer than a limit."""
        return [agent for agent, at in self._heard.items() if now - at > limit_s]
