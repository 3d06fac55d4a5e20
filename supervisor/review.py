"""Reviews: what a person is shown, what is journaled of it, and what the asker hears."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from remit.bus import subject
from remit.contracts.errors import ConflictError, ReplayMismatchError
from remit.contracts.message import decode, digest_of
from remit.contracts.review import RequestReview, ReviewOpened, ReviewOutcome
from remit.contracts.step import Parked, Refused
from remit.supervisor.dispatch import Append

if TYPE_CHECKING:
    from datetime import datetime

    from remit.supervisor.run_state import ReviewState, RunState

_TITLE_VALUE: Final = 60


def open_review(run: RunState, request: RequestReview, now: datetime) -> Append:
    """Give the entry that opens a review and parks its step."""
    number = run.number + 1
    step = run.steps[request.step]
    entry = ReviewOpened(
        review_id=f"{run.run_id}-v{number}",
        run_id=run.run_id,
        step=request.step,
        position=request.position,
        kind=request.kind,
        title=request.title,
        subject=request.subject,
        body=request.body,
        role=step.work.role,
        goal_hash=run.started.goal_hash,
        epoch=step.work.epoch if step.is_held else 0,
        opened_at=now,
    )
    return Append(subject.decision(run.run_id, number, "review_opened"), entry)


def shown_truly(request: RequestReview) -> RequestReview:
    """Give the request with a title of our own: what a person sees is what the digest names, whatever the agent says.

    Raises:
        MalformedMessageError: the body is not what the digest names, or no JSON.
        ConflictError: the body is not what the digest names.
    """
    body: object = decode(object, request.body)
    if digest_of(body) != request.subject:
        raise ConflictError(
            "what is shown is not what is to be decided", where="body", expected=request.subject, got=digest_of(body)
        )
    if request.kind == "in_doubt":
        raise ConflictError("only a gateway says that a call is in doubt", where="kind", got=request.kind)
    if request.kind == "question" or not isinstance(body, dict):
        return request
    return msgspec.structs.replace(request, title=f"{body.get('tool')}({_words(body.get('arguments'))})")


def _words(arguments: object) -> str:
    pairs = arguments.items() if isinstance(arguments, dict) else ()
    return ", ".join(f"{name}={_short(value)}" for name, value in sorted(pairs))


def _short(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _TITLE_VALUE else f"{text[:_TITLE_VALUE]}…"


def answer(known: ReviewState, request: RequestReview) -> ReviewOutcome | Parked | Refused:
    """Give what the asker hears of a review: the decision, or that it waits, or that something else stands there."""
    opened, decided = known.opened, known.decided
    if opened.subject != request.subject:
        mismatch = ReplayMismatchError(
            "another action stands at this position",
            where=request.position,
            expected=opened.subject,
            got=request.subject,
        )
        return Refused(error=mismatch.fault())
    if decided is None:
        return Parked(review_id=opened.review_id)
    return ReviewOutcome(
        review_id=opened.review_id, approved=decided.decision == "approved", by=decided.by, reason=decided.reason
    )
