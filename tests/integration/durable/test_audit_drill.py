"""A bad patch takes an audit back to cp3: the shipped team on real servers, with what may die on the way."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from remit import loader
from remit.audit import TEAM
from remit.contracts.control import ControlDone, DecideReview
from remit.contracts.ids import role_of
from remit.contracts.message import decode
from remit.contracts.plan import PlanAccepted
from remit.contracts.proposal import StateCommitted
from remit.contracts.rollback import RolledBack
from remit.teams.audit.message import AuditRequest, Published

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.durable.conftest import Housing
    from tests.integration.durable.house import House

LOADED = loader.load(TEAM)
FILES = {
    "shop.py": 'import subprocess\n\n\ndef run(key):\n    subprocess.run(key, shell=True)\n    return f"done"\n',
    "till.py": 'def till(key):\n    return "\\d" if key is not "" else f"x"\n',
}
BAD, GOOD = "patches/001-F541-shop.py.patch", "patches/002-F541-F632-W605-till.py.patch"
Tree = dict[str, bytes]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    subprocess.run(["git", "init", "-q", folder], check=True, timeout=20)
    return folder


async def begun(house: House, repository: Path, *, out: str) -> str:
    return await house.submit("audit", AuditRequest(path=str(repository), out=out, inject="bad-patch"))


async def ended(house: House, run: str) -> Published:
    """Approve what the audit wants to write, and give its last reply."""
    opened = await house.opened(run)
    wish = DecideReview(review_id=opened.review_id, subject=opened.subject, decision="approved", by="ann")
    assert isinstance(await house.control("decide", wish), ControlDone)
    finished = await house.outcome(run)
    assert finished.outcome == "complete", finished
    return decode(Published, finished.result)


def published(folder: Path) -> Tree:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


async def undisturbed(house: House, repository: Path, out: Path) -> Tree:
    await ended(house, await begun(house, repository, out=str(out)))
    return published(out)


async def test_the_state_goes_back_the_files_are_swept_and_the_plan_leaves_the_patch_out(
    housing: Housing, repository: Path, tmp_path: Path
) -> None:
    async with housing(LOADED.team, LOADED.charter) as house:
        run = await begun(house, repository, out=str(tmp_path / "out"))
        reply = await ended(house, run)
        done = await house.last(run, "rolled_back", RolledBack)
        kinds = await house.kinds(run)
        plans = [decode(PlanAccepted, item.data) for item in await house.entries(f"remit.run.{run}._.*.planned")]
        notes = [decode(StateCommitted, item.data) for item in await house.entries(f"remit.state.{run}.>")]

    assert kinds.count("rolled_back") == 1
    assert (done.to, sorted(done.undone)) == ("cp3", ["fix-0", "fix-1"])
    assert sorted(done.restored) == ["file.shop.py", "file.till.py"]
    assert [item.what for item in done.lasting] == ["fs.scratch_write of step verify"]  # the lesson, on purpose
    assert [node.width for plan in plans for node in plan.nodes if node.node == "fix"] == [2, 1]
    shop, till = ([item for item in notes if item.key == key] for key in ("file.shop.py", "file.till.py"))
    before, fixed, back = shop[-3:]
    assert (role_of(fixed.agent), back.rule, back.value) == ("fixer", "rollback", before.value)
    assert [item.rule for item in till[-2:]] == ["rollback", "write"]
    assert reply.way == f"rolled back once to cp3: {BAD} did not hold; the plan goes on without it"
    files = published(tmp_path / "out")
    assert [name for name in files if name.startswith("patches/")] == [GOOD]
    assert b"## What went wrong on the way" in files["report.md"]
    assert f"- {BAD}: git apply says: patch failed".encode() in files["report.md"]


@pytest.mark.parametrize("kind", ["rollback_listed", "work.sweeper.*.*", "rolled_back"])
async def test_a_supervisor_that_dies_while_it_goes_back_leaves_no_trace_in_the_report(
    housing: Housing, repository: Path, tmp_path: Path, kind: str
) -> None:
    async with housing(LOADED.team, LOADED.charter) as house:
        first = await undisturbed(house, repository, tmp_path / "one")

        run = await begun(house, repository, out=str(tmp_path / "two"))
        await house.appears(f"remit.run.{run}._.{kind if kind.startswith('work') else f'*.{kind}'}")
        await house.restart()
        await ended(house, run)

    assert published(tmp_path / "two") == first


@pytest.mark.parametrize("role", ["fixer", "verifier", "sweeper"])
async def test_a_host_that_dies_with_a_mender_leaves_no_trace_in_the_report(
    housing: Housing, repository: Path, tmp_path: Path, role: str
) -> None:
    async with housing(LOADED.team, LOADED.charter) as house:
        first = await undisturbed(house, repository, tmp_path / "one")

        run = await begun(house, repository, out=str(tmp_path / "two"))
        await house.appears(f"remit.run.{run}._.work.{role}.*.*")
        await house.lose(role)
        await ended(house, run)

    assert published(tmp_path / "two") == first


async def test_the_report_of_a_drill_is_the_same_with_more_hosts(
    housing: Housing, repository: Path, tmp_path: Path
) -> None:
    async with housing(LOADED.team, LOADED.charter) as house:
        first = await undisturbed(house, repository, tmp_path / "one")

        for role in ("analyst-code", "analyst-security", "fixer"):
            for _more in range(3):
                await house.hire(role)
        await ended(house, await begun(house, repository, out=str(tmp_path / "two")))

    assert published(tmp_path / "two") == first
