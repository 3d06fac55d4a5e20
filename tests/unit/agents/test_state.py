"""Shared state through a context: reads by version and reference, several keys, updates, and what a replay gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated

import pytest

from remit import (
    Change,
    ContendedError,
    Context,
    Message,
    RefusedError,
    Role,
    StateBatch,
    StateCommitted,
    StateRef,
    StateRejected,
    Team,
    policy,
    state,
)
from remit.contracts.document import MOST_BYTES
from remit.contracts.errors import ConflictError
from remit.contracts.message import raw
from remit.contracts.proposal import ProposeState, StateChange
from remit.testing import Bench


class Job(Message, tag="probe.job.v1"):
    name: str = ""


class Done(Message, tag="probe.done.v1"):
    text: str = ""


class Note(Message, tag="probe.note.v1"):
    risk: Annotated[int, policy.maximum()] = 0
    tags: Annotated[tuple[str, ...], policy.union()] = ()
    text: str = ""


Handle = Callable[[Context], Awaitable[str]]


class Probe(Role[Job, Done]):
    act: Handle

    async def handle(self, work: Job, ctx: Context) -> Done:
        return Done(text=await type(self).act(ctx))


CONTRACTS = [
    state("note.{name}", Note),
    state("word", str),
    state("total", int, policy=policy.counter()),
    state("large", str, limit_bytes=MOST_BYTES),
]


def bench_of(act: Handle) -> tuple[Bench, type[Probe]]:
    """Give a bench, and a role that does this."""
    kind = type("Probe", (Probe,), {"act": staticmethod(act)})
    return Bench(Team("probe", roles=[kind], workflows={"probe": kind}, state=CONTRACTS)), kind


async def said(act: Handle) -> str:
    """Give what a handler says, when it runs and again from its records."""
    bench, kind = bench_of(act)
    reply = await bench.run(kind, Job())
    await bench.replay()
    return reply.text


async def test_an_old_version_is_read_by_its_number() -> None:
    async def act(ctx: Context) -> str:
        await ctx.state.propose("word", "one")
        await ctx.state.propose("word", "two", base=1)
        old, new = await ctx.state.read("word", str, version=1), await ctx.state.read("word", str)
        return f"{old.value} {old.version}, {new.value} {new.version}"

    assert await said(act) == "one 1, two 2"


async def test_a_reference_gives_exactly_what_was_seen() -> None:
    async def act(ctx: Context) -> str:
        await ctx.state.propose("word", "seen")
        ref = (await ctx.state.read("word", str)).ref
        await ctx.state.propose("word", "changed", base=1)
        return f"{(await ctx.state.at(ref, str)).value} at {ref.version}"

    assert await said(act) == "seen at 1"


async def test_a_reference_to_another_content_is_refused() -> None:
    async def act(ctx: Context) -> str:
        await ctx.state.propose("word", "true")
        await ctx.state.at(StateRef(key="word", version=1, hash="sha256:forged"), str)
        return "never"

    with pytest.raises(ConflictError, match="RM-210 the reference names another content"):
        await said(act)


async def test_several_keys_change_together_or_not_at_all() -> None:
    async def act(ctx: Context) -> str:
        await ctx.state.propose("word", "first")
        lost = await ctx.state.propose_all(Change("total", 1), Change("word", "late"))
        won = await ctx.state.propose_all(Change("total", 1), Change("word", "next", base=1))
        both = await ctx.state.read_all(["total", "word"], object)
        assert isinstance(lost, StateRejected)
        assert isinstance(won, StateBatch)
        return f"{lost.key} {[item.value for item in both]}"

    assert await said(act) == "word [1, 'next']"


async def test_an_update_starts_again_from_what_stands() -> None:
    bench, _kind = bench_of(_update_while_others_write)

    class Updater(Probe):
        async def handle(self, work: Job, ctx: Context) -> Done:
            others = iter(["one", "two"])

            def change(word: str | None) -> str:
                if (other := next(others, "")) and (work.name == "busy"):
                    meanwhile(bench, other, base=0 if word is None else len(bench.board.versions["r1", "word"]))
                return f"{word} and mine"

            answer = await ctx.state.update("word", str, change)
            assert isinstance(answer, StateCommitted)
            return Done(text=f"{answer.version}")

    reply = await bench.run(Updater, Job(name="busy"))

    assert reply.text == "3"
    assert bench.state("word") == "two and mine"


async def test_an_update_gives_up_when_others_are_first_every_time() -> None:
    bench, _kind = bench_of(_update_while_others_write)

    class Updater(Probe):
        async def handle(self, work: Job, ctx: Context) -> Done:
            def change(word: str | None) -> str:
                count = len(bench.board.versions.get(("r1", "word"), []))
                meanwhile(bench, f"other {count}", base=count)
                return "mine"

            await ctx.state.update("word", str, change, attempts=3)
            return Done()

    with pytest.raises(ContendedError, match="RM-107 others changed word each time"):
        await bench.run(Updater, Job())
    assert bench.state("word") == "other 2"


async def _update_while_others_write(_ctx: Context) -> str:
    return ""


def meanwhile(bench: Bench, word: str, *, base: int) -> None:
    """Have somebody else write."""
    number = len(bench.board.versions.get(("r1", "word"), []))
    change = StateChange(key="word", base_version=base, value=raw(word))
    proposal = ProposeState(
        run_id="r1", step="other", epoch=1, position=str(number), changes=(change,), proposed_at=datetime.now(UTC)
    )
    bench.board.propose(proposal, role="other")


async def test_a_value_too_large_for_a_record_is_read_again_by_a_replay() -> None:
    async def act(ctx: Context) -> str:
        await ctx.state.propose("large", "x" * 600_000)
        found = await ctx.state.read("large", str)
        return f"{len(found.value or '')}"

    bench, kind = bench_of(act)

    reply = await bench.run(kind, Job())
    await bench.replay()

    assert reply.text == "600000"
    assert all(len(bytes(item.value)) < 2000 for item in bench._handled["probe"].recorded if item.kind == "read")


async def test_a_watch_gives_each_newer_version_and_ends_when_there_is_none() -> None:
    async def act(ctx: Context) -> str:
        await ctx.state.propose("word", "here")
        return ", ".join([f"{item.version} {item.value}" async for item in ctx.state.watch("word", str, within_s=0.1)])

    assert await said(act) == "1 here"


async def test_conflicts_are_told_by_key_and_field() -> None:
    async def act(ctx: Context) -> str:
        await ctx.state.propose("note.a", Note(risk=3, tags=("x",)))
        await ctx.state.propose("note.a", Note(risk=5, tags=("y",)))
        await ctx.state.propose("note.b", Note(text="alone"))
        found = await ctx.state.conflicts("note.")
        return "; ".join(
            f"{item.key}{item.decision.path} {item.decision.rule} {item.decision.result}" for item in found
        )

    assert await said(act) == "note.a/risk max 5; note.a/tags union ['x', 'y']"


async def test_a_document_that_is_written_back_has_changed_where_it_was_changed() -> None:
    async def act(ctx: Context) -> str:
        await ctx.state.propose("note.a", Note(tags=("x", "y"), text="t"))
        found = await ctx.state.read("note.a", Note)
        assert found.value is not None
        answer = await ctx.state.propose("note.a", Note(risk=1, tags=found.value.tags, text="t"), base=1)
        assert isinstance(answer, StateCommitted)
        return f"{answer.wrote} {answer.changed}"

    assert await said(act) == "('/risk',) ('/risk',)"


async def test_a_key_that_no_contract_covers_is_refused() -> None:
    async def act(ctx: Context) -> str:
        await ctx.state.read("nobody", str)
        return "never"

    with pytest.raises(RefusedError, match="RM-213 no state contract covers the key 'nobody'"):
        await said(act)
