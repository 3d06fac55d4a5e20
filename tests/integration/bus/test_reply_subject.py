"""The reply of a request is a subject too, and whoever asks chooses it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.bus import permission
from remit.bus.permission import agent_permissions

if TYPE_CHECKING:
    from tests.integration.bus.conftest import Deployment, Peer

PULL_CLERK = "$JS.API.CONSUMER.MSG.NEXT.JOURNAL.clerk"
WORK = "remit.run.r1._.work.clerk.s1.1"

INJECTED = (
    "remit.run.victim._.3.finished",
    "remit.run.victim.s1.clerk-b2.0.completed",
    "remit.run.victim.s1.call.0.returned",
)
ATTACKS = {
    "publish": "remit.run.r1.s1.clerk-a1.0.completed",
    "pull": PULL_CLERK,
    "request": "remit.propose.clerk-a1",
}


@pytest.mark.parametrize("target", INJECTED)
@pytest.mark.parametrize("way", ATTACKS)
async def test_a_reply_that_names_the_journal_stores_nothing(deployment: Deployment, way: str, target: str) -> None:
    agent = await deployment.agent()
    await _serve(deployment)

    await agent.publish(ATTACKS[way], b'{"batch":1,"expires":100000000}', reply=target)

    await _serve_twins(deployment, agent)
    assert "victim" not in " ".join(await deployment.journaled())


async def test_in_the_journal_s_own_account_the_same_reply_would_be_stored(deployment: Deployment) -> None:
    """The control: what the accounts prevent, so the test above can fail."""
    rights = agent_permissions("clerk", "clerk-a1", tools=[], asks=[])
    agent = await deployment.peer("clerk-a1", msgspec.structs.replace(rights, account="core"))
    await _serve(deployment)

    await agent.publish(ATTACKS["publish"], reply=INJECTED[0])

    await _serve_twins(deployment, agent)
    assert INJECTED[0] in await deployment.journaled()


async def test_a_reply_cannot_be_a_request_in_a_colleague_s_name(deployment: Deployment) -> None:
    agent, supervisor = await deployment.agent(), await deployment.supervisor()
    await supervisor.listen("remit.claim.>")

    await agent.publish(ATTACKS["publish"], reply="remit.claim.clerk.clerk-b2")

    await agent.publish("remit.claim.clerk.clerk-a1")
    assert (await supervisor.next()).subject == "remit.claim.clerk.clerk-a1"
    assert supervisor.heard.empty()


async def test_an_agent_cannot_hand_a_publisher_a_false_outcome(deployment: Deployment) -> None:
    agent, supervisor = await deployment.agent(), await deployment.supervisor()
    publisher = await deployment.peer("ci", permission.publisher_permissions("ci"))
    await publisher.listen("remit.result.*")

    await agent.publish(ATTACKS["publish"], reply="remit.result.r7")
    await agent.publish("remit.registry.clerk-a1", reply="remit.result.r7")

    await supervisor.ask("remit.run.r7._.2.finished", b"the true one")
    assert (await publisher.next()).data == b"the true one"
    assert publisher.heard.empty()


async def _serve(deployment: Deployment) -> None:
    """There is work to pull, and the supervisor answers proposals."""
    await (await deployment.supervisor()).ask(WORK, b"work")
    answering = await deployment.peer("supervisor-answer", permission.supervisor_answer_permissions())
    await answering.answer("remit.propose.*")


async def _serve_twins(deployment: Deployment, agent: Peer) -> None:
    """What came before these answered requests is through the server, and the honest way works."""
    assert await agent.ask("remit.propose.clerk-a1") == b"answered"
    receipt = json.loads(await agent.ask("remit.run.r1.s1.clerk-a1.1.completed"))
    assert receipt["stream"] == "JOURNAL"
    await (await deployment.supervisor()).ask("remit.run.r9._.1.started")
