"""A deployment with real identities, and raw NATS clients that speak with them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from nats.aio.client import Client
from nats.js import api

from remit.bus import permission, subject
from remit.bus.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from nats.aio.msg import Msg

    from remit.bus.identity import Credentials
    from remit.bus.permission import Permissions

ROLES = ("clerk", "critic")
ANSWER_S = 5.0
PULL_ONE = b'{"batch":1,"expires":5000000000}'


class Peer:
    """Somebody with credentials who speaks raw NATS and keeps what the server refused."""

    def __init__(self, client: Client, name: str, refusals: list[str]) -> None:
        self.client = client
        self.name = name
        self.refusals = refusals
        self.heard: asyncio.Queue[Msg] = asyncio.Queue()

    async def publish(self, to: str, data: bytes = b"{}", *, reply: str = "") -> None:
        """The server has judged the message: its refusal precedes the answer to our ping."""
        await self.client.publish(to, data, reply=reply)
        await self.settled()

    async def settled(self) -> None:
        """The server has judged what was sent so far."""
        # nats-py writes the ping of a flush before what is still pending; the second one comes after it.
        await self.client.flush()
        await self.client.flush()

    async def ask(self, to: str, data: bytes = b"{}") -> bytes:
        """Give the answer to a request."""
        answer = await self.client.request(to, data, timeout=ANSWER_S)
        return answer.data

    async def listen(self, to: str) -> None:
        """What comes to the subject is heard from now on, if the server lets us."""
        await self.client.subscribe(to, cb=self.heard.put)
        await self.settled()

    async def next(self) -> Msg:
        """Give the next message that was heard."""
        return await asyncio.wait_for(self.heard.get(), ANSWER_S)

    async def answer(self, to: str) -> None:
        """Requests to the subject are answered from now on."""

        async def answer(message: Msg) -> None:
            await message.respond(b"answered")

        await self.client.subscribe(to, cb=answer)
        await self.settled()

    async def pull(self, role: str) -> Msg:
        """Give the next delivery of a role's work."""
        inbox = self.client.new_inbox()
        await self.listen(inbox)
        await self.publish(f"{permission.PULL}.{subject.JOURNAL}.{role}", PULL_ONE, reply=inbox)
        return await self.next()

    async def refuses_publish(self, to: str, *, reply: str = "") -> bool:
        """Whether the server refuses this publish, by name."""
        self.refusals.clear()
        await self.publish(to, reply=reply)
        return any("publish" in refusal and to.lower() in refusal for refusal in self.refusals)

    async def refuses_subscribe(self, to: str) -> bool:
        """Whether the server refuses this subscription, by name."""
        self.refusals.clear()
        await self.listen(to)
        return any("subscription" in refusal and to.lower() in refusal for refusal in self.refusals)


class Deployment:
    """A server with its streams, role consumers, and whoever connects."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.server = server
        self._clients: list[Client] = []

    async def peer(self, name: str, permissions: Permissions) -> Peer:
        """Connect a new identity."""
        return await self.connect(name, self.server.authority.issue(name, permissions=permissions))

    async def connect(self, name: str, credentials: Credentials) -> Peer:
        """Connect with credentials."""
        refusals: list[str] = []

        async def keep(error: Exception) -> None:
            refusals.append(str(error).lower())

        client = Client()
        self._clients.append(client)
        await client.connect(
            self.server.url,
            name=name,
            inbox_prefix=f"_I.{name}",
            user_jwt_cb=credentials.jwt.encode,
            signature_cb=credentials.key.answer,
            error_cb=keep,
            allow_reconnect=False,
        )
        return Peer(client, name, refusals)

    async def agent(self, name: str = "clerk-a1") -> Peer:
        """Connect an agent that may send mail and ask a critic."""
        role = name.split("-", maxsplit=1)[0]
        rights = permission.agent_permissions(role, name, tools=["mail.send"], asks=["critic"])
        return await self.peer(name, rights)

    async def supervisor(self) -> Peer:
        """Connect the supervisor."""
        return await self.peer("supervisor", permission.supervisor_permissions())

    async def journaled(self) -> list[str]:
        """Give the subjects of every entry, in order."""
        supervisor = await self.supervisor()
        info = await supervisor.client.jetstream().stream_info(subject.JOURNAL)
        manager = supervisor.client.jsm()
        entries = [await manager.get_msg(subject.JOURNAL, seq) for seq in range(1, info.state.last_seq + 1)]
        return [entry.subject or "" for entry in entries]

    async def raise_streams(self) -> None:
        """The streams and role consumers stand, made by the identity that may."""
        peer = await self.peer("topology", permission.topology_permissions())
        manager = peer.client.jsm()
        for config in _streams():
            await manager.add_stream(config)
        for role in ROLES:
            await manager.add_consumer(subject.JOURNAL, _pool(role))

    async def close(self) -> None:
        """Nobody is connected any more."""
        for client in self._clients:
            await client.close()
            # A refused connection leaves its socket behind.
            if client._transport:
                client._transport.close()  # type: ignore[no-untyped-call]  # nats-py annotates half of it
                with suppress(OSError):
                    await client._transport.wait_closed()  # type: ignore[no-untyped-call]


def _streams() -> tuple[api.StreamConfig, ...]:
    finished = api.SubjectTransform(src=subject.FINISHED_FILTER, dest=subject.RESULT_TARGET)
    return (
        api.StreamConfig(
            name=subject.TASKS, subjects=["remit.task.*"], retention=api.RetentionPolicy.WORK_QUEUE, allow_direct=True
        ),
        api.StreamConfig(
            name=subject.JOURNAL,
            subjects=list(subject.JOURNAL_SUBJECTS),
            allow_direct=True,
            max_msgs_per_subject=1,
            discard=api.DiscardPolicy.NEW,
            discard_new_per_subject=True,
            deny_delete=True,
            republish=api.RePublish(src=subject.FINISHED_FILTER, dest=subject.RESULT_TARGET),
        ),
        api.StreamConfig(
            name=subject.RESULTS,
            max_msgs_per_subject=1,
            allow_direct=True,
            sources=[api.StreamSource(name=subject.JOURNAL, subject_transforms=[finished])],
        ),
    )


def _pool(role: str) -> api.ConsumerConfig:
    return api.ConsumerConfig(
        durable_name=role,
        ack_policy=api.AckPolicy.EXPLICIT,
        filter_subject=subject.work_filter(role),
        ack_wait=10,
    )


@pytest.fixture
def embedded_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer.start(tmp_path / "data") as server:
        yield server


@pytest.fixture
async def deployment(embedded_server: EmbeddedServer) -> AsyncIterator[Deployment]:
    deployment = Deployment(embedded_server)
    await deployment.raise_streams()
    yield deployment
    await deployment.close()
