"""The queue of tasks, read workflow by workflow: one durable consumer for each, and one for names that nobody knows.

The stream is a work queue, so no two consumers may want the same subject, and what no consumer wants would wait for
ever. Workflows of the team have consumers of their own. Any other name in a subject is found by asking the stream
which subjects it holds, and read by a consumer that wants exactly those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from remit.bus import shape, stream, subject, topology
from remit.bus.consumer import PullLoop
from remit.bus.subject import TASKS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from remit.bus.connection import Bus
    from remit.bus.delivery import Delivery

AHEAD: Final = 64
"""Tasks of one workflow that are in hand at once, waiting for their turn included."""
STRANGERS: Final = "strangers-"
"""Each consumer of unknown names has a name of its own: a late ack of one must not settle what the next handed out."""
STRANGERS_MOST: Final = 256
"""Unknown names that are read together."""
_OF_WORKFLOW: Final = "task-"
_BEFORE: Final = topology.SUPERVISOR
"""The one consumer of all tasks that there was before there was one for each workflow."""


class _Names(msgspec.Struct, frozen=True):
    consumers: tuple[str, ...] | None = None


class _Held(msgspec.Struct, frozen=True):
    subjects: dict[str, int] | None = None
    messages: int = 0
    last_seq: int = 0


class _Info(msgspec.Struct, frozen=True):
    state: _Held = _Held()


class TaskQueue:
    """Calls `on_task` with every task and the name of its workflow; at most `AHEAD` of each are not settled."""

    def __init__(self, bus: Bus, workflows: Collection[str], on_task: Callable[[str, Delivery], None]) -> None:
        self._bus = bus
        self._workflows = frozenset(workflows)
        self._on_task = on_task
        self._loops: dict[str, PullLoop] = {}
        self._strangers: frozenset[str] = frozenset()
        self._of_strangers: PullLoop | None = None
        self._durable_of_strangers = ""
        self._made = 0
        self.waiting = 0
        """Tasks in the stream, those in hand included, when it was last looked at."""

    async def start(self) -> None:
        """Tasks of every workflow are handed out; consumers that an earlier build had, and this one has not, are gone.

        Raises:
            BusUnavailableError: the server did not answer; some may be handed out, and it may be repeated.
        """
        wanted = {_OF_WORKFLOW + name: subject.task(name) for name in sorted(self._workflows)}
        for name in await self._consumers():
            if name not in wanted and (name == _BEFORE or name.startswith((STRANGERS, _OF_WORKFLOW))):
                await self._delete(name)
        for durable, filter_ in wanted.items():
            if durable not in self._loops:
                await shape.ensure_consumer(self._bus, TASKS, topology.task_consumer(durable, (filter_,)), start_seq=1)
                self._loops[durable] = await self._pull(durable)
        await self.look()

    async def look(self) -> None:
        """Tasks of workflows that nobody knows are handed out as well; to be repeated, they come at any time.

        Raises:
            BusUnavailableError: the server did not answer; it may be repeated.
        """
        body = {"subjects_filter": subject.TASK_SUBJECTS[0]}
        held = msgspec.json.decode(await stream.api(self._bus, "STREAM.INFO", TASKS, body=body), type=_Info).state
        self.waiting = held.messages
        found = [name for name in held.subjects or {} if subject.last_token(name) not in self._workflows]
        if found and self._strangers.issuperset(found):
            return
        if self._of_strangers is not None:
            await self._of_strangers.stop()
            self._of_strangers = None
            await self._delete(self._durable_of_strangers)
        self._strangers = frozenset(sorted(found)[:STRANGERS_MOST])
        if self._strangers:
            self._made += 1
            self._durable_of_strangers = f"{STRANGERS}{held.last_seq}-{self._made}"
            spec = topology.task_consumer(self._durable_of_strangers, tuple(sorted(self._strangers)))
            await shape.ensure_consumer(self._bus, TASKS, spec, start_seq=1)
            self._of_strangers = await self._pull(self._durable_of_strangers)

    async def stop(self) -> None:
        """Nothing is handed out any more."""
        for loop in (*self._loops.values(), self._of_strangers):
            if loop is not None:
                await loop.stop()

    async def _pull(self, durable: str) -> PullLoop:
        return await PullLoop.start(self._bus, TASKS, durable, self._take, batch=AHEAD, limit=AHEAD)

    def _take(self, delivery: Delivery) -> None:
        self._on_task(subject.last_token(delivery.subject), delivery)

    async def _consumers(self) -> list[str]:
        names: list[str] = []
        while True:
            answer = await stream.api(self._bus, "CONSUMER.NAMES", TASKS, body={"offset": len(names)})
            page = msgspec.json.decode(answer, type=_Names).consumers or ()
            if not page:
                return names
            names += page

    async def _delete(self, name: str) -> None:
        await stream.try_api(self._bus, "CONSUMER.DELETE", TASKS, name)  # one that is gone already is gone
