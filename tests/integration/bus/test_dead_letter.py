"""Dead letters: kept with their cause, and driven again as new tasks."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.bus import stream, subject, topology
from remit.bus.blob import Blobs
from remit.bus.consumer import Delivery, PullLoop
from remit.bus.dead_letter import DeadLetters, Pointer, undeliverable_of
from remit.bus.journal import Journal
from remit.bus.subject import DEAD, JOURNAL, TASKS
from remit.contracts.errors import Fault, NotFoundError
from remit.contracts.message import decode, encode, raw
from remit.contracts.step import RunStep
from remit.contracts.task import Limits, RunStarted, TaskRequest

if TYPE_CHECKING:
    from remit.bus.connection import Bus
    from remit.contracts.blob import BlobRef

CAUSE = Fault(code="RM-201", message="not valid JSON")
WORK = "remit.run.r5._.work.clerk.s.1"


@pytest.fixture
async def letters(bus: Bus) -> DeadLetters:
    await topology.ensure(bus, ["clerk"])
    return DeadLetters(bus)


def started(input_ref: BlobRef | None = None) -> RunStarted:
    return RunStarted(
        run_id="r5",
        workflow="support",
        goal="answer",
        goal_hash="sha256:0",
        input=raw({"ticket": 7}),
        input_ref=input_ref,
        charter="sha256:1",
        build="sha256:2",
        limits=Limits(wall_clock_s=60),
        started_at=datetime.now(UTC),
    )


async def task_of(bus: Bus, run: str) -> stream.Entry:
    return (await stream.at(bus, TASKS, int(run[1:]))) or pytest.fail("no task is stored")


async def test_a_dead_letter_is_listed_and_shown(letters: DeadLetters) -> None:
    pointer = Pointer(stream=JOURNAL, seq=3)
    seq = await letters.append(WORK, CAUSE, pointer)

    (listed,) = [letter async for letter in letters.list()]

    assert listed == await letters.show(seq)
    assert (listed.seq, listed.letter.subject, listed.letter.cause) == (seq, WORK, CAUSE)
    assert listed.letter.pointer == pointer


async def test_a_letter_about_a_very_long_subject_is_kept_under_its_digest(letters: DeadLetters) -> None:
    name = "remit.run." + "r" * 3400 + ".s.clerk-a1.1.failed"

    seq = await letters.append(name, CAUSE, Pointer(stream=JOURNAL, seq=3))

    assert (await letters.show(seq)).letter.subject == name


async def test_one_delivery_that_is_given_up_twice_is_kept_once(letters: DeadLetters) -> None:
    pointer = Pointer(stream=JOURNAL, seq=3)

    first, again = [await letters.append(WORK, CAUSE, pointer) for _ in range(2)]

    assert first == again
    assert len([letter async for letter in letters.list()]) == 1


async def test_an_unknown_number_is_not_found(letters: DeadLetters) -> None:
    for act in (letters.show, letters.redrive):
        with pytest.raises(NotFoundError):
            await act(99)


async def test_a_task_is_driven_again_from_the_body_that_was_kept(bus: Bus, letters: DeadLetters) -> None:
    seq = await letters.append("remit.task.support", CAUSE, Pointer(stream=TASKS, seq=1), body=b'{"goal": \xff')

    run = await letters.redrive(seq)

    task = await task_of(bus, run)
    assert (task.subject, task.data) == ("remit.task.support", b'{"goal": \xff')
    assert await letters.redrive(seq) == run, "a second wish within two minutes is the same one"


@pytest.mark.parametrize("kind", ["decision", "dispatch"])
async def test_the_task_behind_a_step_is_driven_again(bus: Bus, letters: DeadLetters, kind: str) -> None:
    journal = Journal(bus)
    if kind == "decision":
        await journal.append(subject.decision("r5", 1, "started"), encode(started()))
    else:
        await journal.append(WORK, encode(first_dispatch(started())))
    seq = await letters.append(WORK, CAUSE, Pointer(stream=JOURNAL, seq=1))

    task = await task_of(bus, await letters.redrive(seq))

    request = decode(TaskRequest, task.data)
    assert task.subject == "remit.task.support"
    assert (request.goal, json.loads(bytes(request.input)), request.wall_clock_s) == ("answer", {"ticket": 7}, 60)


def first_dispatch(start: RunStarted) -> RunStep:
    return RunStep(
        run_id="r5",
        step="s",
        epoch=1,
        role="clerk",
        goal="answer",
        goal_hash="sha256:0",
        contract="support.ticket.v1",
        deadline_at=datetime.now(UTC),
        rule="plan",
        body=start.input,  # a first dispatch carries the input once
        start=msgspec.structs.replace(start, input=msgspec.Raw(b"{}")),
    )


async def test_an_input_that_travelled_by_reference_comes_along(bus: Bus, letters: DeadLetters) -> None:
    ref = await Blobs(bus).put(b'{"ticket": "' + b"x" * 600_000 + b'"}')
    await Journal(bus).append(subject.decision("r5", 1, "started"), encode(started(ref)))
    seq = await letters.append(WORK, CAUSE, Pointer(stream=JOURNAL, seq=1))

    task = await task_of(bus, await letters.redrive(seq))

    assert len(bytes(decode(TaskRequest, task.data).input)) == ref.size_bytes


async def test_a_letter_with_nothing_behind_it_says_so(letters: DeadLetters) -> None:
    for original in (WORK, "remit.task.support", "something.else"):
        seq = await letters.append(original, CAUSE, Pointer(stream=JOURNAL, seq=len(original) + 70))
        with pytest.raises(NotFoundError):
            await letters.redrive(seq)


async def test_the_servers_notice_of_giving_up_is_kept_and_delivered(bus: Bus, letters: DeadLetters) -> None:
    """Nobody need listen at the moment when a consumer gives a message up."""
    answer = json.loads((await bus.request("$JS.API.CONSUMER.INFO.JOURNAL.clerk")).data)
    body = {"stream_name": JOURNAL, "action": "update", "config": answer["config"] | {"max_deliver": 2}}
    await bus.request("$JS.API.CONSUMER.CREATE.JOURNAL.clerk", msgspec.json.encode(body))
    work = await PullLoop.start(bus, JOURNAL, "clerk", lambda delivery: delivery.nak())
    seq = await Journal(bus).append(WORK, b"")
    got: asyncio.Queue[Delivery] = asyncio.Queue()

    notices = await PullLoop.start(bus, DEAD, topology.SUPERVISOR, got.put_nowait)
    notice = await asyncio.wait_for(got.get(), 10)

    found = undeliverable_of(notice.data)
    assert (found.stream, found.consumer, found.stream_seq, found.deliveries) == (JOURNAL, "clerk", seq, 2)
    assert [letter async for letter in letters.list()] == [], "a notice is no letter yet"
    for loop in (work, notices):
        await loop.stop()
