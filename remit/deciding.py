"""Decide a review: only what was shown, only once, and only if its digest is the digest of what was shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from remit import listing
from remit.contracts.errors import ConflictError, UsageError
from remit.contracts.message import NULL

if TYPE_CHECKING:
    from remit.client import Client
    from remit.contracts.control import ControlDone, DecideReview
    from remit.listing import ReviewCase


async def decide(client: Client, wish: DecideReview) -> ControlDone:
    """The decision is journaled, over the digest of what `remit review show` shows.

    Raises:
        NotFoundError: there is no such review; nothing changed.
        ConflictError: it is decided, its run is over, or what is shown is not what its digest names; nothing changed.
        UsageError: the decision does not fit the kind of the review; nothing changed.
        RemitError: the supervisor refuses, or is not there; nothing changed.
    """
    case = await listing.review(client, wish.review_id)
    check(case, wish)
    return await client.decide(msgspec.structs.replace(wish, subject=case.opened.subject))


def check(case: ReviewCase, wish: DecideReview) -> None:
    """The wish may be sent; raises as `decide` says."""
    name, show = wish.review_id, f"remit review show {wish.review_id}"
    if case.decided is not None:
        said = f"{name} is {case.decided.decision} already, by {case.decided.by}"
        raise ConflictError(said, fix=f"remit run show {case.opened.run_id}")
    if case.finished is not None:
        raise ConflictError(
            f"the run of {name} is over: {case.finished.outcome}", fix=f"remit run show {case.opened.run_id}"
        )
    if case.withdrawn:
        raise ConflictError(
            f"{name} is withdrawn: its step was rolled back to {case.withdrawn}",
            fix=f"remit run show {case.opened.run_id}",
        )
    if not case.is_what_it_says:
        raise ConflictError(
            "what is shown is not what the approval would name", where=name, expected=case.opened.subject, fix=show
        )
    _check_resolution(case, wish, show)
    _check_value(case, wish, show)


def _check_resolution(case: ReviewCase, wish: DecideReview, show: str) -> None:
    is_in_doubt = case.opened.kind == "in_doubt"
    if wish.resolution and not is_in_doubt:
        raise UsageError(
            "--again and --done are for calls in doubt", where=wish.review_id, got=case.opened.kind, fix=show
        )
    if is_in_doubt and wish.decision == "approved" and not wish.resolution:
        raise UsageError(
            "did the call happen? Say --again if not, or --done RESULT if so",
            where=wish.review_id,
            fix=f"remit review approve {wish.review_id} --again",
        )


def _check_value(case: ReviewCase, wish: DecideReview, show: str) -> None:
    if wish.value == NULL or wish.resolution:
        return
    if case.opened.kind != "conflict":
        raise UsageError("--value is for conflicts", where=wish.review_id, got=case.opened.kind, fix=show)
    fields = case.conflict.fields if case.conflict is not None else ()
    if len(fields) != 1:
        raise UsageError(
            "one value cannot decide several fields", where=wish.review_id, got=f"{len(fields)} fields", fix=show
        )
