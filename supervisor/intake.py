"""Tasks are admitted in turn, one of each workflow, as long as there is room; the others wait in their queue.

Bounded is what a deployment has open, and what goes on in it, of one workflow and in all. A task beyond that is neither
refused nor lost: it stays in the stream, and when the stream is full its publisher is refused.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

import structlog

from remit.bus.task_queue import TaskQueue
from remit.contracts.errors import RetryableError
from remit.contracts.task import PROBE_WORKFLOW
from remit.supervisor.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from remit.bus.connection import Bus
    from remit.bus.delivery import Delivery
    from remit.contracts.team import TeamSpec
    from remit.supervisor.runs import Runs

log = structlog.get_logger(__name__)

AT_ONCE: Final = 128
"""Tasks that are being admitted at once."""
LOOK_S: Final = 0.25
AGAIN_S: Final = 0.5
KEEP_S: Final = 4.0
"""How often the server is told that a task waits for its turn here; it would hand it out again after 10 s."""


class Intake:
    """Admits the tasks of the queue."""

    def __init__(
        self,
        team: TeamSpec,
        *,
        bus: Bus,
        runs: Runs,
        admit: Callable[[Delivery], Coroutine[object, object, None]],
        spawn: Callable[[Coroutine[object, object, None]], None],
    ) -> None:
        self._capacity = team.charter.capacity
        self._workflows = frozenset(team.workflows)
        self._runs = runs
        self._admit = admit
        self._spawn = spawn
        self._turns: Turns[Delivery] = Turns()
        self._admitting: Counter[str] = Counter()
        self._queue = TaskQueue(bus, [*team.workflows, PROBE_WORKFLOW], self._on_task)

    @property
    def waiting(self) -> int:
        """Tasks in the queue, as far as is known."""
        return self._queue.waiting

    async def run(self) -> None:
        """Admit tasks, look for those that no workflow's consumer brings, and keep what waits here, until cancelled."""
        self._runs.activity.on_less = self._go_on
        while not await self._is_begun():  # noqa: ASYNC110  # the server is asked again, and tells nobody when it is back
            await asyncio.sleep(AGAIN_S)
        kept = 0.0
        while True:
            await asyncio.sleep(LOOK_S)
            kept += LOOK_S
            if kept >= KEEP_S:
                kept = 0.0
                for delivery in self._turns:
                    delivery.in_progress()
            self._go_on()
            try:
                await self._queue.look()
            except RetryableError as error:
                log.warning("tasks.not_seen", error=str(error))

    async def _is_begun(self) -> bool:
        try:
            await self._queue.start()
        except RetryableError as error:
            log.warning("tasks.not_pulled", error=str(error))
            return False
        return True

    async def stop(self) -> None:
        """Nothing more is admitted; what waits here is left to the next supervisor."""
        self._runs.activity.on_less = _nothing
        await self._queue.stop()

    def _on_task(self, workflow: str, delivery: Delivery) -> None:
        self._turns.put(workflow, delivery)
        self._go_on()

    def _go_on(self) -> None:
        """Admit whose turn it is, as long as there is room."""
        while self._admitting.total() < AT_ONCE and (found := self._turns.take(self._has_room)) is not None:
            workflow, delivery = found
            self._admitting[workflow] += 1
            self._spawn(self._take_in(workflow, delivery))

    async def _take_in(self, workflow: str, delivery: Delivery) -> None:
        try:
            await self._admit(delivery)
        finally:
            self._admitting[workflow] -= 1
        self._go_on()

    def _has_room(self, workflow: str) -> bool:
        if workflow not in self._workflows:  # it is refused, which takes none
            return True
        under_way, capacity, activity = self._admitting.total(), self._capacity, self._runs.activity
        return (
            len(self._runs) + under_way < capacity.open_runs
            and len(activity) + under_way < capacity.running
            and activity.of(workflow) + self._admitting[workflow] < capacity.running_per_workflow
        )


def _nothing() -> None:
    """Nobody waits for room any more."""
