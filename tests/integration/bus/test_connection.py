"""One connection: requests over one inbox, callbacks, and what it says when NATS is away."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from typing import TYPE_CHECKING

import pytest
import uvloop
from structlog.testing import capture_logs

from remit.bus import permission
from remit.bus.connection import Bus, Incoming
from remit.contracts.errors import (
    AnswerTimeoutError,
    BusUnavailableError,
    MalformedMessageError,
    NoRespondersError,
    TooLargeError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from remit.bus.embedded import EmbeddedServer
    from remit.bus.permission import Permissions
    from tests.conftest import NatsServer

LONGEST = 3500
BUG_EXIT = 70
OVERLONG_LINE = b"PUB " + b"a" * 300_000 + b" 0\r\n\r\n"
SUPERVISOR_CUT_OFF = """
import asyncio, sys
from pathlib import Path
from remit.bus.identity import Credentials
from remit.supervisor.actor import _connect
from tests.integration.bus.test_connection import OVERLONG_LINE

async def main(url, name, credentials):
    bus = await _connect(url, name, Credentials.read(Path(credentials)))
    bus._wire._enqueue(OVERLONG_LINE)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


async def answer_with(bus: Bus, subject: str, prefix: bytes = b"") -> None:
    def on_message(message: Incoming) -> None:
        bus.send(message.reply, prefix + message.data, headers=message.headers)

    await bus.subscribe(subject, on_message)


async def test_a_thousand_requests_at_once_get_their_own_answers(bus: Bus) -> None:
    await answer_with(bus, "echo")

    answers = await asyncio.gather(*(bus.request("echo", str(number).encode()) for number in range(1000)))

    assert [answer.data for answer in answers] == [str(number).encode() for number in range(1000)]


async def test_headers_travel_both_ways(bus: Bus) -> None:
    await answer_with(bus, "echo")

    answer = await bus.request("echo", b"x", headers={"Remit-Run": "r1", "Remit-Sender": "zoë"})

    assert answer.headers == {"Remit-Run": "r1", "Remit-Sender": "zoë"}
    assert (await bus.request("echo", b"x")).headers is None


async def test_a_request_that_nobody_hears_says_so_at_once(bus: Bus) -> None:
    with pytest.raises(NoRespondersError) as caught:
        await bus.request("nobody.home")

    assert caught.value.where == "nobody.home"


async def test_a_request_without_answer_times_out(bus: Bus) -> None:
    await bus.subscribe("silence", lambda _: None)

    with pytest.raises(AnswerTimeoutError) as caught:
        await bus.request("silence", timeout_s=0.05)

    assert (caught.value.where, caught.value.expected) == ("silence", "an answer within 0.05 s")


async def test_an_answer_that_comes_too_late_hurts_nobody(bus: Bus) -> None:
    replies: list[str] = []
    await bus.subscribe("late", lambda message: replies.append(message.reply))
    with pytest.raises(AnswerTimeoutError):
        await bus.request("late", timeout_s=0.05)

    bus.send(replies[0], b"too late")
    await bus.flush()

    await answer_with(bus, "echo")
    assert (await bus.request("echo", b"on time")).data == b"on time"


async def test_a_cancelled_request_leaves_nothing_behind(bus: Bus) -> None:
    await bus.subscribe("silence", lambda _: None)
    task = asyncio.create_task(bus.request("silence"))
    await bus.flush()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert bus._replies.waiting == 0


async def test_a_large_message_comes_whole(bus: Bus) -> None:
    await answer_with(bus, "echo")
    body = bytes(range(256)) * 4000

    assert (await bus.request("echo", body)).data == body


async def test_a_message_above_the_limit_is_refused_before_it_is_sent(bus: Bus) -> None:
    with pytest.raises(TooLargeError) as caught:
        await bus.publish("a", b"x" * (bus.max_payload + 1))

    assert str(bus.max_payload) in caught.value.expected
    assert bus.is_connected


async def test_a_subject_cannot_carry_a_second_command(bus: Bus) -> None:
    with pytest.raises(MalformedMessageError):
        await bus.publish("a\r\nPUB b 1\r\nx", b"")


