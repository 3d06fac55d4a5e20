"""Bugs that are put into the product on purpose, for as long as a test runs: the simulation has to find each of them.

Each is what a careless change could do. Nothing here is imported by anything but its test.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from remit.bus import consumer
from remit.contracts.ids import role_of
from remit.supervisor import dispatch, saga, service
from remit.supervisor import run as runs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from datetime import datetime
    from types import ModuleType

    from remit.bus.delivery import Delivery
    from remit.contracts.errors import RefusedError
    from remit.contracts.team import TeamSpec
    from remit.supervisor.dispatch import Append
    from remit.supervisor.run_state import RunState, StepState


@contextmanager
def settled_before_appended() -> Iterator[None]:
    """PLANTED: the supervisor acks a delivery before what follows from it is in the journal."""

    async def settle_with(
        delivery: Delivery,
        handler: Callable[[Delivery], Awaitable[None]],
        *,
        on_refused: Callable[[Delivery, RefusedError], Awaitable[None]],
        on_bug: Callable[[BaseException], None],
    ) -> None:
        delivery.ack(keep_place=True)
        await consumer.settle_with(delivery, handler, on_refused=on_refused, on_bug=on_bug)

    with _instead(service, "settle_with", settle_with):
        yield


@contextmanager
def epoch_not_checked() -> Iterator[None]:
    """PLANTED: what an agent says of a step counts whichever epoch it speaks of."""

    def counts(step: StepState, author: str, _epoch: int) -> bool:
        if not step.is_held:
            return False
        if step.status == "leased":
            return step.lease is not None and step.lease.agent == author
        return role_of(author) == step.work.role

    with _instead(runs, "counts", counts):
        yield


@contextmanager
def compensated_twice() -> Iterator[None]:
    """PLANTED: a compensation that is over is dispatched once more, under another step's name."""
    right = saga.compensate

    def compensate(team: TeamSpec, run: RunState, now: datetime) -> Append | None:
        listed = run.rollback.listed if run.rollback is not None else None
        for undoing in listed.undo if listed is not None else ():
            step, more = run.steps.get(undoing.by), f"{undoing.by}b"
            if step is not None and step.status == "completed" and more not in run.steps:
                return dispatch.undo(team, run, msgspec.structs.replace(undoing, by=more), now=now)
        return right(team, run, now)

    with _instead(saga, "compensate", compensate):
        yield


@contextmanager
def _instead(module: ModuleType, name: str, planted: object) -> Iterator[None]:
    right = module.__dict__[name]
    setattr(module, name, planted)
    try:
        yield
    finally:
        setattr(module, name, right)
