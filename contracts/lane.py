"""What the entries of a run's lane hold, by the last token of their subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remit.contracts.fork import RunForked
from remit.contracts.plan import PlanAccepted, PlanRefused
from remit.contracts.review import ReviewDecided, ReviewOpened
from remit.contracts.rollback import Checkpointed, RollbackBegun, RollbackListed, RolledBack
from remit.contracts.step import StepChecked, StepParked, StepTimedOut
from remit.contracts.task import RunBound, RunFinished, RunPaused, RunResumed, RunStarted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remit.contracts.message import Message

DECISIONS: Final[Mapping[str, type[Message]]] = {
    "started": RunStarted,
    "planned": PlanAccepted,
    "timed_out": StepTimedOut,
    "parked": StepParked,
    "checked": StepChecked,
    "review_opened": ReviewOpened,
    "review_decided": ReviewDecided,
    "plan_refused": PlanRefused,
    "checkpointed": Checkpointed,
    "rollback_begun": RollbackBegun,
    "rollback_listed": RollbackListed,
    "rolled_back": RolledBack,
    "paused": RunPaused,
    "resumed": RunResumed,
    "forked": RunForked,
    "bound": RunBound,
    "finished": RunFinished,
}
