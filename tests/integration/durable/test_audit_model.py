"""An audit with a model loses the host of a role in the middle: no answer is paid twice, and the report is the same."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from remit import loader
from remit.audit import TEAM
from remit.contracts.control import ControlDone, DecideReview
from remit.replay import replay
from remit.teams.audit.message import AuditRequest
from remit.teams.audit.tools import model
from tests.model_server import Asked, ModelServer, Reaction, says

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.durable.conftest import Housing
    from tests.integration.durable.house import House

LOADED = loader.load(TEAM)
ARGUES = "Other tools found what follows"
SAID = {
    "what this repository is": {"summary": "A till."},
    "These findings are in one file": {"why": "It hides its failures."},
    "Can data that somebody outside": {"reachable": "unclear", "why": "The caller is not shown."},
    "Mend these findings": {"edits": []},
    "Say to the owner": {"text": "Look at the till."},
}


class Script:
    """Argues wrongly first and rightly in the second round, which it may let wait."""

    def __init__(self) -> None:
        self.second_round = asyncio.Event()

    def __call__(self, asked: Asked) -> Reaction:
        if ARGUES not in asked.last:
            return says(next(json.dumps(answer) for words, answer in SAID.items() if words in asked.last))
        is_second = "your last answer" in asked.last
        if is_second:
            self.second_round.set()
        quote = "return eval(key)" if is_second else "nowhere at all"
        argument = {"finding": "1", "verdict": "demote", "reason": "Keys are our own.", "quote": quote}
        return says(json.dumps({"arguments": [argument]}))


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ModelServer]:
    async with ModelServer.start() as server:
        monkeypatch.setenv(model.URL, server.url)
        monkeypatch.setenv(model.NAMES, "small")
        yield server


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "till.py").write_text("def till(key):\n    return eval(key)\n")
    return folder


async def published(house: House, run: str, out: Path) -> dict[str, bytes]:
    """Approve what the audit wants to write, and give it."""
    opened = await house.opened(run)
    wish = DecideReview(review_id=opened.review_id, subject=opened.subject, decision="approved", by="ann")
    assert isinstance(await house.control("decide", wish), ControlDone)
    finished = await house.outcome(run)
    assert finished.outcome == "complete", finished
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


async def test_a_critic_that_is_lost_in_its_second_round_goes_on_with_the_answers_that_it_had(
    housing: Housing, repository: Path, tmp_path: Path, server: ModelServer
) -> None:
    async with housing(LOADED.team, LOADED.charter) as house:
        server.script = Script()
        request = AuditRequest(path=str(repository), out=str(tmp_path / "one"), model="small")
        undisturbed = await published(house, await house.submit("audit", request), tmp_path / "one")
        paid = server.paid
        server.script = script = Script()
        run = await house.submit("audit", AuditRequest(path=str(repository), out=str(tmp_path / "two"), model="small"))
        await asyncio.wait_for(script.second_round.wait(), 15)
        await house.lose("critic")
        disturbed = await published(house, run, tmp_path / "two")
        replayed = await replay(house.journal, house.spec, run, roles=LOADED.team.roles)

    assert server.paid == 2 * paid
    assert disturbed == undisturbed
    assert b"a model argues: Keys are our own. It quotes `return eval(key)`" in disturbed["findings.json"]
    assert {step.step: step.verdict for step in replayed.steps if step.verdict != "same"} == {}
