"""What each identity may say and hear: the server's refusals, each with the twin that must pass."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import nats
import pytest
from nats.js import api

from remit.bus import permission, subject
from remit.bus.permission import agent_permissions
from remit.contracts.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.bus.conftest import Deployment, Peer

PULL_CLERK = "$JS.API.CONSUMER.MSG.NEXT.JOURNAL.clerk"
WORK = "remit.run.r1._.work.clerk.s1.1"

# --- an agent's own words ------------------------------------------------------------------------

ITS_OWN = (
    PULL_CLERK,
    "remit.run.r1.s1.clerk-a1.0.recorded",
    "remit.run.r1.s1.clerk-a1.1.reflected",
    "remit.run.r1.s1.clerk-a1.1.completed",
    "remit.run.r1.s1.clerk-a1.1.failed",
    "remit.claim.clerk.clerk-a1",
    "remit.ask.critic.clerk-a1",
    "remit.propose.clerk-a1",
    "remit.review.clerk-a1",
    "remit.state.read.clerk-a1",
    "remit.tool.gw-1.mail-send.clerk-a1",
    "remit.registry.clerk-a1",
    "remit.live.r1.clerk-a1",
)
NOT_ITS_OWN = (
    # another role's work, and the queue of tasks
    "$JS.API.CONSUMER.MSG.NEXT.JOURNAL.critic",
    "$JS.API.CONSUMER.MSG.NEXT.JOURNAL.supervisor",
    "$JS.API.CONSUMER.MSG.NEXT.TASKS.task-order",
    # the supervisor's lane, also under its own name
    "remit.run.r1._.2.finished",
    "remit.run.r1._.work.clerk.s1.1",
    "remit.run.r1._.clerk-a1.0.completed",
    # lanes of others
    "remit.run.r1.s1.clerk-b2.0.completed",
    "remit.run.r1.s1.lease.1",
    "remit.run.r1.s1.call.0.returned",
    "remit.run.r1.s1.clerk-a1.0.called",
    "remit.run.r1.s1.state.0.rejected",
    "remit.run.r1.s1.clerk-a1.0.rejected",
    "remit.state.r1.total.1",
    "remit.effect.mail-send.abc.returned",
    "remit.result.r1",
    "remit.task.ticket",
    "remit.dead.task.ticket",
    # requests in another's name, or that its charter does not give it
    "remit.claim.critic.clerk-a1",
    "remit.claim.clerk.clerk-b2",
    "remit.ask.editor.clerk-a1",
    "remit.ask.critic.clerk-b2",
    "remit.propose.clerk-b2",
    "remit.review.clerk-b2",
    "remit.state.read.clerk-b2",
    "remit.tool.gw-1.mail-delete.clerk-a1",
    "remit.tool.gw-1.mail-send.clerk-b2",
    "remit.registry.clerk-b2",
    "remit.live.r1.clerk-b2",
    "remit.ctl.cancel.clerk-a1",
    # foreign inboxes and the ways back of foreign requests
    "_I.clerk-b2.x",
    "_INBOX.x",
    "_R_.abc.def",
    # everything else of JetStream
    "$JS.API.INFO",
    "$JS.API.STREAM.INFO.JOURNAL",
    "$JS.API.STREAM.PURGE.JOURNAL",
    "$JS.API.STREAM.DELETE.JOURNAL",
    "$JS.API.STREAM.MSG.GET.JOURNAL",
    "$JS.API.DIRECT.GET.JOURNAL",
    "$JS.API.DIRECT.GET.RESULTS.remit.result.r1",
    "$JS.API.CONSUMER.CREATE.JOURNAL",
    "$JS.API.CONSUMER.DELETE.JOURNAL.clerk",
    "$JS.ACK.JOURNAL.clerk.1.1.1.1.1",
    "$KV.state.total",
    "$O.blobs.M.x",
)
NOT_FOR_ITS_EARS = (
    ">",
    "_INBOX.>",
    "_I.>",
    "_I.clerk-b2.>",
    "remit.>",
    "remit.run.>",
    "remit.task.>",
    "remit.result.*",
    "remit.live.>",
    "remit.tool.>",
    "$JS.ACK.>",
)


async def test_an_agent_says_its_own_words_and_no_others(deployment: Deployment) -> None:
    agent = await deployment.agent()

    refused = [to for to in NOT_ITS_OWN if await agent.refuses_publish(to)]
    granted = [to for to in ITS_OWN if not await agent.refuses_publish(to)]

    assert refused == list(NOT_ITS_OWN)
    assert granted == list(ITS_OWN)
    assert set(await deployment.journaled()) == {to for to in ITS_OWN if to.startswith("remit.run.")}


async def test_an_agent_hears_its_own_inbox_and_nothing_else(deployment: Deployment) -> None:
    agent = await deployment.agent()

    refused = [to for to in NOT_FOR_ITS_EARS if await agent.refuses_subscribe(to)]

    assert refused == list(NOT_FOR_ITS_EARS)
    assert not await agent.refuses_subscribe("_I.clerk-a1.>")
    assert json.loads(await agent.ask("remit.run.r1.s1.clerk-a1.0.completed"))["stream"] == "JOURNAL"


async def test_an_agent_pulls_its_role_s_work_and_settles_it(deployment: Deployment) -> None:
    supervisor, agent = await deployment.supervisor(), await deployment.agent()
    await supervisor.ask(WORK, b"work")

    delivery = await agent.pull("clerk")
    await agent.client.request(delivery.reply, b"+ACK", timeout=5)

    assert (delivery.subject, delivery.data) == (WORK, b"work")
    assert await _unsettled(supervisor) == 0


async def test_a_colleague_cannot_settle_an_agent_s_delivery(deployment: Deployment) -> None:
    supervisor, agent, colleague = (
        await deployment.supervisor(),
        await deployment.agent(),
        await deployment.agent("clerk-b2"),
    )
    await supervisor.ask(WORK, b"work")
    delivery = await agent.pull("clerk")

    refused = await colleague.refuses_publish(delivery.reply)

    assert refused
    assert await _unsettled(supervisor) == 1
    await agent.client.request(delivery.reply, b"+ACK", timeout=5)
    assert await _unsettled(supervisor) == 0


# --- the trusted planes --------------------------------------------------------------------------

JOURNAL_WORDS = (
    "remit.run.r1._.2.finished",
    "remit.run.r1._.work.clerk.s1.1",
    "remit.run.r1.s1.lease.1",
    "remit.run.r1.s1.call.0.called",
    "remit.run.r1.s1.call.0.returned",
    "remit.run.r1.s1.clerk-a1.0.completed",
    "remit.state.r1.total.1",
    "remit.run.r1.s1.state.0.rejected",
    "remit.run.r1.s1.state.0.refused",
    "remit.effect.mail-send.abc.called",
)
DESTRUCTIVE = (
    "$JS.API.STREAM.PURGE.JOURNAL",
    "$JS.API.STREAM.DELETE.JOURNAL",
    "$JS.API.STREAM.MSG.DELETE.JOURNAL",
    "$JS.API.STREAM.RESTORE.JOURNAL",
)
UPDATE = "$JS.API.STREAM.UPDATE.JOURNAL"
OWN_WORDS = {
    "supervisor": JOURNAL_WORDS[:3] + JOURNAL_WORDS[6:9],
    "gateway": JOURNAL_WORDS[3:5] + JOURNAL_WORDS[9:],
}
PLANES = {
    "supervisor": permission.supervisor_permissions(),
    "supervisor-answer": permission.supervisor_answer_permissions(),
    "gateway": permission.gateway_permissions("gw-1"),
    "gateway-answer": permission.gateway_answer_permissions("gw-1"),
    "operator": permission.operator_permissions("ann"),
    "archivist": permission.archivist_permissions(),
    "topology": permission.topology_permissions(),
    "publisher": permission.publisher_permissions("ci"),
}


@pytest.mark.parametrize("plane", PLANES)
async def test_each_plane_writes_its_own_lanes_of_the_journal_only(deployment: Deployment, plane: str) -> None:
    peer = await deployment.peer(plane, PLANES[plane])

    granted = [to for to in JOURNAL_WORDS if not await peer.refuses_publish(to)]

    assert granted == list(OWN_WORDS.get(plane, ()))
    assert await deployment.journaled() == granted


@pytest.mark.parametrize("plane", PLANES)
async def test_only_the_archivist_may_purge_and_only_the_topology_may_reshape(
    deployment: Deployment, plane: str
) -> None:
    peer = await deployment.peer(plane, PLANES[plane])

    granted = [to for to in (*DESTRUCTIVE, UPDATE) if not await peer.refuses_publish(to)]

    assert granted == {"archivist": [DESTRUCTIVE[0]], "topology": [UPDATE]}.get(plane, [])


@pytest.mark.parametrize("plane", ["supervisor-answer", "gateway-answer"])
async def test_an_answering_connection_answers_agents_and_operators(deployment: Deployment, plane: str) -> None:
    answering = await deployment.peer(plane, PLANES[plane])
    asked = {"supervisor-answer": "remit.claim.clerk.clerk-a1", "gateway-answer": "remit.tool.gw-1.mail-send.clerk-a1"}
    await answering.answer(asked[plane])
    agent = await deployment.agent()

    assert await agent.ask(asked[plane]) == b"answered"
    assert not await answering.refuses_publish("_I.ann.x")
    assert await answering.refuses_publish("_INBOX.x")


async def test_an_answering_connection_is_no_deputy_for_a_reply_that_names_the_journal(deployment: Deployment) -> None:
    answering = await deployment.peer("supervisor-answer", permission.supervisor_answer_permissions())
    await answering.answer("remit.ctl.*.*")
    operator = await deployment.peer("ann", permission.operator_permissions("ann"))

    await operator.publish("remit.ctl.cancel.ann", reply="remit.run.victim._.3.finished")

    assert await operator.ask("remit.ctl.cancel.ann") == b"answered"
    assert await deployment.journaled() == []
    assert any("remit.run.victim._.3.finished" in refusal for refusal in answering.refusals)


async def test_a_gateway_reads_the_journal_and_hears_its_own_calls_only(deployment: Deployment) -> None:
    supervisor = await deployment.supervisor()
    await supervisor.ask("remit.run.r1.s1.lease.1", b"lease")

    gateway = await deployment.peer("gw-1", permission.gateway_permissions("gw-1"))

    assert await gateway.ask("$JS.API.DIRECT.GET.JOURNAL.remit.run.r1.s1.lease.1", b"") == b"lease"
    assert not await gateway.refuses_subscribe("remit.tool.gw-1.>")
    assert await gateway.refuses_subscribe("remit.tool.gw-2.>")
    assert await gateway.refuses_subscribe("remit.claim.>")
    assert await gateway.refuses_publish(PULL_CLERK)


async def test_a_publisher_sends_tasks_and_receives_outcomes_but_reads_no_journal(deployment: Deployment) -> None:
    publisher = await deployment.peer("ci", permission.publisher_permissions("ci"))
    supervisor = await deployment.supervisor()
    await publisher.listen("remit.result.*")

    receipt = json.loads(await publisher.ask("remit.task.ticket", b'{"goal":"x"}'))
    await supervisor.ask(f"remit.run.r{receipt['seq']}._.2.finished", b"done")
    outcome = await publisher.next()

    assert (receipt["stream"], outcome.subject, outcome.data) == ("TASKS", "remit.result.r1", b"done")
    for to in ("remit.run.>", "remit.task.>", "_I.clerk-a1.>", ">"):
        assert await publisher.refuses_subscribe(to)
    for to in (
        "$JS.API.DIRECT.GET.JOURNAL.remit.run.r1._.2.finished",
        "$JS.API.STREAM.MSG.GET.JOURNAL",
        "$JS.API.STREAM.INFO.JOURNAL",
        "remit.result.r1",
        "remit.claim.clerk.ci",
    ):
        assert await publisher.refuses_publish(to)


async def test_an_outcome_that_came_before_the_publisher_listened_is_read_by_direct_get(deployment: Deployment) -> None:
    publisher = await deployment.peer("ci", permission.publisher_permissions("ci"))
    supervisor = await deployment.supervisor()
    await publisher.listen("remit.result.*")

    await supervisor.ask("remit.run.r7._.2.finished", b"done")
    await publisher.next()  # RESULTS sources the journal at the same time; ask until it has it
    async with asyncio.timeout(5):
        while (kept := await publisher.ask("$JS.API.DIRECT.GET.RESULTS.remit.result.r7", b"")) != b"done":
            await publisher.client.flush()

    assert kept == b"done"


async def test_a_plain_client_with_plain_inboxes_publishes_a_task(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "ci.creds"
    rights = permission.publisher_permissions("ci")
    deployment.server.authority.issue("ci", permissions=rights).write(file)

    client = await nats.connect(deployment.server.url, user_credentials=str(file))
    receipt = await client.request("remit.task.ticket", b"{}", timeout=5)
    await client.close()

    assert json.loads(receipt.data) == {"stream": "TASKS", "seq": 1}


async def test_an_operator_reads_everything_and_asks_under_its_own_name_only(deployment: Deployment) -> None:
    supervisor = await deployment.supervisor()
    await supervisor.ask("remit.run.r1._.1.started", b"started")
    operator = await deployment.peer("ann", permission.operator_permissions("ann"))

    stream = operator.client.jetstream()
    watch = await stream.subscribe("remit.run.>", stream=subject.JOURNAL, ordered_consumer=True)
    entry = await watch.next_msg(timeout=5)

    assert entry.data == b"started"
    assert (await stream.stream_info(subject.JOURNAL)).state.messages == 1
    assert not await operator.refuses_publish("remit.ctl.cancel.ann")
    assert await operator.refuses_publish("remit.ctl.cancel.bob")
    assert await operator.refuses_publish(PULL_CLERK)
    assert await operator.refuses_publish("$JS.API.CONSUMER.DELETE.JOURNAL.clerk")
    assert await operator.refuses_publish("$JS.API.CONSUMER.CREATE.JOURNAL.clerk")


async def test_an_operator_cannot_reshape_a_role_s_pool_through_the_nameless_door(deployment: Deployment) -> None:
    operator = await deployment.peer("ann", permission.operator_permissions("ann"))
    forged = {"durable_name": "clerk", "name": "clerk", "ack_policy": "none", "filter_subject": "remit.run.x"}

    answers = [
        json.loads(await operator.ask("$JS.API.CONSUMER.CREATE.JOURNAL", json.dumps(request).encode()))
        for request in (
            {"stream_name": "JOURNAL", "config": forged},
            {"stream_name": "JOURNAL", "config": {**forged, "durable_name": ""}},
        )
    ]

    assert all("error" in answer for answer in answers)
    pool = await (await deployment.supervisor()).client.jsm().consumer_info(subject.JOURNAL, "clerk")
    assert pool.config.filter_subject == subject.work_filter("clerk")
    assert pool.config.ack_policy == api.AckPolicy.EXPLICIT


async def test_the_archivist_purges_what_it_names(deployment: Deployment) -> None:
    supervisor = await deployment.supervisor()
    await supervisor.ask("remit.run.r1._.1.started", b"{}")
    await supervisor.ask("remit.run.r2._.1.started", b"{}")
    archivist = await deployment.peer("archivist", permission.archivist_permissions())

    await archivist.client.jsm().purge_stream(subject.JOURNAL, subject="remit.run.r1.>")

    left = await supervisor.client.jsm().stream_info(subject.JOURNAL)
    assert left.state.messages == 1


@pytest.mark.parametrize("name", ["", "a.b", "*", ">", "a b", "é", "clerk-a1.>"])
def test_a_name_that_is_no_token_gets_no_permissions(name: str) -> None:
    for compile_for in (
        permission.publisher_permissions,
        permission.operator_permissions,
        permission.gateway_permissions,
        permission.gateway_answer_permissions,
    ):
        with pytest.raises(UsageError):
            compile_for(name)
    with pytest.raises(UsageError):
        agent_permissions("clerk", f"clerk-{name}", tools=[], asks=[])


def test_an_agent_is_named_after_its_role_and_never_like_a_lane() -> None:
    for role, agent in (
        ("clerk", "critic-a1"),
        ("call", "call-a1"),
        ("lease", "lease-a1"),
        ("_", "_-a1"),
        ("a.b", "a.b-c"),
    ):
        with pytest.raises(UsageError):
            agent_permissions(role, agent, tools=[], asks=[])

    assert agent_permissions("analyst-code", "analyst-code-x1", tools=[], asks=[]).account == "edge"


async def _unsettled(supervisor: Peer) -> int:
    info = await supervisor.client.jsm().consumer_info(subject.JOURNAL, "clerk")
    return info.num_ack_pending or 0
