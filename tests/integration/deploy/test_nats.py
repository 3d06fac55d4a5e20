"""The configurations of deploy/nats are ones that nats-server takes, and three servers of them hold R3 streams."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.bus import topology
from remit.bus.embedded import _CONTROL_LINE_BYTES
from remit.bus.permission import publisher_permissions, topology_permissions
from remit.bus.stream import ApiError, try_api
from remit.contracts.errors import RemitError
from remit.embedded import _MAX_PAYLOAD_BYTES
from tests.integration.deploy.conftest import FILES, NAMES, Servers

if TYPE_CHECKING:
    from remit.bus.connection import Bus
    from tests.conftest import Eventually

SERVERS_S = 60.0

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with")


class Cluster(msgspec.Struct):
    leader: str
    replicas: list[dict[str, object]]


class Info(msgspec.Struct):
    cluster: Cluster


@needs_openssl
@pytest.mark.parametrize("name", NAMES)
def test_nats_server_takes_a_shipped_configuration(servers: Servers, name: str) -> None:
    result = servers.checked(name)

    assert result.returncode == 0, result.stderr


@needs_openssl
def test_nats_server_names_a_setting_that_it_does_not_know(servers: Servers) -> None:
    config = servers.folder / NAMES[0] / "server.conf"
    config.write_text(config.read_text().replace("sync_interval:", "sync_intervall:"))

    result = servers.checked(NAMES[0])

    assert result.returncode != 0
    assert "sync_intervall" in result.stderr


def test_there_is_a_configuration_for_each_of_the_three_routes() -> None:
    text = (FILES / "server.conf").read_text()

    assert {path.stem for path in FILES.glob("nats-*.conf")} == set(NAMES)
    assert [name for name in NAMES if f'"tls://{name}.internal:6222"' not in text] == []


def test_the_bounds_are_those_of_the_embedded_server() -> None:
    lines = (FILES / "server.conf").read_text().splitlines()

    assert f"max_payload: {_MAX_PAYLOAD_BYTES}" in lines
    assert f"max_control_line: {_CONTROL_LINE_BYTES}" in lines


@needs_openssl
async def test_three_servers_hold_every_stream_thrice_and_say_that_they_sync(
    servers: Servers, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one of them killed, tasks are taken as before."""
    monkeypatch.setenv("SSL_CERT_FILE", str(servers.ca))
    await servers.start()

    async with servers.monitored(NAMES[0]) as bus:
        said = [item["data"] for item in await asked_of_all(bus, "$SYS.REQ.SERVER.PING.VARZ")]
        assert all(isinstance(item, dict) and item["jetstream"]["config"]["sync_always"] for item in said)
        assert {item["max_payload"] for item in said if isinstance(item, dict)} == {_MAX_PAYLOAD_BYTES}

    async with servers.connected(NAMES[1], "topology", topology_permissions()) as bus:
        await eventually(lambda: ensured(bus))
        for spec in topology.STREAMS:
            await eventually(lambda name=spec.name: is_whole(bus, name))  # type: ignore[misc]  # bound per stream

    servers.kill(NAMES[0])

    async with servers.connected(NAMES[1], "web", publisher_permissions("web")) as bus:
        await eventually(lambda: accepted(bus))


async def asked_of_all(bus: Bus, subject: str) -> list[dict[str, object]]:
    """Give what every server answers; servers find one another within moments of listening."""
    async with asyncio.timeout(SERVERS_S):
        while len(heard := await _asked(bus, subject)) < len(NAMES):
            pass
        return heard


async def _asked(bus: Bus, subject: str) -> list[dict[str, object]]:
    heard: list[dict[str, object]] = []
    inbox = bus.new_inbox("servers")
    subscription = await bus.subscribe(inbox, lambda message: heard.append(json.loads(message.data)))
    bus.send(subject, reply=inbox)
    for _ in range(20):  # nothing says that no further server will answer
        await asyncio.sleep(0.01)
        if len(heard) == len(NAMES):
            break
    subscription.drop()
    return heard


async def accepted(bus: Bus) -> bool:
    """Whether a task got its PubAck: while a stream elects a new leader, nobody answers."""
    try:
        answer = await bus.request("remit.task.ticket", b"{}", timeout_s=2)
    except RemitError:
        return False
    return b'"seq":' in answer.data


async def ensured(bus: Bus) -> bool:
    """Whether the streams could be brought to their shape: servers that still elect a leader refuse."""
    try:
        await topology.ensure(bus, ("clerk",), profile="cluster")
    except RemitError:
        return False
    return True


async def info(bus: Bus, stream: str) -> Info:
    answer = await try_api(bus, "STREAM.INFO", stream)
    assert not isinstance(answer, ApiError), answer.description
    return msgspec.json.decode(answer, type=Info)


async def is_whole(bus: Bus, stream: str) -> bool:
    """Whether a stream has a leader and two followers that know all that it knows."""
    cluster = (await info(bus, stream)).cluster
    return bool(cluster.leader) and [item["current"] for item in cluster.replicas] == [True, True]
