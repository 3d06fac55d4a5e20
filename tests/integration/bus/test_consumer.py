"""The pull loop: every message once, none swallowed, whatever happens to the server; and what becomes of errors."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from remit.bus import consumer, permission, subject, topology
from remit.bus.connection import Bus
from remit.bus.consumer import Delivery, PullLoop, backoff_s, settle_with
from remit.bus.journal import Journal
from remit.bus.subject import JOURNAL
from remit.contracts.errors import (
    BusUnavailableError,
    CancelledRunError,
    GrantDeniedError,
    LeaseLostError,
    RefusedError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.conftest import Eventually, NatsServer
    from tests.integration.bus.conftest import Deployment

ENOUGH_S = 20.0


class Hands:
    """Takes deliveries and says when there are enough."""

    def __init__(self, settle: Callable[[Delivery], None] = Delivery.ack) -> None:
        self.got: list[Delivery] = []
        self._settle = settle
        self._grew = asyncio.Event()

    def take(self, delivery: Delivery) -> None:
        self.got.append(delivery)
        self._settle(delivery)
        self._grew.set()

    async def hold(self, count: int) -> list[Delivery]:
        async with asyncio.timeout(ENOUGH_S):
            while len(self.got) < count:
                self._grew.clear()
                await self._grew.wait()
        return self.got

    @property
    def seqs(self) -> list[int]:
        return [delivery.stream_seq for delivery in self.got]


def keep(_: Delivery) -> None:
    """Leave a delivery in hand."""


@pytest.fixture
async def journal(bus: Bus) -> Journal:
    await topology.ensure(bus, ["clerk"])
    return Journal(bus, timeout_s=2.0)


@pytest.fixture
async def other(nats_server: NatsServer) -> AsyncIterator[Bus]:
    other = await Bus.connect(nats_server.url, name="other")
    yield other
    await other.close()


async def dispatch(journal: Journal, runs: range) -> None:
    for first in range(runs.start, runs.stop, 200):
        part = range(first, min(first + 200, runs.stop))
        await asyncio.gather(*(journal.append(f"remit.run.r{n}._.work.clerk.s.1", b"w") for n in part))


async def info(bus: Bus) -> dict[str, int]:
    await bus.flush()
    found: dict[str, int] = json.loads((await bus.request("$JS.API.CONSUMER.INFO.JOURNAL.clerk")).data)
    return found


async def all_acked(bus: Bus) -> bool:
    found = await info(bus)
    return not (found["num_ack_pending"] or found["num_pending"])


async def test_every_message_comes_once_and_in_order(bus: Bus, journal: Journal, eventually: Eventually) -> None:
    hands = Hands()
    await dispatch(journal, range(1, 501))
    loop = await PullLoop.start(bus, JOURNAL, "clerk", hands.take, batch=16)
    await dispatch(journal, range(501, 1001))

    await hands.hold(1000)

    assert hands.seqs == list(range(1, 1001))
    assert loop.in_hand == 0
    await eventually(lambda: all_acked(bus))
    await loop.stop()


async def test_a_delivery_says_what_it_is(bus: Bus, journal: Journal) -> None:
    await journal.append("remit.run.r1._.work.clerk.s.1", b"body", headers={"Remit-Run": "r1"})
    hands = Hands(keep)
    loop = await PullLoop.start(bus, JOURNAL, "clerk", hands.take)

    (delivery,) = await hands.hold(1)

    assert (delivery.subject, delivery.data) == ("remit.run.r1._.work.clerk.s.1", b"body")
    assert (delivery.headers or {})["Remit-Run"] == "r1"
    assert (delivery.stream_seq, delivery.num_delivered) == (1, 1)
    await loop.stop()


async def test_no_more_than_the_limit_is_in_hand_and_settling_makes_room(bus: Bus, journal: Journal) -> None:
    await dispatch(journal, range(1, 31))
    hands = Hands(keep)
    loop = await PullLoop.start(bus, JOURNAL, "clerk", hands.take, batch=64, limit=4)
    await hands.hold(4)
    await bus.flush()
    assert (len(hands.got), loop.in_hand) == (4, 4)

    for done in range(26):
        hands.got[done].ack()
        await hands.hold(min(30, done + 5))
        assert loop.in_hand <= 4

    await hands.hold(30)
    assert sorted(hands.seqs) == list(range(1, 31))
    await loop.stop()


async def test_a_place_can_be_kept_beyond_the_ack(bus: Bus, journal: Journal) -> None:
    await dispatch(journal, range(1, 4))
    hands = Hands(keep)
    loop = await PullLoop.start(bus, JOURNAL, "clerk", hands.take, limit=1)
    await hands.hold(1)

    hands.got[0].ack(keep_place=True)
    await bus.flush()
    assert (len(hands.got), loop.in_hand) == (1, 1)
    hands.got[0].release()
    hands.got[0].release()

    await hands.hold(2)
    assert loop.in_hand == 1
    await loop.stop()


async def test_two_loops_share_the_work_and_repeat_none(
    bus: Bus, other: Bus, journal: Journal, eventually: Eventually
) -> None:
    one, two = Hands(), Hands()
    loops = [
        await PullLoop.start(bus, JOURNAL, "clerk", one.take, batch=8),
        await PullLoop.start(other, JOURNAL, "clerk", two.take, batch=8),
    ]

    await dispatch(journal, range(1, 401))
    await eventually(lambda: all_acked(bus))

    assert sorted(one.seqs + two.seqs) == list(range(1, 401))
    assert one.got
    assert two.got
    for loop in loops:
        await loop.stop()


async def test_what_is_given_back_comes_again_after_its_delay(
    bus: Bus, journal: Journal, eventually: Eventually
) -> None:
    await dispatch(journal, range(1, 2))
    hands = Hands(lambda delivery: delivery.ack() if delivery.num_delivered > 2 else delivery.nak(0.05))
    loop = await PullLoop.start(bus, JOURNAL, "clerk", hands.take)

    await hands.hold(3)

    assert [delivery.num_delivered for delivery in hands.got] == [1, 2, 3]
    await eventually(lambda: all_acked(bus))
    await loop.stop()


async def test_settling_twice_settles_once(bus: Bus, journal: Journal, eventually: Eventually) -> None:
    await dispatch(journal, range(1, 2))
    hands = Hands()
    loop = await PullLoop.start(bus, JOURNAL, "clerk", hands.take)
    await hands.hold(1)

    hands.got[0].nak()
    hands.got[0].in_progress()

    await eventually(lambda: all_acked(bus))
    assert len(hands.got) == 1
    await loop.stop()


async def test_a_terminated_delivery_never_comes_again(bus: Bus, journal: Journal, eventually: Eventually) -> None:
    notices: asyncio.Queue[dict[str, object]] = asyncio.Queue()
    await bus.subscribe(
        "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.JOURNAL.clerk",
        lambda message: notices.put_nowait(json.loads(message.data)),
    )
    await dispatch(journal, range(1, 2))
    loop = await PullLoop.start(bus, JOURNAL, "clerk", Hands(lambda delivery: delivery.term("unreadable")).take)

    notice = await asyncio.wait_for(notices.get(), ENOUGH_S)

    assert (notice["reason"], notice["stream_seq"]) == ("unreadable", 1)
    await eventually(lambda: all_acked(bus))
    await loop.stop()


async def test_a_stopped_loop_swallows_nothing(bus: Bus, other: Bus, journal: Journal, eventually: Eventually) -> None:
    """Stopped while the server pours, it leaves every message that it did not hand out to others, at once."""
    await dispatch(journal, range(1, 3001))
    stopping: list[asyncio.Task[None]] = []
    stopped, rest = Hands(), Hands()

    def take(delivery: Delivery) -> None:
        stopped.take(delivery)
        if len(stopped.got) == 20:
            stopping.append(asyncio.get_running_loop().create_task(loop.stop()))

    loop = await PullLoop.start(bus, JOURNAL, "clerk", take, batch=3000)
    await stopped.hold(20)
    await stopping[0]
    had = len(stopped.got)
    successor = await PullLoop.start(other, JOURNAL, "clerk", rest.take, batch=100)
    async with asyncio.timeout(5):  # well below ack_wait: nothing may hang in the stopped loop
        await eventually(lambda: all_acked(other))

    assert len(stopped.got) == had
    assert sorted(stopped.seqs + rest.seqs) == list(range(1, 3001))
    assert any(delivery.num_delivered == 2 for delivery in rest.got), "some were on their way and were given back"
    await successor.stop()


async def test_a_paused_loop_hands_out_nothing_until_it_is_resumed(bus: Bus, journal: Journal) -> None:
    hands = Hands()
    loop = await PullLoop.start(bus, JOURNAL, "clerk", hands.take)
    await dispatch(journal, range(1, 11))
    await hands.hold(10)

    await loop.pause()
    await loop.pause()
    await dispatch(journal, range(11, 21))
    assert (await info(bus))["num_pending"] == 10
    assert len(hands.got) == 10
    await loop.resume()

    await hands.hold(20)
    assert [delivery.num_delivered for delivery in hands.got] == [1] * 20
    await loop.stop()


async def test_nothing_is_lost_when_the_server_is_killed_again_and_again(
    nats_server: NatsServer, bus: Bus, journal: Journal
) -> None:
    hands = Hands()
    loop = await PullLoop.start(bus, JOURNAL, "clerk", hands.take, batch=32)

    with capture_logs() as logs:
        dispatching = asyncio.gather(*(dispatch_stubbornly(journal, range(n, 2001, 20)) for n in range(1, 21)))
        for _ in range(4):
            await hands.hold(len(hands.got) + 300)
            nats_server.kill()
            await nats_server.start()
        await asyncio.wait_for(dispatching, 30)
        async with asyncio.timeout(30):  # what was in flight at a kill comes again after ack_wait
            while len({delivery.subject for delivery in hands.got}) < 2000:
                await hands.hold(len(hands.got) + 1)

    assert loop.in_hand == 0
    assert await journal.last_seq() == 2000
    assert "pull.repeated" not in [line["event"] for line in logs], "a reconnect is noticed, not waited out"
    await loop.stop()


async def dispatch_stubbornly(journal: Journal, runs: range) -> None:
    for run in runs:
        while True:
            try:
                await journal.append_own(f"remit.run.r{run}._.work.clerk.s.1", b"w")
                break
            except BusUnavailableError:
                await asyncio.sleep(0.01)


async def test_a_loop_goes_on_when_its_consumer_was_deleted_and_made_again(bus: Bus, journal: Journal) -> None:
    hands = Hands()
    loop = await PullLoop.start(bus, JOURNAL, "clerk", hands.take)
    await dispatch(journal, range(1, 6))
    await hands.hold(5)

    with capture_logs() as logs:
        await bus.request("$JS.API.CONSUMER.DELETE.JOURNAL.clerk")
        await topology.ensure(bus, ["clerk"], oldest_open_seq=6)
        await dispatch(journal, range(6, 11))
        await hands.hold(10)

    assert hands.seqs == list(range(1, 11))
    assert "pull.refused" in [line["event"] for line in logs]
    await loop.stop()


async def test_a_loop_whose_pulls_were_lost_in_silence_asks_again(
    bus: Bus, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever eats a pull, the loop notices that not even heartbeats come."""
    monkeypatch.setattr(consumer, "_SILENCE_S", 0.1)
    monkeypatch.setattr(consumer, "_HEARTBEAT_S", 0.05)
    hands = Hands()
    loop = PullLoop(bus, JOURNAL, "clerk", on_delivery=hands.take, batch=8, limit=0)
    loop._where, true = "nobody.answers.but.somebody.listens", loop._where
    await bus.subscribe(loop._where, lambda _: None)
    await loop.resume()
    await dispatch(journal, range(1, 4))

    loop._where = true

    await hands.hold(3)
    await loop.stop()


