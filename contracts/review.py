"""What a person decides: a journaled object that outlives every process."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from remit.contracts.message import NULL, Message

ReviewKind = Literal["action", "question", "in_doubt", "conflict"]
"""action: may this tool call run · question: a role asked · in_doubt: did this effect happen ·
conflict: which side of a state conflict stands."""
Decision = Literal["approved", "rejected"]


class RequestReview(Message, frozen=True, kw_only=True, tag="review.request.v1"):
    """A step needs a person's decision; `subject` is the digest of what is decided upon."""

    run_id: str
    step: str
    epoch: int
    position: str
    kind: ReviewKind
    title: str
    subject: str
    body: msgspec.Raw = NULL
    """What the person is shown, as the requester says it."""


class ReviewOpened(Message, frozen=True, kw_only=True, tag="review.opened.v1"):
    """The step is parked until the review is decided."""

    review_id: str
    run_id: str
    step: str
    position: str
    kind: ReviewKind
    title: str
    subject: str
    body: msgspec.Raw = NULL
    role: str
    goal_hash: str
    epoch: int = 0
    """The dispatch that is parked; 0 if nobody held the step, so that nothing waits."""
    opened_at: datetime


class ReviewDecided(Message, frozen=True, kw_only=True, tag="review.decided.v1"):
    """A person decided; `subject` repeats the digest of what was approved."""

    review_id: str
    run_id: str
    decision: Decision
    subject: str
    by: str
    reason: str = ""
    resolution: Literal["", "again", "done", "skip"] = ""
    value: msgspec.Raw = NULL
    decided_at: datetime


class ReviewOutcome(Message, frozen=True, kw_only=True, tag="review.outcome.v1"):
    """What the handler gets back from `ctx.review`."""

    review_id: str
    approved: bool
    by: str
    reason: str = ""
