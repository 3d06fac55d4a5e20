"""What a model is asked, and how often, until its answer fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from remit import Completion, Context, Message, ModelMessage, ModelOutputError, RefusedError, Role, ToolFailedError
from remit.agents.fault import is_retryable
from remit.contracts.errors import ModelRefusedError
from remit.testing import Bench

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class Job(Message, tag="probe.job.v1"):
    text: str = ""


class Note(Message, tag="probe.note.v1"):
    title: str
    stars: int = 0


def role(think: Callable[[Context], Awaitable[Note]]) -> type[Role[Job, Note]]:
    class Thinker(Role[Job, Note]):
        async def handle(self, work: Job, ctx: Context) -> Note:
            return await think(ctx)

    return Thinker


async def note(ctx: Context) -> Note:
    return await ctx.generate("write a note", returns=Note, system="You write.")


async def text(ctx: Context) -> Note:
    return Note(title=await ctx.generate("write"))


async def test_text_is_asked_for_and_given() -> None:
    bench = Bench()
    bench.model(lambda messages: messages[-1].content.upper())

    assert await bench.run(role(text), Job()) == Note(title="WRITE")
    assert bench.calls[0].tool == "model.complete"
    assert bench.calls[0].arguments == {"messages": [{"type": "model.message.v1", "role": "user", "content": "write"}]}


async def test_a_value_is_asked_for_with_its_schema_in_words_too() -> None:
    bench = Bench()
    bench.model(Note(title="a", stars=3))

    assert await bench.run(role(note), Job()) == Note(title="a", stars=3)
    arguments = bench.calls[0].arguments
    assert arguments["schema"]["properties"]["stars"]["type"] == "integer"  # type: ignore[index]  # JSON
    assert '"stars"' in arguments["messages"][0]["content"]  # type: ignore[index]  # JSON


async def test_an_answer_that_does_not_fit_is_told_to_the_model_with_its_place() -> None:
    bench = Bench()
    bench.model('{"title": "a", "stars": "three"}', '{"title": "a", "stars": 3}')

    assert await bench.run(role(note), Job()) == Note(title="a", stars=3)
    asked = [ModelMessage(role=it["role"], content=it["content"]) for it in bench.calls[1].arguments["messages"]]  # type: ignore[attr-defined]  # JSON
    assert [it.role for it in asked] == ["system", "user", "assistant", "user"]
    assert asked[2].content == '{"title": "a", "stars": "three"}'
    assert "$.stars: expected int, got str" in asked[3].content


async def test_every_completion_is_recorded_at_its_own_position_and_replay_asks_nobody() -> None:
    bench = Bench()
    bench.model("no", "{}", '{"title": "a"}')

    await bench.run(role(note), Job())
    await bench.replay()

    assert len(bench.calls) == 3


async def test_a_model_that_never_fits_is_asked_as_often_as_was_said_and_no_more() -> None:
    bench = Bench()
    bench.model('{"title": 7}')

    with pytest.raises(ModelOutputError) as raised:
        await bench.run(role(note), Job())

    assert (raised.value.where, raised.value.expected, raised.value.got) == ("$.title", "str", "int")
    assert len(bench.calls) == 3
    assert not is_retryable(raised.value), "the same answers would be found in the journal"


async def test_no_repair_is_made_where_none_is_wished() -> None:
    bench = Bench()
    bench.model("no")

    with pytest.raises(ModelOutputError):
        await bench.run(role(lambda ctx: ctx.generate("a", returns=Note, repairs=0)), Job())
    assert len(bench.calls) == 1


@pytest.mark.parametrize("repairs", [-1, 6, True])
async def test_a_number_of_repairs_that_is_none_is_refused(repairs: int) -> None:
    bench = Bench()
    bench.model("no")

    with pytest.raises(RefusedError, match=r"RM-211.*0 to 5"):
        await bench.run(role(lambda ctx: ctx.generate("a", returns=Note, repairs=repairs)), Job())
    assert bench.calls == []


async def test_nothing_is_not_asked() -> None:
    bench = Bench()
    bench.model("a")

    with pytest.raises(RefusedError, match="RM-211"):
        await bench.run(role(lambda ctx: ctx.generate(" ", returns=Note)), Job())


async def test_a_model_that_declines_is_not_asked_again() -> None:
    bench = Bench()
    bench.model(Completion(text="", stop="refusal", refusal="I will not"))

    with pytest.raises(ModelOutputError, match=r"declines.*I will not"):
        await bench.run(role(note), Job())
    assert len(bench.calls) == 1


async def test_a_value_that_was_cut_off_is_asked_for_again_in_fewer_words() -> None:
    bench = Bench()
    bench.model(Completion(text='{"title": "a long', stop="length"), '{"title": "a"}')

    assert await bench.run(role(note), Job()) == Note(title="a")
    assert "cut off" in str(bench.calls[1].arguments)


async def test_text_that_was_cut_off_is_given_as_it_is() -> None:
    bench = Bench()
    bench.model(Completion(text="a long", stop="length"))

    assert (await bench.run(role(text), Job())).title == "a long"


async def test_an_empty_answer_is_asked_for_again_without_showing_it() -> None:
    bench = Bench()
    bench.model("", "word")

    assert (await bench.run(role(text), Job())).title == "word"
    assert "assistant" not in str(bench.calls[1].arguments)


async def test_who_wants_to_know_more_takes_the_completion() -> None:
    async def think(ctx: Context) -> Note:
        found = await ctx.generate("a", returns=Completion, model="large", max_tokens=5, temperature=0.1)
        return Note(title=found.stop, stars=found.tokens_out)

    bench = Bench()
    bench.model(Completion(text="", stop="length", tokens_out=5))

    assert await bench.run(role(think), Job()) == Note(title="length", stars=5)
    assert {key: bench.calls[0].arguments[key] for key in ("model", "max_tokens", "temperature")} == {
        "model": "large",
        "max_tokens": 5,
        "temperature": 0.1,
    }


async def test_what_the_server_refuses_is_a_refusal_and_what_fails_a_failed_tool() -> None:
    def refuse(messages: tuple[ModelMessage, ...]) -> str:
        raise ModelRefusedError("the model's server refuses the request", got="401 no")

    def fail(messages: tuple[ModelMessage, ...]) -> str:
        raise OSError("gone")

    bench = Bench()
    bench.model(refuse)
    with pytest.raises(ModelRefusedError, match="401 no") as raised:
        await bench.run(role(text), Job())
    assert not is_retryable(raised.value)

    bench.model(fail)
    with pytest.raises(ToolFailedError, match="gone") as failed:
        await bench.run(role(text), Job())
    assert is_retryable(failed.value)
