"""A lease is revoked: the gateway begins nothing more under it, ends what runs, and journals what became of that."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from remit.bus import subject
from remit.bus.journal import Fence
from remit.contracts.errors import CallCutOffError
from remit.contracts.lease import LeaseRevoked, Resolution
from remit.contracts.message import encode, raw
from remit.contracts.step import Superseded
from remit.contracts.tool import ToolAnswered
from tests.alive import gone, lives
from tests.integration.tools.conftest import AGENT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import NatsServer
    from tests.integration.tools.conftest import Floor

WITHIN_S = 1.0
SOON_S = 10.0
PROGRAM = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
with open("pids", "w") as file:
    print(os.getpid(), child.pid, file=file, flush=True)
time.sleep(60)
"""


async def journal(floor: Floor, *, ends_calls: bool, lease_seq: int, epoch: int = 1) -> LeaseRevoked:
    """The supervisor's entry stands; nobody was told yet."""
    notice = LeaseRevoked(
        run_id="r1", step="s", epoch=epoch, agent=AGENT, reason="cancelled by ann", ends_calls=ends_calls
    )
    fence = Fence(subject.lease_lane("r1", "s"), lease_seq)
    await floor.journal.append(subject.lease_revoked("r1", "s", epoch), encode(notice), fence=fence)
    return notice


async def revoke(floor: Floor, *, ends_calls: bool, lease_seq: int) -> None:
    notice = await journal(floor, ends_calls=ends_calls, lease_seq=lease_seq)
    await floor.bus.publish(subject.stop("r1"), encode(notice))


async def test_without_any_notice_the_server_refuses_every_further_call(floor: Floor) -> None:
    await floor.gateway()
    seq = await floor.lease()
    assert isinstance(await floor.call("look", "0", what="warm"), ToolAnswered)

    await journal(floor, ends_calls=True, lease_seq=seq)
    answers = [await floor.call("fax", position, what="a") for position in ("1", "2", "3-0-1")]

    assert all(isinstance(answer, Superseded) for answer in answers)
    assert floor.effects.all == ["warm"]
    assert await floor.entries() == ["0.called", "0.returned"]


async def test_a_notice_ends_further_calls_before_the_journal_is_asked(floor: Floor) -> None:
    await floor.gateway()
    seq = await floor.lease()
    assert isinstance(await floor.call("look", "0", what="warm"), ToolAnswered)

    await revoke(floor, ends_calls=False, lease_seq=seq)
    answer = await floor.call("look", "0", what="warm")  # even what is known
    async with asyncio.timeout(SOON_S):
        while answer == Superseded(reason="the lane moved on"):  # the notice is on its way: the server refuses
            answer = await floor.call("look", "0", what="warm")

    assert answer == Superseded(reason="cancelled by ann")


@pytest.mark.parametrize(("tool", "outcome"), [("look", "returned"), ("charge", "returned"), ("fax", "in_doubt")])
async def test_a_call_that_runs_is_cut_off_and_its_class_says_what_is_known(
    floor: Floor, tool: str, outcome: str
) -> None:
    await floor.gateway()
    seq = await floor.lease()
    await floor.effects.hold("hit")
    asking = asyncio.create_task(floor.call(tool, what="a"))
    await floor.effects.seen("hit")

    await revoke(floor, ends_calls=True, lease_seq=seq)
    answer = await asyncio.wait_for(asking, WITHIN_S)

    assert answer == Superseded(reason="cancelled by ann")
    assert await floor.entries() == ["0.called", f"0.{outcome}"]
    if outcome == "in_doubt":
        assert "cancelled by ann" in (await floor.doubt()).reason
    else:
        error = (await floor.returned()).error
        assert error is not None
        assert error.code == CallCutOffError.code


