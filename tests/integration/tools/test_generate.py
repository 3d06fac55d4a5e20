"""A role asks a model: its context, a real gateway, a real server of NATS, and a server of models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Never, cast

import pytest

from remit.agents.context import Context
from remit.agents.fault import raise_fault
from remit.agents.replay import Replay, scope
from remit.contracts.errors import ModelOutputError, ModelRefusedError, ToolFailedError
from remit.contracts.message import Message, digest, encode
from remit.contracts.reflection import Critique, Requirement
from remit.contracts.step import Recorded, Refused, RunStep
from remit.contracts.tool import ToolAnswered
from tests.model_server import Asked, Reaction, fails, says

if TYPE_CHECKING:
    from remit.agents.port import StepPort
    from remit.contracts.tool import CallTool
    from tests.integration.tools.conftest import Floor
    from tests.integration.tools.model_floor import ModelFloor


class Verdict(Message, tag="probe.verdict.v1"):
    good: bool
    why: str = ""


@dataclass
class Door:
    """The doors of the leased step that lead to the gateway; what it records is kept here."""

    floor: Floor
    recorded: list[Recorded] = field(default_factory=list)
    epoch: int = 1

    async def hold(self) -> Replay:
        return Replay(self.recorded)

    async def record(self, recorded: Recorded) -> None:
        self.recorded.append(recorded)

    async def call(self, call: CallTool) -> ToolAnswered:
        answer = await self.floor.call(call.tool, body=encode(call))
        if isinstance(answer, Refused):
            raise_fault(answer.error)
        assert isinstance(answer, ToolAnswered)
        return answer

    def __getattr__(self, name: str) -> Never:
        raise AssertionError(name)


def context(floor: Floor, recorded: list[Recorded] | None = None) -> Context:
    work = RunStep(
        run_id="r1",
        step="s",
        epoch=1,
        role="clerk",
        goal="try it",
        goal_hash=digest(b"try it"),
        contract="probe.job.v1",
        deadline_at=floor.clock(),
        rule="plan",
    )
    return Context(work, cast("StepPort", Door(floor, recorded if recorded is not None else [])))


async def test_a_role_is_given_text(model: ModelFloor) -> None:
    await model.serve()

    with scope():
        assert await context(model.floor).generate("hello") == "ok"

    assert await model.floor.entries() == ["0.called", "0.returned"]


async def test_a_wrong_type_is_made_right_and_both_answers_are_in_the_journal(model: ModelFloor) -> None:
    await model.serve()
    model.server.then(says('{"good": "yes"}'), says('```json\n{"good": true, "why": "it is"}\n```'))

    with scope():
        verdict = await context(model.floor).generate("is it good?", returns=Verdict)

    assert verdict == Verdict(good=True, why="it is")
    assert "$.good: expected bool, got str" in model.server.asked[1].last
    schema = model.server.asked[0].body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["good"] == {"type": "boolean"}
    assert await model.floor.entries() == ["0.called", "0.returned", "1.called", "1.returned"]


async def test_a_step_that_begins_again_pays_for_nothing_again(model: ModelFloor) -> None:
    await model.serve()
    model.server.then(says("no"), says("no"))
    for _turn in range(2):
        with scope(), pytest.raises(ModelOutputError):
            await context(model.floor).generate("is it good?", returns=Verdict, repairs=1)

    assert model.server.paid == 2


async def test_what_the_server_refuses_is_a_refusal_in_its_words(model: ModelFloor) -> None:
    await model.serve()
    model.server.then(fails(400, "no such field"))

    with scope(), pytest.raises(ModelRefusedError, match="400 no such field"):
        await context(model.floor).generate("hello")


async def test_what_fails_is_a_failed_tool(model: ModelFloor) -> None:
    await model.serve(timeout_s=5.0)
    model.server.script = lambda _asked: fails(503, "busy", retry_after="9")

    with scope(), pytest.raises(ToolFailedError, match=r"RM-501.*busy"):
        await context(model.floor).generate("hello")


async def test_drafts_are_judged_and_made_better_by_a_model_within_their_cost(model: ModelFloor) -> None:
    await model.serve()

    def script(asked: Asked) -> Reaction:
        if "response_format" in asked.body:
            return says(f'{{"score": {asked.last.count("!") / 10}, "reasons": ["too quiet"]}}', tokens=(100_000, 0))
        return says(asked.last + "!", tokens=(0, 0))

    model.server.script = script
    recorded: list[Recorded] = []

    async def reflect() -> tuple[str, str, float]:
        ctx = context(model.floor, recorded)

        async def judge(_task: Requirement, draft: str) -> Critique:
            return await ctx.generate(draft, returns=Critique)

        async def revise(_task: Requirement, draft: str, _critique: Critique) -> str:
            return await ctx.generate(draft)

        with scope():
            found = await ctx.reflect("a", critique=judge, revise=revise, max_cost=0.25)
        return found.draft, found.stopped_by, found.cost

    first = await reflect()
    paid = model.server.paid

    assert first[:2] == ("a!!", "cost")
    assert first[2] == pytest.approx(0.3)
    assert await reflect() == first
    assert model.server.paid == paid == 5
    assert [item.position for item in recorded] == ["0", "1", "2"]
    assert "2-0-1.returned" in await model.floor.entries()