async def test_the_longest_subject_and_reply_reach_the_server(bus: Bus) -> None:
    got: list[tuple[int, int]] = []
    half = "é" * (LONGEST // 4)
    await bus.subscribe("a" * LONGEST, lambda message: got.append((len(message.subject), len(message.reply))))
    await bus.subscribe(half, lambda message: got.append((len(message.subject), len(message.reply))))

    await bus.publish("a" * LONGEST, b"x", headers={"A": "b"})
    await bus.publish(half, b"x" * 100_000, headers={"A": "b" * 100_000}, reply=half)
    await bus.flush()

    assert got == [(LONGEST, 0), (len(half), len(half))]


async def test_a_subject_above_the_server_s_line_is_refused_and_the_connection_stands(bus: Bus) -> None:
    await answer_with(bus, "echo")
    too_long = "a" * (LONGEST + 1)

    with pytest.raises(MalformedMessageError) as caught:
        await bus.publish(too_long, b"")
    with pytest.raises(MalformedMessageError):
        await bus.publish("echo", b"", reply="a" * LONGEST)
    with pytest.raises(MalformedMessageError):
        await bus.request(too_long)
    with pytest.raises(MalformedMessageError):
        await bus.fetch_batch(too_long, b"")
    with pytest.raises(MalformedMessageError):
        await bus.subscribe(too_long, lambda _: None)

    assert (caught.value.code, bus._replies.waiting) == ("RM-201", 0)
    assert len(str(caught.value)) < 500
    assert (await bus.request("echo", b"still here")).data == b"still here"


async def test_a_line_that_is_too_long_ends_the_connection_for_good_and_its_owner_hears_it(
    nats_server: NatsServer,
) -> None:
    """The control: what the limit on subjects prevents."""
    closed = asyncio.Event()
    bus = await Bus.connect(nats_server.url, name="long", on_closed=closed.set)

    with capture_logs() as logs:
        bus._wire._enqueue(OVERLONG_LINE)
        await asyncio.wait_for(closed.wait(), 10)

    assert "bus.connection_closed" in [line["event"] for line in logs]
    with pytest.raises(BusUnavailableError):
        await bus.publish("a", b"")


@pytest.mark.parametrize(
    ("name", "permissions"),
    [
        ("supervisor", permission.supervisor_permissions()),
        ("supervisor-answer", permission.supervisor_answer_permissions()),
    ],
)
async def test_a_supervisor_whose_connection_ended_for_good_ends_its_process(
    embedded_server: EmbeddedServer, tmp_path: Path, name: str, permissions: Permissions
) -> None:
    credentials = tmp_path / "user.creds"
    embedded_server.authority.issue(name, permissions=permissions).write(credentials)

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SUPERVISOR_CUT_OFF, embedded_server.url, name, credentials),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert process.returncode == BUG_EXIT, said.decode()
    assert "supervisor.ended" in said.decode()


async def test_a_flush_that_was_given_up_hurts_nobody(bus: Bus) -> None:
    for _ in range(3):
        flushing = asyncio.create_task(bus.flush())
        await asyncio.sleep(0)
        flushing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flushing

    await bus.flush(2)


async def test_a_subscription_is_heard_from_the_moment_it_is_given(nats_server: NatsServer, bus: Bus) -> None:
    other = await Bus.connect(nats_server.url, name="other")
    for number in range(100):
        await answer_with(other, f"echo.{number}")
        assert (await bus.request(f"echo.{number}", b"x")).data == b"x"
    await other.close()


async def test_members_of_a_queue_share_the_messages(bus: Bus) -> None:
    got: list[str] = []
    await bus.subscribe("work", lambda _: got.append("one"), queue="pool")
    await bus.subscribe("work", lambda _: got.append("two"), queue="pool")

    for _ in range(200):
        await bus.publish("work", b"x")
    await bus.flush()

    assert len(got) == 200
    assert {"one", "two"} == set(got)


async def test_what_was_sent_before_unsubscribing_is_handled(bus: Bus) -> None:
    got: list[bytes] = []
    subscription = await bus.subscribe("a", lambda message: got.append(message.data))
    for number in range(100):
        await bus.publish("a", str(number).encode())

    await subscription.unsubscribe()
    await bus.publish("a", b"after")
    await bus.flush()

    assert got == [str(number).encode() for number in range(100)]