async def test_an_idle_loop_keeps_its_pulls(bus: Bus, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulls that expire are replaced, one for one."""
    asked: asyncio.Queue[bytes] = asyncio.Queue()
    await bus.subscribe(subject.pull(JOURNAL, "clerk"), lambda message: asked.put_nowait(message.data))
    request = b'{"batch":%d,"expires":100000000,"idle_heartbeat":40000000}'
    monkeypatch.setattr(consumer, "_pull_request", lambda batch: request % batch)
    hands = Hands()
    loop = await PullLoop.start(bus, JOURNAL, "clerk", hands.take, batch=8)
    for _ in range(4):
        await asyncio.wait_for(asked.get(), ENOUGH_S)

    await dispatch(journal, range(1, 4))
    await hands.hold(3)

    assert (await info(bus))["num_waiting"] == 1
    assert loop._owed <= 8
    await loop.stop()


async def test_an_agent_pulls_and_acks_through_the_door_between_the_accounts(
    deployment: Deployment, eventually: Eventually
) -> None:
    authority, url = deployment.server.authority, deployment.server.url
    rights = permission.agent_permissions("clerk", "clerk-a1", tools=[], asks=[])
    supervisor = authority.issue("supervisor", permissions=permission.supervisor_permissions())
    core = await Bus.connect(url, name="supervisor", credentials=supervisor)
    agent = await Bus.connect(url, name="clerk-a1", credentials=authority.issue("clerk-a1", permissions=rights))
    hands = Hands()
    loop = await PullLoop.start(agent, JOURNAL, "clerk", hands.take, batch=8, limit=8)

    await dispatch(Journal(core), range(1, 101))
    await hands.hold(100)
    await eventually(lambda: all_acked(core))

    assert hands.seqs == list(range(1, 101))
    done = await Journal(agent).append("remit.run.r1.s.clerk-a1.0.completed", b"done")
    assert done == 101
    await loop.stop()
    await dispatch(Journal(core), range(101, 104))
    assert (await info(core))["num_pending"] == 3, "a stopped agent's pulls take nothing"
    await agent.close()
    await core.close()


# --- the ladder ------------------------------------------------------------------------------------


class Ladder:
    """Runs one delivery through `settle_with` and keeps who was called."""

    def __init__(self) -> None:
        self.refused: list[RefusedError] = []
        self.bugs: list[BaseException] = []

    async def run(self, delivery: Delivery, error: BaseException | None) -> None:
        async def handler(_: Delivery) -> None:
            if error is not None:
                raise error

        async def on_refused(_: Delivery, refused: RefusedError) -> None:
            self.refused.append(refused)

        await settle_with(delivery, handler, on_refused=on_refused, on_bug=self.bugs.append)


@pytest.fixture
async def delivery(bus: Bus, journal: Journal) -> AsyncIterator[Delivery]:
    await dispatch(journal, range(1, 2))
    hands = Hands(keep)
    loop = await PullLoop.start(bus, JOURNAL, "clerk", hands.take)
    (delivery,) = await hands.hold(1)
    await loop.pause()
    yield delivery
    assert loop.in_hand == 0, "every rung gives the place back"
    await loop.stop()


@pytest.mark.parametrize("error", [None, CancelledRunError("cancelled"), GrantDeniedError("no such grant")])
async def test_what_is_done_refused_or_stopped_is_acked(
    bus: Bus, delivery: Delivery, error: BaseException | None
) -> None:
    ladder = Ladder()

    await ladder.run(delivery, error)

    assert (await info(bus))["num_ack_pending"] == 0
    assert ladder.refused == ([error] if isinstance(error, RefusedError) else [])
    assert not ladder.bugs


async def test_what_may_succeed_later_is_given_back(bus: Bus, delivery: Delivery) -> None:
    await Ladder().run(delivery, BusUnavailableError("away"))

    hands = Hands()
    loop = await PullLoop.start(bus, JOURNAL, "clerk", hands.take)
    (again,) = await hands.hold(1)

    assert again.num_delivered == 2
    await loop.stop()


@pytest.mark.parametrize("error", [LeaseLostError("a newer holder owns the step"), ValueError("our bug")])
async def test_what_is_superseded_or_our_bug_is_not_touched(bus: Bus, delivery: Delivery, error: Exception) -> None:
    ladder = Ladder()

    await ladder.run(delivery, error)

    assert (await info(bus))["num_ack_pending"] == 1
    assert not delivery.is_settled
    assert ladder.bugs == ([error] if isinstance(error, ValueError) else [])


async def test_cancellation_passes_through_and_touches_nothing(bus: Bus, delivery: Delivery) -> None:
    with pytest.raises(asyncio.CancelledError):
        await Ladder().run(delivery, asyncio.CancelledError())

    assert (await info(bus))["num_ack_pending"] == 1


async def test_a_refusal_that_cannot_be_journaled_now_is_given_back(bus: Bus, delivery: Delivery) -> None:
    async def handler(_: Delivery) -> None:
        raise GrantDeniedError("no")

    async def on_refused(_: Delivery, __: RefusedError) -> None:
        raise BusUnavailableError("away")

    bugs: list[BaseException] = []
    await settle_with(delivery, handler, on_refused=on_refused, on_bug=bugs.append)

    assert not bugs
    assert delivery.is_settled
    assert (await info(bus))["num_ack_pending"] == 1


def test_the_backoff_grows_and_ends() -> None:
    assert [backoff_s(attempt) for attempt in (0, 1, 2, 3, 8, 9, 1000)] == [0.1, 0.1, 0.2, 0.4, 12.8, 15.0, 15.0]
