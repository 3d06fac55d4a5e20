"""When a failed step is tried again. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from remit.contracts.team import TeamSpec
    from remit.supervisor.run_state import StepState

BACKOFF_S, BACKOFF_MAX_S = 0.5, 30.0


def may_retry(team: TeamSpec, step: StepState) -> bool:
    """Say whether a failed step has attempts left and its failure may pass."""
    most = team.charter.roles[step.work.role].limits.attempts
    return step.retryable and step.work.attempt < min(step.work.attempts or most, most)


def retry_at(step: StepState) -> datetime:
    """Give the time of the next attempt: 0.5 s after the first failure or as the plan says, doubling, at most 30 s."""
    if step.failed_at is None:
        raise ValueError(step.work.step)
    first = step.work.backoff_s or BACKOFF_S
    return step.failed_at + timedelta(seconds=min(first * 2 ** (step.work.attempt - 1), BACKOFF_MAX_S))
