"""`ensure` brings any server to its shape, changes what may be changed, and names what may not."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.bus import stream, topology
from remit.bus.journal import Journal
from remit.bus.subject import DEAD, JOURNAL, RESULTS, TASKS
from remit.contracts.errors import QueueFullError, ServerTooWeakError, StreamMismatchError, TooLargeError

if TYPE_CHECKING:
    from remit.bus.connection import Bus
    from tests.conftest import Eventually

ROLES = ["clerk", "analyst-code"]
STREAMS = {"SNAPSHOT", "JOURNAL", "RESULTS", "DEAD", "TASKS", "OBJ_blobs", "KV_state"}


async def ask(bus: Bus, verb: str, *names: str, **body: object) -> dict[str, object]:
    answer = await bus.request(".".join(("$JS.API", verb, *names)), json.dumps(body).encode() if body else b"")
    decoded: dict[str, object] = json.loads(answer.data)
    assert "error" not in decoded, decoded
    return decoded


async def config_of(bus: Bus, name: str, durable: str = "") -> dict[str, object]:
    answer = await (ask(bus, "CONSUMER.INFO", name, durable) if durable else ask(bus, "STREAM.INFO", name))
    return msgspec.convert(answer["config"], dict[str, object])


async def change(bus: Bus, name: str, **settings: object) -> None:
    await ask(bus, "STREAM.UPDATE", name, **(await config_of(bus, name) | settings))


async def snapshot(bus: Bus) -> dict[str, object]:
    """Everything that a change would touch: settings, and when a stream or consumer was made."""
    made: dict[str, object] = {}
    for name in STREAMS:
        info = await ask(bus, "STREAM.INFO", name)
        made[name] = (info["config"], info["created"])
    for name, durable in ((DEAD, "supervisor"), (JOURNAL, "supervisor"), (JOURNAL, "clerk")):
        info = await ask(bus, "CONSUMER.INFO", name, durable)
        made[f"{name}.{durable}"] = (info["config"], info["created"])
    return made


async def test_the_journal_is_write_once_from_the_first_moment(bus: Bus) -> None:
    await topology.ensure(bus, ROLES)

    found = await config_of(bus, JOURNAL)

    wanted = {
        "max_msgs_per_subject": 1,
        "discard": "new",
        "discard_new_per_subject": True,
        "deny_delete": True,
        "allow_direct": True,
        "allow_atomic": True,
        "allow_rollup_hdrs": False,
        "allow_msg_ttl": False,
        "max_age": 0,
        "storage": "file",
    }
    assert {name: found[name] for name in wanted} == wanted


async def test_every_role_has_a_consumer_of_its_own_work(bus: Bus) -> None:
    await topology.ensure(bus, ROLES)

    found = await config_of(bus, JOURNAL, "analyst-code")

    assert found["filter_subjects"] == ["remit.run.*._.work.analyst-code.>"]
    assert (found["ack_policy"], found["ack_wait"]) == ("explicit", 10_000_000_000)


async def test_ensuring_again_changes_nothing(bus: Bus) -> None:
    await topology.ensure(bus, ROLES)
    before = await snapshot(bus)

    await topology.ensure(bus, ROLES)

    assert await snapshot(bus) == before


async def test_two_who_ensure_at_once_both_succeed(bus: Bus) -> None:
    await asyncio.gather(topology.ensure(bus, ROLES), topology.ensure(bus, ROLES))

    assert set(await names(bus)) == STREAMS


async def names(bus: Bus) -> list[str]:
    return msgspec.convert((await ask(bus, "STREAM.NAMES"))["streams"], list[str])


async def test_a_new_role_gets_a_consumer_and_the_others_keep_their_place(bus: Bus) -> None:
    await topology.ensure(bus, ["clerk"])
    await Journal(bus).append("remit.run.r1._.work.clerk.s.1", b"")
    before = await ask(bus, "CONSUMER.INFO", JOURNAL, "clerk")

    await topology.ensure(bus, ["clerk", "critic"], oldest_open_seq=2)

    after = await ask(bus, "CONSUMER.INFO", JOURNAL, "clerk")
    assert (after["config"], after["created"]) == (before["config"], before["created"])
    assert (await config_of(bus, JOURNAL, "critic"))["opt_start_seq"] == 2


async def test_a_new_consumer_starts_at_the_oldest_open_step(bus: Bus) -> None:
    await topology.ensure(bus, [])
    for run in range(1, 11):
        await Journal(bus).append(f"remit.run.r{run}._.work.clerk.s.1", b"")

    await topology.ensure(bus, ["clerk"], oldest_open_seq=8)

    assert (await ask(bus, "CONSUMER.INFO", JOURNAL, "clerk"))["num_pending"] == 3


async def test_a_setting_that_may_change_is_changed(bus: Bus) -> None:
    await topology.ensure(bus, ROLES)
    await change(bus, TASKS, max_msgs=5)
    found = await config_of(bus, JOURNAL, "clerk")
    body = {"stream_name": JOURNAL, "config": found | {"max_ack_pending": 7}, "action": "update"}
    await ask(bus, "CONSUMER.CREATE", JOURNAL, "clerk", **body)

    await topology.ensure(bus, ROLES)

    assert (await config_of(bus, TASKS))["max_msgs"] == 1_000_000
    assert (await config_of(bus, JOURNAL, "clerk"))["max_ack_pending"] == 20_000


async def test_what_somebody_else_set_beside_ours_is_left_alone(bus: Bus) -> None:
    await topology.ensure(bus, ROLES)
    await change(bus, RESULTS, description="kept by the operator")

    await topology.ensure(bus, ROLES)

    assert (await config_of(bus, RESULTS))["description"] == "kept by the operator"


async def test_a_setting_that_cannot_change_is_named_with_both_values(bus: Bus) -> None:
    await ask(
        bus,
        "STREAM.CREATE",
        TASKS,
        name=TASKS,
        subjects=["remit.task.*"],
        retention="limits",
        discard="new",
        max_msgs=3,
    )

    with pytest.raises(StreamMismatchError) as caught:
        await topology.ensure(bus, ROLES)

    assert caught.value.where == "TASKS: retention"
    assert (caught.value.expected, caught.value.got) == ("retention=workqueue", "retention=limits")
    assert (await config_of(bus, TASKS))["max_msgs"] == 1_000_000, "what could be changed was changed"


async def test_a_recreated_queue_never_gives_an_old_runs_name(bus: Bus) -> None:
    await topology.ensure(bus, ROLES)
    journal = Journal(bus)
    for run in (3, 900, 41):
        await journal.append(f"remit.run.r{run}._.1.started", b"")
    await bus.request("$JS.API.STREAM.DELETE.TASKS")

    await topology.ensure(bus, ROLES)

    assert (await stream.store(bus, "remit.task.support", b"{}")).seq == 901


async def test_an_outcome_keeps_its_runs_name_taken_when_its_entries_are_gone(bus: Bus, eventually: Eventually) -> None:
    await topology.ensure(bus, ROLES)
    await Journal(bus).append("remit.run.r77._.2.finished", b"")

    async def is_kept() -> bool:
        return (await stream.state(bus, RESULTS)).messages == 1

    await eventually(is_kept)
    await ask(bus, "STREAM.PURGE", JOURNAL, filter="remit.run.r77.>")
    await bus.request("$JS.API.STREAM.DELETE.TASKS")

    await topology.ensure(bus, ROLES)

    assert (await stream.store(bus, "remit.task.support", b"{}")).seq == 78


async def test_a_queue_that_was_shared_by_all_workflows_is_bounded_for_each(bus: Bus) -> None:
    await topology.ensure(bus, ROLES)
    await change(bus, TASKS, max_msgs_per_subject=-1, discard_new_per_subject=False)
    await stream.store(bus, "remit.task.support", b"{}")

    await topology.ensure(bus, ROLES)

    settings = await config_of(bus, TASKS)
    assert (settings["max_msgs_per_subject"], settings["discard_new_per_subject"]) == (500_000, True)
    assert (await stream.state(bus, TASKS)).messages == 1


async def test_a_full_queue_refuses_in_words(bus: Bus) -> None:
    await topology.ensure(bus, ROLES)
    await change(bus, TASKS, max_msgs=1)
    await stream.store(bus, "remit.task.support", b"{}")

    with pytest.raises(QueueFullError) as caught:
        await stream.store(bus, "remit.task.support", b"{}")

    assert "maximum messages exceeded" in caught.value.got
    assert (caught.value.code, caught.value.fix) == ("RM-108", "publish it again in 5 s")


async def test_a_message_above_the_streams_limit_is_refused(bus: Bus) -> None:
    await topology.ensure(bus, ROLES)
    await change(bus, TASKS, max_msg_size=100)

    with pytest.raises(TooLargeError):
        await stream.store(bus, "remit.task.support", b"x" * 200)


async def test_one_server_does_not_give_the_cluster_profile(bus: Bus) -> None:
    with pytest.raises(ServerTooWeakError) as caught:
        await topology.ensure(bus, ROLES, profile="cluster")

    assert caught.value.expected == "3 replicas"


async def test_this_server_is_new_enough(bus: Bus) -> None:
    await topology.verify(bus)


@pytest.mark.parametrize("version", ["2.12.5", "2.11.99", "1.99.99", "0.0.0"])
async def test_an_old_server_is_refused_with_both_versions(bus: Bus, version: str) -> None:
    bus._wire._server_info["version"] = version

    with pytest.raises(ServerTooWeakError) as caught:
        await topology.verify(bus)

    assert (caught.value.expected, caught.value.got) == ("at least 2.12.6", version)
