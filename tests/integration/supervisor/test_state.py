"""Shared state: who may change it, and what becomes of changes that meet."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.bus import stream, subject
from remit.bus.state_cache import StateCache
from remit.contracts.blob import BlobRef
from remit.contracts.control import AskStatus, CancelRun, ControlDone, RollbackState, ScaleRole, TeamStatus
from remit.contracts.errors import NoRespondersError
from remit.contracts.message import decode, raw
from remit.contracts.proposal import (
    ProposalRecord,
    ProposeState,
    StateBatch,
    StateChange,
    StateCommitted,
    StateRead,
    StateRejected,
)
from remit.contracts.step import Refused, Superseded
from remit.supervisor import versions, wishes
from remit.supervisor.arbiter import Arbiter
from tests.integration.supervisor.world import crash, holder, value_of
from tests.teams import Note, Order, Sheet, shop

if TYPE_CHECKING:
    from remit.contracts.step import RunStep
    from tests.conftest import Eventually
    from tests.integration.supervisor.world import World


def change_of(work: RunStep, key: str, value: object, *, base: int, position: str) -> ProposeState:
    return ProposeState(
        run_id=work.run_id,
        step=work.step,
        epoch=work.epoch,
        position=position,
        changes=(StateChange(key=key, base_version=base, value=raw(value)),),
    )


async def test_a_version_says_who_wrote_it_in_which_step_and_why(world: World, eventually: Eventually) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)

    answer = await clerk.propose(work, "note", {"a": 1})

    assert isinstance(answer, StateCommitted)
    assert (answer.version, answer.rule, answer.agent, answer.step) == (1, "write", clerk.name, "order")
    stored = await world.journal.get(subject.state(work.run_id, "note", 1))
    assert stored is not None
    assert decode(StateCommitted, stored.data) == answer

    async def is_cached() -> bool:
        shown = await StateCache(world.bus).get(work.run_id, "note")
        return shown is not None and shown.version == 1

    await eventually(is_cached)


async def test_a_write_from_the_current_version_replaces_it(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "note", 1, position="0")

    second = await clerk.propose(work, "note", 2, base=1, position="1")
    late = await clerk.propose(work, "note", 3, base=1, position="2")

    assert isinstance(second, StateCommitted)
    assert second.version == 2
    assert isinstance(late, StateRejected)
    assert (late.reason, late.version, value_of(late)) == ("stale_version", 2, 2)


@pytest.mark.parametrize(
    ("key", "first", "second", "merged", "rule"),
    [
        ("seen.all", [{"id": 2}], [{"id": 1}], [{"id": 1}, {"id": 2}], "union"),
        ("top.price", 7, 5, 7, "max"),
    ],
)
async def test_writes_that_meet_are_merged_by_the_rule_of_their_key(  # drawn
    world: World, key: str, first: object, second: object, merged: object, rule: str
) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)

    await clerk.propose(work, key, first, position="0")
    answer = await clerk.propose(work, key, second, position="1")

    assert isinstance(answer, StateCommitted)
    assert (answer.version, answer.rule, value_of(answer)) == (2, rule, merged)


async def test_what_is_written_once_stays_even_against_its_own_version(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "once.id", "first", position="0")

    answer = await clerk.propose(work, "once.id", "second", base=1, position="1")

    assert isinstance(answer, StateRejected)
    assert (answer.reason, value_of(answer)) == ("written_once", "first")


async def test_a_value_of_another_type_is_refused(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "top.price", 7, position="0")

    answer = await clerk.propose(work, "top.price", "dear", position="1")

    assert isinstance(answer, Refused)
    assert (answer.error.code, answer.error.expected, answer.error.got) == ("RM-201", "int", "str")


async def test_the_same_proposal_commits_once_however_often_it_is_asked(world: World) -> None:
    first = await world.supervise(shop())
    clerk, work = await holder(world)

    answers = await asyncio.gather(*(clerk.propose(work, "seen.all", [1], position="5") for _ in range(8)))
    await crash(first)
    await world.supervise(shop())
    later = await clerk.propose(work, "seen.all", [1], position="5")

    assert all(answer == later for answer in answers)
    assert len(await world.entries(subject.state_filter(work.run_id, "seen.all"))) == 1


async def test_many_writers_of_one_key_lose_nothing(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)

    await asyncio.gather(*(clerk.propose(work, "seen.all", [number], position=str(number)) for number in range(30)))
    read = await clerk.read(work, key="seen.all")

    assert isinstance(read, StateRead)
    assert sorted(json.loads(bytes(read.items[0].value))) == list(range(30))
    assert read.items[0].version == 30


@pytest.mark.parametrize(
    ("key", "value", "base", "scope", "code", "where"),
    [
        ("note", 1, 4, "", "RM-213", "note"),
        ("note", 1, 0, "r4711", "RM-213", "$.scope"),
        ("note", 1, 0, "team", "RM-213", "$.scope"),
        ("", 1, 0, "", "RM-213", "$.key"),
        ("k" * 5000, 1, 0, "", "RM-213", "$.key"),
        ("§" * 300, 1, 0, "", "RM-213", "$.key"),
        ("nobody.said", 1, 0, "", "RM-213", "$.key"),
        ("pool.clerk", 7, 0, "", "RM-203", "pool.clerk"),
        ("audited", 1, 0, "", "RM-203", "audited"),
        ("doc.a", {"type": "shop.note.v1", "secret": "mine"}, 0, "", "RM-203", "/secret"),
        ("doc.a", {"type": "shop.note.v1", "colour": "red"}, 0, "", "RM-213", "/colour"),
        ("doc.a", {"type": "shop.note.v1", "risk": "high"}, 0, "", "RM-201", "$.risk"),
        ("doc.a", {"type": "shop.note.v0"}, 0, "", "RM-213", "/type"),
        ("note", "x" * 600_000, 0, "", "RM-212", ""),
    ],
    ids=[
        "a version of the future",
        "another run's",
        "another scope than the contract's",
        "no key",
        "a long key",
        "a key that is long on the wire",
        "a key that no contract covers",
        "the supervisor's own key",
        "a document of another role",
        "a field of another role",
        "an unknown field",
        "a wrong type",
        "a version of the form that nobody can read",
        "a value too large",
    ],
)
async def test_a_proposal_that_breaks_the_contract_is_refused_changes_nothing_and_is_recorded(  # drawn
    world: World, key: str, value: object, base: int, scope: str, code: str, where: str
) -> None:
    first = await world.supervise(shop())
    clerk, work = await holder(world)

    answer = await clerk.propose(work, key, value, base=base, scope=scope)
    await crash(first)
    await world.supervise(shop())
    again = await clerk.propose(work, key, value, base=base, scope=scope)

    assert isinstance(answer, Refused)
    assert (answer.error.code, answer.error.where) == (code, where)
    assert again == answer
    assert await world.entries("remit.state.>") == []
    recorded = await world.journal.get(subject.proposal_record(work.run_id, work.step, "0", "refused"))
    assert recorded is not None
    assert decode(ProposalRecord, recorded.data).refused == answer.error


async def test_a_policy_that_raises_refuses_and_changes_nothing(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "doc.a", {"type": "shop.note.v1", "broken": 1}, position="0")

    answer = await clerk.propose(work, "doc.a", {"type": "shop.note.v1", "broken": 2}, position="1")

    assert isinstance(answer, Refused)
    assert (answer.error.code, answer.error.where) == ("RM-213", "/broken")
    assert "ZeroDivisionError" in answer.error.message
    assert len(await world.entries("remit.state.>")) == 1


async def test_a_proposal_that_lost_is_kept_and_answered_again(world: World) -> None:
    first = await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "note", 1, position="0")

    lost = await clerk.propose(work, "note", 2, position="1")
    await crash(first)
    await world.supervise(shop())
    again = await clerk.propose(work, "note", 2, position="1")

    assert isinstance(lost, StateRejected)
    assert again == lost
    (conflict,) = lost.conflicts
    assert [(side.role, side.value) for side in conflict.sides] == [("clerk", 1), ("clerk", 2)]
    assert (conflict.path, conflict.base_is_missing, conflict.rule) == ("", True, "reject")
    recorded = await world.journal.get(subject.proposal_record(work.run_id, work.step, "1", "rejected"))
    assert recorded is not None
    kept = decode(ProposalRecord, recorded.data)
    assert bytes(kept.proposal.changes[0].value) == b"2"


async def test_changes_of_different_fields_meet_without_a_conflict(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "doc.a", Note(text="t"), position="0")

    answer = await clerk.propose(work, "doc.a", Note(risk=3, tags=("b",)), position="1")

    assert isinstance(answer, StateCommitted)
    assert (answer.rule, answer.decisions, answer.changed) == ("disjoint", (), ("/risk", "/tags"))
    assert msgspec.json.decode(answer.value, type=Note) == Note(text="t", risk=3, tags=("b",))


async def test_a_decided_conflict_says_base_sides_rule_and_result(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "doc.a", Note(risk=5, seen=1), position="0")

    answer = await clerk.propose(work, "doc.a", Note(risk=3, seen=1), position="1")

    assert isinstance(answer, StateCommitted)
    by_path = {item.path: item for item in answer.decisions}
    assert answer.rule == "merged"
    assert (by_path["/risk"].rule, by_path["/risk"].base, by_path["/risk"].result) == ("max", 0, 5)
    assert sorted(side.value for side in by_path["/risk"].sides) == [3, 5]
    assert (by_path["/seen"].rule, by_path["/seen"].result) == ("counter", 2)


async def test_several_keys_are_committed_together_or_not_at_all(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "note", "first", position="0")

    lost = await clerk.propose_all(work, {"a": (1, 0), "note": ("second", 0)}, position="1")
    nothing = await clerk.read(work, key="a")
    won = await clerk.propose_all(work, {"a": (1, 0), "note": ("second", 1)}, position="2")
    both = await clerk.read(work, keys=("a", "note"))

    assert isinstance(lost, StateRejected)
    assert isinstance(nothing, StateRead)
    assert nothing.items[0].version == 0
    assert isinstance(won, StateBatch)
    assert [(item.key, item.version, item.together) for item in won.versions] == [
        ("a", 1, ("a", "note")),
        ("note", 2, ("a", "note")),
    ]
    assert isinstance(both, StateRead)
    assert [bytes(item.value) for item in both.items] == [b"1", b'"second"']


async def test_a_large_value_goes_to_the_object_store_and_comes_back_whole(world: World) -> None:
    first = await world.supervise(shop())
    clerk, work = await holder(world)
    text = "x" * 600_000

    answer = await clerk.propose(work, "large", text)
    await crash(first)
    await world.supervise(shop())
    read = await clerk.read(work, key="large")

    assert isinstance(answer, StateCommitted)
    assert (bytes(answer.value), answer.value_ref) == (b"null", BlobRef(digest=answer.hash, size_bytes=600_002))
    assert isinstance(read, StateRead)
    assert msgspec.json.decode(read.items[0].value) == text


async def test_an_older_version_is_read_exactly(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    for number in (1, 2, 3):
        await clerk.propose(work, "note", number, base=number - 1, position=str(number))

    old = await clerk.read(work, key="note", version=2)
    none = await clerk.read(work, key="note", version=9)

    assert isinstance(old, StateRead)
    assert (old.items[0].version, bytes(old.items[0].value)) == (2, b"2")
    assert isinstance(none, Refused)
    assert none.error.code == "RM-213"


async def test_a_reader_that_waits_hears_of_the_next_version_at_once(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    waiting = asyncio.create_task(clerk.read(work, key="note", newer_than=0, wait_s=10.0))

    await clerk.propose(work, "note", "here")
    heard = await waiting
    nothing = await clerk.read(work, key="note", newer_than=1, wait_s=0.0)

    assert isinstance(heard, StateRead)
    assert isinstance(nothing, StateRead)
    assert (heard.items[0].version, nothing.items[0].version) == (1, 1)


async def test_an_arbiter_that_fell_behind_reads_on_before_it_decides(world: World) -> None:
    """Two supervisors overlap when one was cut off and comes back."""
    behind = await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "note", 1, position="0")
    proposal = change_of(work, "note", 2, base=1, position="1")
    ahead = Arbiter(world.bus, world.journal, shop().state, on_commit=lambda _version: None)
    await world.journal.fold(versions.FILTERS, 1, ahead.apply)

    await ahead.propose(proposal, agent=clerk.name, workflow="order")
    late = await behind.arbiter.propose(
        change_of(work, "note", 3, base=1, position="2"), agent=clerk.name, workflow="order"
    )
    future = await behind.arbiter.propose(
        change_of(work, "note", 4, base=2, position="3"), agent=clerk.name, workflow="order"
    )

    assert isinstance(late, StateRejected)
    assert (late.version, bytes(late.value)) == (2, b"2")
    assert isinstance(future, StateCommitted)
    assert future.version == 3


async def test_state_of_a_workflow_is_shared_by_its_runs_alone(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "of.all", 7)
    await world.submit("order", Order(customer="bob"))
    same = await clerk.read(await clerk.hold(), key="of.all")
    await world.submit("chain", Order(customer="eve"))
    other = await clerk.read(await clerk.hold(), key="of.all")

    assert isinstance(same, StateRead)
    assert isinstance(other, StateRead)
    assert [(item.scope, item.version) for item in (*same.items, *other.items)] == [
        ("workflow:order", 1),
        ("workflow:chain", 0),
    ]


async def test_a_rollback_makes_a_new_version_of_an_old_value(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    for number in (1, 2):
        await clerk.propose(work, "shared.note", str(number), base=number - 1, position=str(number))

    done = await world.control("rollback", RollbackState(scope="team", key="shared.note", version=1))
    back = await clerk.read(work, key="shared.note")
    out = await world.control("rollback", RollbackState(scope="team", key="shared.note", version=0))
    gone = await clerk.read(work, prefix="shared.")
    refused = await world.control("rollback", RollbackState(scope="team", key="shared.note", version=9))
    moved = await world.control(
        "rollback", RollbackState(scope="team", key="shared.note", version=1, expected_version=3)
    )
    closed = await world.control("rollback", RollbackState(scope="r77", key="note", version=1))

    assert isinstance(done, ControlDone)
    assert isinstance(back, StateRead)
    assert (back.items[0].version, bytes(back.items[0].value)) == (3, b'"1"')
    assert isinstance(out, ControlDone)
    assert isinstance(gone, StateRead)
    assert gone.items == ()
    assert isinstance(refused, Refused)
    assert isinstance(closed, Refused)
    assert isinstance(moved, Refused)
    assert (refused.error.code, moved.error.code, closed.error.code) == ("RM-213", "RM-210", "RM-209")
    after = await clerk.propose(work, "shared.note", "new", base=4, position="9")
    assert isinstance(after, StateCommitted)
    assert after.version == 5


async def test_the_cache_comes_back_when_somebody_deletes_it(world: World, eventually: Eventually) -> None:
    first = await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "note", "kept")
    await stream.api(world.bus, "STREAM.DELETE", subject.STATE_STREAM)
    await crash(first)

    await world.supervise(shop())

    async def is_back() -> bool:
        try:
            shown = await StateCache(world.bus).get(work.run_id, "note")
        except NoRespondersError:
            return False
        return shown is not None and bytes(shown.value) == b'"kept"'

    await eventually(is_back)


async def test_keys_are_read_together_by_their_prefix(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    for position, key in enumerate(("b.2", "a", "b.1 ü")):
        await clerk.propose(work, key, position, position=str(position))

    some = await clerk.read(work, prefix="b.")
    none = await clerk.read(work, key="note")

    assert isinstance(some, StateRead)
    assert [item.key for item in some.items] == ["b.1 ü", "b.2"]
    assert isinstance(none, StateRead)
    assert (none.items[0].version, bytes(none.items[0].value)) == (0, b"null")


async def test_who_holds_nothing_reads_and_writes_nothing(world: World) -> None:
    supervisor = await world.supervise(shop())
    clerk, work = await holder(world)
    supervisor.agent_gone(clerk.name)
    await clerk.take()

    assert isinstance(await clerk.propose(work, "note", 1), Superseded)
    assert isinstance(await clerk.read(work, key="note"), Superseded)


async def test_state_of_the_team_outlives_the_run(world: World) -> None:
    await world.supervise(shop())
    clerk, work = await holder(world)
    await clerk.propose(work, "shared.note", "for all", scope="team")
    await clerk.complete(work, Sheet())
    await world.outcome(work.run_id)
    await world.submit("order", Order(customer="bob"))

    answer = await clerk.propose(await clerk.hold(), "shared.note", "mine", scope="team")

    assert isinstance(answer, StateRejected)
    assert value_of(answer) == "for all"


async def test_wishes_for_hosts_are_versions_and_the_last_one_stands(world: World) -> None:
    await world.supervise(shop())

    answers = await asyncio.gather(
        *(world.control("scale", ScaleRole(role="clerk", hosts=hosts)) for hosts in (1, 2, 3, 4, 5))
    )
    status = await world.control("status", AskStatus())
    refused = await world.control("scale", ScaleRole(role="clerk", hosts=99))
    unknown = await world.control("scale", ScaleRole(role="cook", hosts=1))

    versions = [decode(StateCommitted, entry.data) for entry in await world.entries("remit.state.team.>")]
    assert [version.version for version in versions] == [1, 2, 3, 4, 5]
    changes = [wishes.change_of(value_of(version)) for version in versions]
    assert all(change is not None and change.is_pinned and change.by == "ann" for change in changes)
    assert changes[-1] is not None
    assert changes[-1].hosts == world.pools.wishes["clerk"]
    assert all(isinstance(answer, ControlDone) for answer in answers)
    assert isinstance(status, TeamStatus)
    assert {role.role: role.desired for role in status.roles}["clerk"] == changes[-1].hosts
    assert isinstance(refused, Refused)
    assert isinstance(unknown, Refused)
    assert (refused.error.code, unknown.error.code) == ("RM-211", "RM-209")


async def test_a_verb_that_nobody_knows_and_a_wish_that_is_none_are_refused(world: World) -> None:
    await world.supervise(shop())

    verb = await world.control("dance", AskStatus())
    wish = await world.control("cancel", AskStatus())
    gone = await world.control("cancel", CancelRun(run_id="r99"))

    codes = [answer.error.code for answer in (verb, wish, gone) if isinstance(answer, Refused)]
    assert codes == ["RM-211", "RM-201", "RM-209"]
