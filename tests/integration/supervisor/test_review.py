"""What a person decides parks a step, outlives processes, and comes back with the next lease."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from remit.bus import subject
from remit.contracts.control import (
    AskStatus,
    CancelRun,
    ControlDone,
    DecideReview,
    PauseRun,
    ResumeRun,
    TeamStatus,
)
from remit.contracts.errors import Fault
from remit.contracts.message import digest_of, encode, raw
from remit.contracts.review import ReviewOutcome
from remit.contracts.step import ClaimRefused, Parked, Refused, StepLeased
from remit.contracts.tool import ToolInDoubt
from tests.integration.supervisor.world import crash
from tests.teams import Order, Sheet, shop

if TYPE_CHECKING:
    from remit.contracts.step import RunStep
    from tests.integration.supervisor.agent import Agent
    from tests.integration.supervisor.world import World

ORDER = Order(customer="ann")
PLAN = {"send": "everything"}
CALL = {"tool": "mail.send", "arguments": {"to": "ann"}}


async def parked(world: World) -> tuple[str, Agent, RunStep, str]:
    """Give a run whose only step waits for a person."""
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    work = await clerk.hold()
    answer = await clerk.review(work, PLAN)
    assert isinstance(answer, Parked)
    return run, clerk, work, answer.review_id


def decision(review: str, body: object = PLAN, **more: object) -> DecideReview:
    return DecideReview(review_id=review, subject=digest_of(body), decision="approved", **more)  # type: ignore[arg-type]


async def test_an_approved_review_is_answered_to_whoever_holds_the_step_next(world: World) -> None:
    await world.supervise(shop())
    run, clerk, work, review = await parked(world)

    done = await world.control("decide", decision(review, reason="fine"))
    again = await clerk.hold()
    answer = await clerk.review(again, PLAN)
    await clerk.complete(again, Sheet())

    assert done == ControlDone(detail=f"{review} is approved")
    assert (again.epoch, again.attempt, again.rule) == (work.epoch + 1, 1, f"review {review} decided")
    assert answer == ReviewOutcome(review_id=review, approved=True, by="ann", reason="fine")
    assert (await world.outcome(run)).outcome == "complete"


async def test_a_parked_step_is_nobodys(world: World) -> None:
    await world.supervise(shop())
    _run, clerk, work, review = await parked(world)

    claimed = await clerk.claim(work)
    asked_again = await clerk.review(work, PLAN)
    beside = await clerk.review(work, {"send": "nothing"}, position="1")
    await clerk.complete(work, Sheet())
    status = await world.control("status", AskStatus())

    assert claimed == ClaimRefused(reason="superseded")
    assert asked_again == Parked(review_id=review)
    assert isinstance(beside, Parked), "another branch of the handler may ask, too"
    assert beside.review_id != review
    assert isinstance(status, TeamStatus)
    assert (status.open_runs, status.parked_runs) == (1, 1)


async def test_a_step_waits_for_all_of_its_reviews(world: World) -> None:
    await world.supervise(shop())
    _run, clerk, work, review = await parked(world)
    other = await clerk.review(work, {"b": 2}, position="1")
    assert isinstance(other, Parked)

    await world.control("decide", decision(review))
    waits = not clerk.has_work
    await world.control("decide", decision(other.review_id, {"b": 2}))
    again = await clerk.hold()

    assert waits
    assert again.epoch == 2


async def test_a_rejected_review_ends_the_run_as_rejected_once_the_step_says_so(world: World) -> None:
    await world.supervise(shop())
    run, clerk, _work, review = await parked(world)

    await world.control(
        "decide", DecideReview(review_id=review, subject=digest_of(PLAN), decision="rejected", reason="too much")
    )
    again = await clerk.hold()
    answer = await clerk.review(again, PLAN)
    await clerk.fail(again, Fault(code="RM-214", message="ann rejected it"), retryable=False)

    assert isinstance(answer, ReviewOutcome)
    assert (answer.approved, answer.reason) == (False, "too much")
    assert (await world.outcome(run)).outcome == "rejected"


async def test_a_decision_about_something_else_is_refused(world: World) -> None:
    await world.supervise(shop())
    run, _clerk, _work, review = await parked(world)

    other = await world.control("decide", decision(review, {"send": "more"}))
    unknown = await world.control("decide", decision(f"{run}-v9"))
    over = await world.control("decide", decision("r99-v1"))
    resolved = await world.control("decide", decision(review, resolution="done"))
    await world.control("decide", decision(review))
    twice = await world.control("decide", decision(review))

    answers = [other, unknown, over, resolved, twice]
    codes = [answer.error.code for answer in answers if isinstance(answer, Refused)]
    assert codes == ["RM-210", "RM-209", "RM-209", "RM-211", "RM-210"]


async def test_a_wish_that_waited_while_its_run_ended_is_refused_and_nothing_follows_the_outcome(world: World) -> None:
    supervisor = await world.supervise(shop())
    run, _clerk, _work, review = await parked(world)
    await world.control("pause", PauseRun(run_id=run))
    known = supervisor.runs.get(run)
    assert known is not None

    async with known.lock:  # whoever asks now waits for it, in the order in which they ask
        wishes = [
            asyncio.create_task(world.control("cancel", CancelRun(run_id=run))),
            asyncio.create_task(world.control("decide", decision(review))),
            asyncio.create_task(world.control("resume", ResumeRun(run_id=run))),
        ]
        await asyncio.wait(wishes, timeout=0.3)
    cancelled, decided, resumed = await asyncio.gather(*wishes)

    assert cancelled == ControlDone(detail=f"{run} is stopped")
    assert [answer.error.code for answer in (decided, resumed) if isinstance(answer, Refused)] == ["RM-209", "RM-209"]
    assert (await world.lane(run))[-1] == "finished"


async def test_an_approval_comes_with_the_next_lease_and_names_one_action(world: World) -> None:
    await world.supervise(shop())
    clerk = await world.agent("clerk")
    await world.submit("order", ORDER)
    asked = await clerk.review(await clerk.hold(), CALL, kind="action", position="3")
    assert isinstance(asked, Parked)

    await world.control("decide", decision(asked.review_id, CALL))
    answer = await clerk.claim(await clerk.take())

    assert isinstance(answer, StepLeased)
    approvals = [(item.review_id, item.position, item.action, item.by) for item in answer.lease.grant.approvals]
    assert approvals == [(asked.review_id, "3", digest_of(CALL), "ann")]


async def test_another_question_at_the_place_of_an_earlier_one_is_refused(world: World) -> None:
    await world.supervise(shop())
    _run, clerk, _work, review = await parked(world)
    await world.control("decide", decision(review))

    answer = await clerk.review(await clerk.hold(), {"send": "other things"})

    assert isinstance(answer, Refused)
    assert answer.error.code == "RM-208"


async def test_a_review_outlives_the_supervisor(world: World) -> None:
    first = await world.supervise(shop())
    run, clerk, _work, review = await parked(world)
    await crash(first)
    await world.supervise(shop())

    await world.control("decide", decision(review))
    await clerk.complete(await clerk.hold(), Sheet())

    assert (await world.outcome(run)).outcome == "complete"


async def test_a_call_in_doubt_parks_its_step_and_what_the_person_says_comes_with_the_next_lease(world: World) -> None:
    await world.supervise(shop())
    clerk = await world.agent("clerk")
    run = await world.submit("order", ORDER)
    work = await clerk.hold()
    doubt = ToolInDoubt(run_id=run, step=work.step, position="4", tool="mail.send", request="sha256:4", reason="cut")

    await world.journal.append(subject.call(run, work.step, "4", "in_doubt"), encode(doubt))
    review = await world.opened(run)
    wish = DecideReview(
        review_id=review.review_id,
        subject="sha256:4",
        decision="approved",
        resolution="done",
        value=raw({"sent": True}),
    )
    await world.control("decide", wish)
    answer = await clerk.claim(await clerk.take())

    assert (review.kind, review.position, review.epoch) == ("in_doubt", "4", 1)
    assert isinstance(answer, StepLeased)
    (resolution,) = answer.lease.grant.resolutions
    assert (resolution.position, resolution.decision) == ("4", "done")
    assert json.loads(bytes(resolution.value)) == {"sent": True}


async def test_a_question_that_is_no_json_or_too_large_is_refused(world: World) -> None:
    await world.supervise(shop())
    clerk = await world.agent("clerk")
    await world.submit("order", ORDER)
    work = await clerk.hold()

    large = await clerk.review(work, "x" * (1024 * 1024 - 500))
    where = await clerk.review(work, PLAN, position=">")

    assert isinstance(large, Refused)
    assert isinstance(where, Refused)
    assert (large.error.code, where.error.code) == ("RM-212", "RM-201")
