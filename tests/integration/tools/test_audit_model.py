"""The audit's own tool for models, behind a real gateway and before a real server of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remit.contracts.message import decode
from remit.contracts.model import Completion, ModelMessage
from remit.contracts.tool import ToolAnswered
from remit.teams.audit.tools import model as audit_model
from tests.integration.tools.model_floor import KEY

if TYPE_CHECKING:
    from tests.integration.tools.model_floor import ModelFloor

TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
SHOWN = (ModelMessage(role="user", content=f"token = {TOKEN}"),)


@pytest.fixture
def told(model: ModelFloor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(audit_model.URL, model.server.url)
    monkeypatch.setenv(audit_model.NAMES, "small")
    monkeypatch.setenv(audit_model.PRICE, "1.0,2.0")
    monkeypatch.setenv(audit_model.KEY_FILE, str(model.key_file))


@pytest.mark.usefixtures("told")
async def test_the_gateway_adds_the_key_takes_out_secrets_and_counts_the_price(model: ModelFloor) -> None:
    await model.serve(audit_model.model_complete)

    answer = await model.ask(model="small", messages=SHOWN)

    assert isinstance(answer, ToolAnswered)
    assert decode(Completion, answer.value).cost == pytest.approx(20 / 1_000_000)
    (asked,) = model.server.asked
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.last == "token = [taken out]"
    assert KEY.encode() not in await model.journal()


@pytest.mark.usefixtures("told")
async def test_a_task_cannot_name_a_model_that_the_gateway_was_not_told_of(model: ModelFloor) -> None:
    await model.serve(audit_model.model_complete)

    answer = await model.ask(model="large")

    assert isinstance(answer, ToolAnswered)
    assert answer.error is not None
    assert answer.error.code == "RM-216"
    assert model.server.asked == []
