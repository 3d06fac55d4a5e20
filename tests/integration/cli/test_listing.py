"""Lists are quick however many runs there are, and a review is decided only as it was shown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from remit import deciding, listing
from remit.client import error_of
from remit.contracts.control import DecideReview
from remit.contracts.errors import ClusterLostError, ConflictError, Fault, NotFoundError, RemitError, UsageError

if TYPE_CHECKING:
    from tests.integration.cli.conftest import Deployment

RUNS = 1500


async def test_the_newest_of_thousands_of_runs_are_listed_first(deployment: Deployment) -> None:
    for first in range(0, RUNS, 500):
        runs = await asyncio.gather(*(deployment.started(f"goal {first + number}") for number in range(500)))
        await asyncio.gather(*(deployment.finished(run) for run in runs))
    newest = await deployment.started("the newest")
    async with asyncio.timeout(10):  # outcomes are copied from the journal a moment later
        while await deployment.client.results.get(f"r{RUNS}") is None:
            await asyncio.sleep(0.01)

    found = await listing.runs(deployment.client, limit=20)

    assert [item.run for item in found] == [f"r{number}" for number in range(RUNS + 1, RUNS - 19, -1)]
    assert (found[0].run, found[0].state, found[0].waiting_for) == (newest, "running", "an agent of role clerk")
    assert found[1].state == "complete"
    assert found[1].goal.startswith("goal ")


async def test_a_task_that_no_supervisor_took_yet_is_listed_as_queued(deployment: Deployment) -> None:
    await deployment.task("wait for me")

    (found,) = await listing.runs(deployment.client, limit=20)

    assert (found.run, found.state, found.goal, found.waiting_for) == ("r1", "queued", "wait for me", "the supervisor")


async def test_no_runs_are_an_empty_list(deployment: Deployment) -> None:
    assert await listing.runs(deployment.client, limit=20) == []


async def test_a_review_is_open_until_it_is_decided_or_its_run_is_over(deployment: Deployment) -> None:
    waiting, decided, over = [await deployment.started(goal) for goal in ("waiting", "decided", "over")]
    for run in (waiting, decided, over):
        await deployment.opened(run)
    await deployment.decided(decided)
    await deployment.finished(over)
    while await deployment.client.finished(over) is None:  # RESULTS follows the journal
        await asyncio.sleep(0)

    assert [item.run_id for item in await listing.open_reviews(deployment.client)] == [waiting]
    assert (await listing.runs(deployment.client, limit=3))[2].state == "parked"


@pytest.mark.parametrize("name", ["r1-v1", "r1", "v1", "r1-vx", "-v1", "r1-v2"])
async def test_a_review_that_does_not_exist_is_not_found(deployment: Deployment, name: str) -> None:
    with pytest.raises(NotFoundError, match="no review"):
        await listing.review(deployment.client, name)


async def test_what_is_shown_is_what_its_digest_names(deployment: Deployment) -> None:
    review = await deployment.opened(await deployment.started("x"))

    case = await listing.review(deployment.client, review)

    assert case.action is not None
    assert (case.action.tool, case.goal, case.is_what_it_says) == ("send_mail", "x", True)


async def test_an_agent_that_shows_something_else_than_it_asks_for_is_not_approved(deployment: Deployment) -> None:
    review = await deployment.opened(
        await deployment.started("x"), shown={"tool": "send_mail", "arguments": {"to": "friend@b.c"}}
    )

    with pytest.raises(ConflictError, match="what is shown is not what the approval would name"):
        await deciding.decide(deployment.client, approval(review))


async def test_a_decided_review_is_not_decided_again(deployment: Deployment) -> None:
    run = await deployment.started("x")
    review = await deployment.opened(run)
    await deployment.decided(run)

    with pytest.raises(ConflictError, match="is rejected already, by ada"):
        await deciding.decide(deployment.client, approval(review))


async def test_only_a_call_in_doubt_takes_a_resolution(deployment: Deployment) -> None:
    review = await deployment.opened(await deployment.started("x"))

    with pytest.raises(UsageError, match="are for calls in doubt"):
        await deciding.decide(deployment.client, approval(review, resolution="again"))


async def test_without_a_supervisor_a_decision_says_so(deployment: Deployment) -> None:
    review = await deployment.opened(await deployment.started("x"))

    with pytest.raises(ClusterLostError, match="the supervisor does not answer"):
        await deciding.decide(deployment.client, approval(review))


def approval(review: str, *, resolution: str = "") -> DecideReview:
    return DecideReview(review_id=review, subject="", decision="approved", resolution=resolution)  # type: ignore[arg-type]  # one of the literals


@pytest.mark.parametrize("code", ["RM-209", "RM-402", "RM-210"])
def test_a_refusal_is_the_error_of_its_code(code: str) -> None:
    error = error_of(Fault(code=code, message="no"))

    assert (error.code, error.fault().code) == (code, code)
    assert type(error) is not RemitError


def test_a_code_of_a_later_version_is_said_as_it_came() -> None:
    assert error_of(Fault(code="RM-999", message="no")).fault().code == "RM-999"