async def test_a_burst_larger_than_every_buffer_arrives_in_order(bus: Bus) -> None:
    got: list[int] = []
    await bus.subscribe("burst", lambda message: got.append(int(message.data[:6])))

    for number in range(20_000):
        await bus.publish("burst", b"%06d" % number + b"x" * 1000)
    await bus.flush()

    assert got == list(range(20_000))


async def test_two_connections_of_one_name_do_not_take_each_others_answers(nats_server: NatsServer, bus: Bus) -> None:
    twin = await Bus.connect(nats_server.url, name=bus.name)
    await answer_with(bus, "echo")

    answers = await asyncio.gather(bus.request("echo", b"mine"), twin.request("echo", b"the twin's"))

    assert [answer.data for answer in answers] == [b"mine", b"the twin's"]
    await twin.close()


async def test_nobody_at_the_address_is_said_at_once_with_the_next_step() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"nats://127.0.0.1:{free.getsockname()[1]}"

    with pytest.raises(BusUnavailableError) as caught:
        await Bus.connect(url, name="test")

    assert caught.value.where == url.removeprefix("nats://")
    assert "remit up" in caught.value.fix


async def test_a_lost_connection_is_told_to_who_waits_and_comes_back(nats_server: NatsServer, bus: Bus) -> None:
    await bus.subscribe("silence", lambda _: None)
    await answer_with(bus, "echo")
    back = asyncio.Event()
    bus.when_reconnected(back.set)
    waiting = asyncio.create_task(bus.request("silence", timeout_s=30))
    await bus.flush()

    with capture_logs() as logs:
        nats_server.kill()
        with pytest.raises(BusUnavailableError):
            await waiting
        assert not bus.is_connected
        during = asyncio.create_task(bus.request("echo", b"sent during the outage", timeout_s=30))
        await nats_server.start()
        await asyncio.wait_for(back.wait(), 10)

    assert (await during).data == b"sent during the outage"
    assert (await bus.request("echo", b"after")).data == b"after"
    events = [line["event"] for line in logs if line["log_level"] != "debug"]
    assert events == ["bus.connection_lost", "bus.connection_restored"]


def test_it_holds_on_the_loop_of_production_too(stopped_nats_server: NatsServer) -> None:
    """uvloop has transports of its own."""
    server = stopped_nats_server

    async def talk() -> list[bytes]:
        await server.start()
        bus = await Bus.connect(server.url, name="test")
        await answer_with(bus, "echo")
        back = asyncio.Event()
        bus.when_reconnected(back.set)
        before = await asyncio.gather(*(bus.request("echo", b"x" * 100_000) for _ in range(50)))
        server.kill()
        await server.start()
        await asyncio.wait_for(back.wait(), 10)
        after = await bus.request("echo", b"again")
        await bus.close()
        return [*{answer.data for answer in before}, after.data]

    assert uvloop.run(talk()) == [b"x" * 100_000, b"again"]


async def test_closing_does_not_wait_for_a_server_that_is_frozen(nats_server: NatsServer) -> None:
    bus = await Bus.connect(nats_server.url, name="stuck")
    nats_server.signal(signal.SIGSTOP)
    try:
        for _ in range(100):
            bus.send("a", b"x" * 500_000)

        async with asyncio.timeout(10):
            await bus.close()
    finally:
        nats_server.signal(signal.SIGCONT)


async def test_closing_tells_who_waits_and_later_use_is_refused(nats_server: NatsServer) -> None:
    closed: list[str] = []
    bus = await Bus.connect(nats_server.url, name="short", on_closed=lambda: closed.append("closed"))
    await bus.subscribe("silence", lambda _: None)
    waiting = asyncio.create_task(bus.request("silence"))
    await bus.flush()

    await bus.close()

    with pytest.raises(BusUnavailableError):
        await waiting
    with pytest.raises(BusUnavailableError):
        await bus.publish("a", b"")
    assert not closed, "who closed knows it already"