@pytest.mark.parametrize(("moment", "happened"), [("arrive", False), ("depart", True)])
async def test_a_call_with_a_lookup_is_asked_whether_it_happened(
    floor: Floor,
    moment: str,
    happened: bool,  # noqa: FBT001
) -> None:
    await floor.gateway()
    seq = await floor.lease()
    await floor.effects.hold(moment)
    asking = asyncio.create_task(floor.call("mail", what="a"))
    await floor.effects.seen(moment)

    await revoke(floor, ends_calls=True, lease_seq=seq)
    await asyncio.wait_for(asking, WITHIN_S)

    returned = await floor.returned()
    assert (bytes(returned.value) == b'"A"', returned.error is None) == (happened, happened)


async def test_a_call_that_runs_may_finish_where_the_notice_says_so(floor: Floor) -> None:
    await floor.gateway()
    seq = await floor.lease()
    await floor.effects.hold("hit")
    asking = asyncio.create_task(floor.call("fax", "0", what="a"))
    await floor.effects.seen("hit")

    await revoke(floor, ends_calls=False, lease_seq=seq)
    further = await floor.call("fax", "1", what="b")
    await floor.effects.release()

    assert isinstance(further, Superseded)
    assert isinstance(await asking, Superseded)
    assert (await floor.returned()).value == raw("A")
    assert floor.effects.all == ["a"]


async def test_a_program_and_its_children_are_gone(floor: Floor, tmp_path: Path) -> None:
    """The program does not heed SIGTERM."""
    await floor.gateway()
    seq = await floor.lease()
    asking = asyncio.create_task(floor.call("run.program", code=PROGRAM))
    pids = await started(tmp_path / "data" / "scratch" / "r1" / "pids")
    assert all(map(lives, pids))

    await revoke(floor, ends_calls=True, lease_seq=seq)

    await gone(pids, WITHIN_S)
    assert isinstance(await asking, Superseded)
    assert await floor.entries() == ["0.called", "0.in_doubt"]


async def test_the_next_holder_makes_a_call_that_was_cut_off_again(floor: Floor) -> None:
    await floor.gateway()
    seq = await floor.lease()
    await floor.effects.hold("hit")
    asking = asyncio.create_task(floor.call("charge", what="a"))
    await floor.effects.seen("hit")
    await revoke(floor, ends_calls=True, lease_seq=seq)
    await asking
    await floor.effects.release()

    again = Resolution(position="0", decision="retry")
    await floor.lease(epoch=2, agent="clerk-b2", resolutions=(again,))
    answer = await floor.call("charge", epoch=2, agent="clerk-b2", what="a")

    assert answer == ToolAnswered(value=raw("A"))
    assert await floor.entries() == ["0.called", "0.returned", "0r1.called", "0r1.returned"]


async def test_a_gateway_that_did_not_hear_looks_it_up_when_the_bus_is_back(
    floor: Floor, nats_server: NatsServer
) -> None:
    await floor.gateway()
    seq = await floor.lease()
    await floor.effects.hold("hit")
    asking = asyncio.create_task(floor.call("fax", what="a"))
    await floor.effects.seen("hit")
    await journal(floor, ends_calls=True, lease_seq=seq)

    nats_server.kill()
    await asyncio.wait({asking})
    await nats_server.start()

    await floor.stored("in_doubt")
    assert asking.exception() is not None


async def test_the_calls_of_another_epoch_go_on(floor: Floor) -> None:
    await floor.gateway()
    await floor.lease()
    await floor.lease(epoch=2, agent="clerk-b2")
    await floor.effects.hold("hit")
    asking = asyncio.create_task(floor.call("fax", epoch=2, agent="clerk-b2", what="a"))
    await floor.effects.seen("hit")

    notice = LeaseRevoked(run_id="r1", step="s", epoch=1, agent=AGENT, reason="late", ends_calls=True)
    await floor.bus.publish(subject.stop("r1"), encode(notice))
    await floor.bus.flush()
    await floor.effects.release()

    assert await asking == ToolAnswered(value=raw("A"))


async def started(file: Path) -> list[int]:
    async with asyncio.timeout(SOON_S):
        while not file.exists() or not file.read_text().endswith("\n"):
            await asyncio.sleep(0.01)  # another process writes it
    return [int(word) for word in file.read_text().split()]
