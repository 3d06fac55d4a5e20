"""What a client sees: a run for every task, exactly one outcome, whichever comes first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from remit.bus import subject, submit, topology
from remit.bus.connection import Bus
from remit.bus.journal import Fence, Journal
from remit.bus.submit import TaskClient
from remit.bus.task_queue import TaskQueue
from remit.contracts.errors import (
    AnswerTimeoutError,
    BusUnavailableError,
    MalformedMessageError,
    NoRespondersError,
    TooLargeError,
)
from remit.contracts.ids import run_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remit.bus.consumer import Delivery
    from tests.conftest import Eventually, NatsServer


class Team:
    """Finishes every task at once: the fastest team there can be."""

    def __init__(self, bus: Bus) -> None:
        self._journal = Journal(bus)
        self._work: set[asyncio.Task[None]] = set()
        self.may_work = asyncio.Event()
        self.may_work.set()

    def take(self, delivery: Delivery) -> None:
        task = asyncio.get_running_loop().create_task(self._finish(delivery))
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _finish(self, delivery: Delivery) -> None:
        await self.may_work.wait()
        run = run_id(delivery.stream_seq)
        await self._journal.append(
            subject.decision(run, 2, "finished"), b"done " + delivery.data, fence=Fence(subject.lane(run), 0)
        )
        delivery.ack()


@pytest.fixture
async def team(nats_server: NatsServer) -> AsyncIterator[Team]:
    bus = await Bus.connect(nats_server.url, name="team")
    await topology.ensure(bus, [])
    team = Team(bus)
    queue = TaskQueue(bus, ["support"], lambda _workflow, delivery: team.take(delivery))
    await queue.start()
    yield team
    await queue.stop()
    await bus.close()


@pytest.fixture
def client(team: Team, bus: Bus) -> TaskClient:
    return TaskClient(bus)


async def test_a_task_gets_a_run_and_the_run_its_outcome(client: TaskClient) -> None:
    run = await client.submit("support", b"task")

    assert run == "r1"
    assert await client.outcome(run, 5) == b"done task"


async def test_a_thousand_tasks_get_their_own_outcomes(client: TaskClient) -> None:
    async def one(number: int) -> bytes:
        return await client.outcome(await client.submit("support", str(number).encode()), 20)

    outcomes = await asyncio.gather(*map(one, range(1000)))

    assert outcomes == [f"done {number}".encode() for number in range(1000)]


async def test_many_first_tasks_at_once_are_heard_on_one_subscription(client: TaskClient) -> None:
    handlers = client._bus._wire.handlers
    before = len(handlers)

    await asyncio.gather(*(client.submit("greet", b"{}") for _ in range(20)))

    assert len(handlers) == before + 1


async def test_outcomes_may_be_awaited_long_after_all_were_submitted(client: TaskClient) -> None:
    runs = [await client.submit("support", str(number).encode()) for number in range(200)]

    outcomes = [await client.outcome(run, 5) for run in reversed(runs)]

    assert outcomes == [f"done {number}".encode() for number in reversed(range(200))]


async def test_an_outcome_that_was_heard_needs_no_server_any_more(
    client: TaskClient, nats_server: NatsServer, eventually: Eventually
) -> None:
    run = await client.submit("support", b"x")

    async def is_heard() -> bool:
        return run in client._kept

    await eventually(is_heard)
    nats_server.kill()

    assert await client.outcome(run, 5) == b"done x"


async def test_an_outcome_can_be_asked_for_again_and_by_others(client: TaskClient, bus: Bus) -> None:
    run = await client.submit("support", b"x")
    await client.outcome(run, 5)

    assert await client.outcome(run, 5) == b"done x"
    assert await TaskClient(bus).outcome(run, 5) == b"done x"
    assert set(await asyncio.gather(client.outcome(run, 5), client.outcome(run, 5))) == {b"done x"}


async def test_an_outcome_that_was_not_kept_is_read_from_the_server(
    client: TaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "KEPT_OUTCOMES", 3)
    runs = [await client.submit("support", str(number).encode()) for number in range(20)]

    outcomes = [await client.outcome(run, 5) for run in runs]

    assert outcomes == [f"done {number}".encode() for number in range(20)]
    assert len(client._kept) <= 3


async def test_two_may_wait_for_one_run_and_one_may_give_up(client: TaskClient, team: Team) -> None:
    team.may_work.clear()
    run = await client.submit("support", b"x")
    patient = asyncio.create_task(client.outcome(run, 20))
    with pytest.raises(AnswerTimeoutError) as caught:
        await client.outcome(run, 0.05)

    team.may_work.set()

    assert await patient == b"done x"
    assert caught.value.where == run
    assert not client._asked


async def test_the_same_message_id_is_the_same_run_within_one_workflow(client: TaskClient) -> None:
    first = await client.submit("support", b"x", message_id="order-7")

    assert await client.submit("support", b"x", message_id="order-7") == first
    assert await client.submit("audit", b"x", message_id="order-7") != first
    assert await client.submit("support", b"x") != first


async def test_a_body_above_the_limit_is_refused_before_it_is_sent(client: TaskClient) -> None:
    with pytest.raises(TooLargeError):
        await client.submit("support", b"x" * 2 * 1024 * 1024)

    assert await client.submit("support", b"small") == "r1"


@pytest.mark.parametrize("workflow", ["", "two words", "a.b", "a\r\nPUB b 0", "*", ">", "Große"])
async def test_a_workflow_that_is_no_name_is_refused_before_it_is_sent(client: TaskClient, workflow: str) -> None:
    with pytest.raises(MalformedMessageError):
        await client.submit(workflow, b"{}")


async def test_where_no_team_ever_was_submitting_says_what_to_do(bus: Bus) -> None:
    with pytest.raises(NoRespondersError) as caught:
        await TaskClient(bus).submit("support", b"{}")

    assert "remit up" in caught.value.fix


async def test_a_server_that_is_gone_is_a_coded_error_and_the_outcome_comes_after_it_is_back(
    nats_server: NatsServer, client: TaskClient, team: Team
) -> None:
    team.may_work.clear()
    run = await client.submit("support", b"x")
    waiting = asyncio.create_task(client.outcome(run, 60))
    nats_server.kill()

    with pytest.raises(BusUnavailableError):
        await client.submit("support", b"y", timeout_s=0.1)
    await nats_server.start()
    team.may_work.set()

    assert await waiting == b"done x"
