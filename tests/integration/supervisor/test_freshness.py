"""A result counts only if the state that it stands on still stands, where its edge asks for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.bus import subject
from remit.bus.journal import Journal
from remit.contracts.message import decode, encode, raw
from remit.contracts.proposal import StateRead, StateRef
from remit.contracts.step import OutdatedRead, Recorded, StepChecked
from tests.integration.supervisor.world import crash
from tests.teams import Check, Order, Sheet, shop

if TYPE_CHECKING:
    from remit.contracts.step import RunStep
    from tests.integration.supervisor.agent import Agent
    from tests.integration.supervisor.world import World


async def reading(world: World, workflow: str) -> tuple[Agent, RunStep, Agent, RunStep]:
    """Give an auditor that holds a step, and a clerk in another run that may write the team's state."""
    clerk, auditor = await world.agent("clerk"), await world.agent("auditor")
    await world.submit(workflow, Order(customer="ann"))
    await clerk.complete(await clerk.hold(), Sheet())
    check = await auditor.hold()
    await world.submit("order", Order(customer="bob"))
    return auditor, check, clerk, await clerk.hold()


async def read(auditor: Agent, work: RunStep, key: str, position: str = "0") -> None:
    """Read a key, and record it as a context does."""
    seen = await auditor.read(work, key=key)
    assert isinstance(seen, StateRead)
    record = Recorded(
        run_id=work.run_id,
        step=work.step,
        epoch=work.epoch,
        position=position,
        kind="read",
        name=key,
        request="",
        value=raw(seen),
    )
    name = subject.agent_entry(work.run_id, work.step, agent=auditor.name, index=position, kind="recorded")
    await Journal(auditor.bus).append(name, encode(record))


async def test_a_result_on_outdated_state_does_not_count_and_the_step_runs_again(world: World) -> None:
    await world.supervise(shop())
    auditor, check, clerk, other = await reading(world, "fresh")
    await read(auditor, check, "shared.a")
    await clerk.propose(other, "shared.a", "news")

    await auditor.complete(check, Check(ok=True))
    again = await auditor.hold()
    await read(auditor, again, "shared.a", position="1000000")
    await auditor.complete(again, Check(ok=False))
    finished = await world.outcome(check.run_id)

    assert (again.epoch, again.attempt, again.generation) == (2, 2, 1)
    assert again.outdated == (OutdatedRead(scope="team", key="shared.a", version=0, now=1),)
    assert again.rule == "retry after RM-215"
    assert finished.outcome == "complete"
    assert bytes(finished.result) == bytes(raw(Check(ok=False)))


async def test_what_was_read_and_stands_counts(world: World) -> None:
    await world.supervise(shop())
    auditor, check, clerk, other = await reading(world, "fresh")
    await clerk.propose(other, "shared.a", "old")
    await read(auditor, check, "shared.a")
    await clerk.propose(other, "shared.b", "another", position="1")
    await auditor.propose(check, "shared.a", "mine", base=1, position="1")

    await auditor.complete(check, Check(ok=True))
    finished = await world.outcome(check.run_id)

    assert finished.outcome == "complete"
    assert "outdated" not in await world.lane(check.run_id)


async def test_a_step_that_changed_something_is_not_run_again_by_itself(world: World) -> None:
    await world.supervise(shop())
    auditor, check, clerk, other = await reading(world, "fresh")
    await read(auditor, check, "shared.a")
    await auditor.propose(check, "shared.b", "mine", position="1")
    await clerk.propose(other, "shared.a", "news")

    await auditor.complete(check, Check(ok=True))
    finished = await world.outcome(check.run_id)

    assert finished.outcome == "failed"
    assert finished.error is not None
    assert (finished.error.code, finished.error.where) == ("RM-215", "shared.a")


async def test_an_edge_that_warns_lets_the_result_count_and_says_so(world: World) -> None:
    await world.supervise(shop())
    auditor, check, clerk, other = await reading(world, "warned")
    await read(auditor, check, "shared.a")
    await clerk.propose(other, "shared.a", "news")

    await auditor.complete(check, Check(ok=True))
    finished = await world.outcome(check.run_id)
    entry = await world.appears(f"remit.run.{check.run_id}._.*.checked")

    assert finished.outcome == "complete"
    said = decode(StepChecked, entry.data)
    assert said.error is None
    assert [(item.key, item.version, item.now) for item in said.reads] == [("shared.a", 0, 1)]


async def test_a_result_is_held_against_the_state_by_the_next_supervisor_too(world: World) -> None:
    first = await world.supervise(shop())
    auditor, check, clerk, other = await reading(world, "fresh")
    await read(auditor, check, "shared.a")
    await clerk.propose(other, "shared.a", "news")
    await crash(first)

    await auditor.complete(check, Check(ok=True))
    await world.supervise(shop())
    again = await auditor.take()

    assert (again.epoch, again.generation) == (2, 1)


async def test_what_a_message_names_by_reference_is_held_against_the_state_too(world: World) -> None:
    await world.supervise(shop())
    clerk, auditor = await world.agent("clerk"), await world.agent("auditor")
    await world.submit("fresh", Order(customer="ann"))
    first = await clerk.hold()
    seen = await clerk.propose(first, "shared.a", "seen")
    ref = StateRef(key="shared.a", version=1, hash=seen.hash, scope="team")  # type: ignore[union-attr]
    await clerk.complete(first, Sheet(seen=ref))
    check = await auditor.hold()
    await world.submit("order", Order(customer="bob"))
    await clerk.propose(await clerk.hold(), "shared.a", "news", base=1)

    await auditor.complete(check, Check(ok=True))
    finished = await world.outcome(check.run_id)

    assert finished.error is not None
    assert (finished.error.code, finished.error.expected) == ("RM-215", "version 1, which it read")
