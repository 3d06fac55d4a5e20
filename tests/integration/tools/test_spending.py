"""A gateway counts for itself what a step has of models, whatever its agent says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from remit.contracts.step import Refused
from remit.contracts.tool import ToolAnswered
from tests.integration.tools.model_floor import HELLO
from tests.model_server import fails, says

if TYPE_CHECKING:
    from tests.integration.tools.conftest import Answer
    from tests.integration.tools.model_floor import ModelFloor


async def bounded(model: ModelFloor, *, tokens: int = 0, cost: float = 0.0) -> None:
    """A gateway serves the model, and the step may have so much of it."""
    await model.serve()
    await model.floor.lease("model.complete", epoch=2, tokens=tokens, cost=cost)


async def ask(model: ModelFloor, position: str, max_tokens: int = 0) -> Answer:
    return await model.floor.call("model.complete", position, epoch=2, messages=HELLO, max_tokens=max_tokens)


def was_answered(answers: list[Answer]) -> list[bool]:
    return [isinstance(answer, ToolAnswered) and answer.error is None for answer in answers]


async def test_a_step_is_answered_until_its_tokens_are_used_up(model: ModelFloor) -> None:
    await bounded(model, tokens=40)
    model.server.script = lambda _asked: says("ok", tokens=(10, 5))

    answers = [await ask(model, str(position)) for position in range(4)]

    refused = answers[-1]
    assert was_answered(answers) == [True, True, True, False]
    assert isinstance(refused, Refused)
    assert (refused.error.code, refused.error.where) == ("RM-410", "charter.yaml: roles.clerk.limits.tokens")
    assert len(model.server.asked) == 3


async def test_what_an_answer_may_become_is_set_aside_before_it_is_asked_for(model: ModelFloor) -> None:
    await bounded(model, tokens=100)

    answers = await asyncio.gather(*(ask(model, str(position), max_tokens=45) for position in range(5)))

    assert sum(was_answered(answers)) == 2
    assert len(model.server.asked) == 2


async def test_a_step_is_answered_until_its_money_is_spent(model: ModelFloor) -> None:
    await bounded(model, cost=0.00003)  # an answer costs 10 x 1.0 + 5 x 2.0 for a million

    answers = [await ask(model, str(position)) for position in range(3)]

    assert was_answered(answers) == [True, True, False]
    assert isinstance(answers[-1], Refused)
    assert answers[-1].error.where.endswith("limits.cost")


async def test_an_answer_that_is_asked_for_again_is_counted_once_and_one_that_failed_is_not(model: ModelFloor) -> None:
    await bounded(model, tokens=20)
    model.server.then(fails(400))

    failed = await ask(model, "0", max_tokens=5)
    answers = [await ask(model, "1", max_tokens=5) for _ in range(3)]

    assert isinstance(failed, ToolAnswered)
    assert failed.error is not None
    assert was_answered(answers) == [True] * 3
    assert model.server.paid == 1
