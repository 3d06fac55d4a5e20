"""One run, in which a process dies at one exact instant, and what must be true afterwards.

A *point* is one side, before or after, of one message that the victim's connections send, or of one effect: a tool's,
or a function's of a handler. It has a name (`completed of make-0, before`), not a number in a row, because what goes on
side by side goes in another order each time.

Death is in the process: the victim's connections say and hear nothing from that instant on, what they wrote before is
written, its tasks are cancelled, and no effect runs in its name. The test's process lives on, so the time that an
operating system and Ray take to notice and to start another process is not in the figures. `crash_child.py` kills
real processes at a sample of the same points.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from remit.bus.subject import parse_ack
from tests.integration.durable.crash_team import HOOKS, Side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remit.bus.connection import Bus

Kind = Literal["host", "supervisor", "gateway"]
KINDS: tuple[Kind, ...] = ("host", "supervisor", "gateway")

_NAMES = re.compile(r"\b([a-z_]+)-[0-9a-f]{10}\b")
_NUMBERED = re.compile(r"(_I\.[^.]+(?:-answer)?)\..*")


@dataclass(frozen=True)
class Point:
    """The instant before or after the nth time that something of this name happens."""

    label: str
    nth: int
    side: Side

    def __str__(self) -> str:
        return f"{self.side} {self.label} #{self.nth}"


class _Said(msgspec.Struct):
    type: str = ""
    step: str = ""


def label_of(subject: str, body: bytes) -> str:
    """Name a message: the same in every run, whoever's random name is in its subject."""
    if (about := parse_ack(subject)) is not None:
        return f"{body.partition(b' ')[0].decode()} {about.stream}.{about.consumer}"
    if subject.startswith("_I."):
        to = _NUMBERED.sub(r"\1", subject)
        return _NAMES.sub(r"\1", f"answer {to[3:]} {_said(body).type}")
    step = "" if subject.startswith("remit.run.") else _said(body).step
    return _NAMES.sub(r"\1", f"{subject} {step}".strip())


def _said(body: bytes) -> _Said:
    try:
        return msgspec.json.decode(body, type=_Said)
    except msgspec.MsgspecError:
        return _Said()


@dataclass
class Victim:
    """A process that may die: its connections, what ends its tasks, whether tools or handlers run in it."""

    kind: Kind
    buses: tuple[Bus, ...]
    names: tuple[str, ...]
    end: Callable[[], None]
    is_dead: bool = False

    def die(self) -> None:
        """From here on it says, hears and does nothing; what it said before is written."""
        self.is_dead = True
        for bus in self.buses:
            bus._wire.write_now()
            bus._wire.handlers.clear()
            bus._wire.send = _silence  # type: ignore[method-assign]  # the dead say nothing
        self.end()

    async def bury(self) -> None:
        """Its connections are gone."""
        for bus in self.buses:
            await bus.close()


def _silence(*_: object, **__: object) -> None:
    return


@dataclass
class Probe:
    """Counts what its victim sends and what is done to the world, and kills the victim at one point."""

    victim: Victim
    point: Point | None = None
    is_synced: bool = False
    """Whether the server syncs every write, which takes as long as its disk does."""
    seen: list[Point] = field(default_factory=list)
    died: asyncio.Event = field(default_factory=asyncio.Event)
    died_at: datetime | None = None
    heir_at: datetime | None = None
    _counts: Counter[str] = field(default_factory=Counter)
    _is_over: bool = False

    def disarm(self) -> None:
        """The run is over: nothing counts any more."""
        self._is_over = True

    def arm(self, place: str) -> None:
        """From now on everything counts."""
        HOOKS[place] = self.on_effect
        for bus in self.victim.buses:
            self._listen(bus)

    def _listen(self, bus: Bus) -> None:
        send = bus._wire.send

        def sent(subject: str, body: bytes, *, reply: str = "", headers: Mapping[str, str] | None = None) -> None:
            label = label_of(subject, body)
            nth = self._count(label)
            if self._is_now(Point(label, nth, "before")):
                return
            send(subject, body, reply=reply, headers=headers)
            self._is_now(Point(label, nth, "after"))

        bus._wire.send = sent  # type: ignore[method-assign]  # where every message leaves

    def on_effect(self, label: str, side: Side) -> bool:
        """Say whether the process is dead in which this effect is about to happen, or has happened."""
        nth = self._count(label) if side == "before" else self._counts[label]
        runs_here = {"host": "act", "gateway": "effect", "supervisor": "nowhere"}[self.victim.kind]
        return self._is_now(Point(label, nth, side)) and label.startswith(runs_here)

    def _count(self, label: str) -> int:
        self._counts[label] += 1
        return self._counts[label]

    def _is_now(self, point: Point) -> bool:
        if self._is_over:
            return False
        self.seen.append(point)
        if point != self.point or self.died.is_set():
            return False
        self.died_at = datetime.now(UTC)
        self.victim.die()
        self.died.set()
        return True
