"""The team of docs/writing-a-team.md: its types hold, and it runs on a real server and a real Ray."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from remit.client import Client
from remit.contracts.message import raw
from remit.contracts.task import TaskRequest
from tests.acceptance.served import served
from tests.page import ROOT, Page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remit import places

pytestmark = [pytest.mark.slow]

PAGE = Page("docs/writing-a-team.md")
OUTCOME_S = 60.0


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page, each made of its blocks in order."""
    folder = tmp_path_factory.mktemp("guide")
    for file in ("team.py", "test_team.py"):
        blocks = [block.text for block in PAGE.blocks("python") if block.file == file]
        (folder / file).write_text("\n\n".join(blocks))
    (charter,) = PAGE.blocks("yaml")
    (folder / "charter.yaml").write_text(charter.text)
    return folder


def test_the_types_of_the_guide_hold(guide: Path) -> None:
    loose = [block.text for block in PAGE.blocks("python") if not block.file]
    (guide / "beside.py").write_text("\n\n".join([(guide / "team.py").read_text(), *loose]))
    command = [sys.executable, "-m", "mypy", "--strict", "--explicit-package-bases", "--config-file=", "."]

    checked = subprocess.run(
        command, cwd=guide, env={**os.environ, "MYPYPATH": str(ROOT)}, check=False, capture_output=True, text=True
    )

    assert checked.returncode == 0, checked.stdout


@pytest.fixture
def place(guide: Path, tmp_path: Path) -> Iterator[places.Place]:
    with served(guide, home=tmp_path / "home") as place:
        yield place


@pytest.mark.ray
async def test_the_team_of_the_guide_fans_out_joins_and_skips(place: places.Place, tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    for name, text in (("a", "one two three"), ("b", "four five")):
        (texts / f"{name}.txt").write_text(text)
    given = {"folder": str(texts), "publish": False}

    async with await Client.connect(place) as client:
        run = await client.submit("digest", TaskRequest(goal="count the words", input=raw(given)))
        outcome = await client.outcome(run, OUTCOME_S)

    assert outcome.outcome == "complete", outcome
    assert bytes(outcome.result) == bytes(raw({"type": "digest.page.v1", "text": "a.txt: 3\nb.txt: 2\nlongest: 3"}))
    assert outcome.steps == 4
