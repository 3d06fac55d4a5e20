"""A person leaves files out of an audit's report: the tree that was rejected never runs, the smaller one does, once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit import loader
from remit.audit import TEAM
from remit.contracts.control import DecideReview
from remit.contracts.errors import ReviewRejectedError
from remit.contracts.message import decode
from remit.contracts.review import ReviewOpened
from remit.contracts.tool import ToolCalled
from remit.replay import replay
from remit.teams.audit.message import AuditRequest, Published
from remit.teams.audit.report.edit import Edit, reason_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.durable.conftest import Housing
    from tests.integration.durable.house import House

LOADED = loader.load(TEAM)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "till.py").write_text("def till(key):\n    return eval(key)\n")
    return folder


async def asked(house: House, run: str, number: int) -> ReviewOpened:
    """Give a review of a run by its number, from 1, once it is there."""
    async with asyncio.timeout(15):
        while len(found := await house.entries(f"remit.run.{run}._.*.review_opened")) < number:
            await asyncio.sleep(0.01)  # another connection writes it
    return decode(ReviewOpened, found[number - 1].data)


async def decided(house: House, opened: ReviewOpened, reason: str = "") -> None:
    wish = DecideReview(
        review_id=opened.review_id,
        subject=opened.subject,
        decision="rejected" if reason else "approved",
        reason=reason,
        by="ann",
    )
    await house.told("decide", wish)


@pytest.mark.parametrize("lost", ["", "publisher"])
async def test_a_tree_that_a_person_made_smaller_is_asked_about_anew_and_written_once(
    housing: Housing, repository: Path, tmp_path: Path, lost: str
) -> None:
    out = tmp_path / "out"
    async with housing(LOADED.team, LOADED.charter) as house:
        run = await house.submit("audit", AuditRequest(path=str(repository), out=str(out)))
        first = await asked(house, run, 1)
        await decided(house, first, reason_of(Edit(leave_out=("findings.sarif", "baseline.json"))))
        second = await asked(house, run, 2)
        assert not out.exists()
        if lost:
            await house.lose(lost)
            await house.restart()
        await decided(house, second)
        finished = await house.outcome(run)
        calls = [
            decode(ToolCalled, item.data) for item in await house.entries(f"remit.run.{run}.publish.call.*.called")
        ]
        replayed = await replay(house.journal, house.spec, run, roles=LOADED.team.roles)
        kinds = await house.kinds(run)

    reply = decode(Published, finished.result)
    written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert finished.outcome == "complete", finished
    assert first.subject != second.subject
    assert reply.left_out == ("findings.sarif", "baseline.json")
    assert len(written) == reply.files == len(shown(first)) - 2
    assert {f"report/{name}" for name in written} == shown(second)
    assert [item.tool for item in calls if item.tool == "fs.publish"] == ["fs.publish"]
    assert next(step.verdict for step in replayed.steps if step.step == "publish") == "same"
    assert kinds.count("review_opened") == kinds.count("review_decided") == 2


def shown(opened: ReviewOpened) -> set[str]:
    body = msgspec.json.decode(opened.body)
    return {item["name"] for item in body["arguments"]["tree"]}


async def test_a_rejection_that_says_no_edit_ends_the_audit_with_nothing_written(
    housing: Housing, repository: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    async with housing(LOADED.team, LOADED.charter) as house:
        run = await house.submit("audit", AuditRequest(path=str(repository), out=str(out)))
        await decided(house, await asked(house, run, 1), "edit it yourself")
        finished = await house.outcome(run)
        replayed = await replay(house.journal, house.spec, run, roles=LOADED.team.roles)

    assert next(step.verdict for step in replayed.steps if step.step == "publish") == "same"
    assert finished.outcome == "rejected"
    assert finished.error is not None
    assert finished.error.code == ReviewRejectedError.code
    assert not out.exists()
