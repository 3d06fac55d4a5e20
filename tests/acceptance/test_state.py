"""Shared state under four processes while the supervisor and nats-server are killed: nothing is lost or made up."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
import psutil
import pytest

from remit.bus.journal import Journal
from remit.bus.submit import TaskClient
from remit.contracts.message import decode, encode
from remit.contracts.proposal import StateCommitted
from remit.contracts.task import RunFinished
from tests.acceptance.conftest import TEAMS, deployed
from tests.linearizability import Operation, Register, Swap, Versioned, check

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.acceptance.conftest import World

CLIENTS = 4
OPERATIONS = int(os.environ.get("REGISTER_OPERATIONS", "4000"))
"""Of all clients together; 20,000 by hand."""
ADDITIONS = int(os.environ.get("REGISTER_ADDITIONS", "1000"))
"""Of all processes together; 10,000 by hand."""
REGISTERS = 5
KILLS = 2


class Line(msgspec.Struct):
    """One operation as its client wrote it down."""

    register: str
    client: int
    kind: str
    called_ns: int
    expected: int = 0
    value: str = ""
    returned_ns: int = 0
    is_done: bool = False
    version: int = 0
    seen: str = ""

    def operation(self) -> Operation:
        """Give it as the checker takes it."""
        result: Versioned | Swap | None = None
        if self.returned_ns and self.kind == "read":
            result = Versioned(self.seen if self.version else None, self.version)
        elif self.returned_ns:
            result = Swap(self.is_done, self.version)
        return Operation(
            client=self.client,
            called_ns=self.called_ns,
            returned_ns=self.returned_ns or None,
            kind="cas" if self.kind == "cas" else "read",
            expected_version=self.expected,
            value=self.value or None,
            result=result,
        )


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with deployed(TEAMS / "register", "register", home=tmp_path / "home", monkeypatch=monkeypatch) as world:
        yield world


async def sessions(world: World, workflow: str, operations: int, log: Path) -> list[str]:
    tasks = TaskClient(world.publisher)
    given = {"operations": operations, "registers": REGISTERS, "log": str(log)}
    return [
        await tasks.submit(workflow, encode({"goal": workflow, "input": given | {"client": client}}))
        for client in range(CLIENTS)
    ]


async def ended(world: World, runs: list[str]) -> list[str]:
    tasks = TaskClient(world.publisher)
    outcomes = await asyncio.gather(*(tasks.outcome(run, 550) for run in runs))
    return [decode(RunFinished, outcome).outcome for outcome in outcomes]


def lines(log: Path) -> list[Line]:
    """Give every operation once: with its answer if one was written down."""
    found: dict[tuple[int, int], Line] = {}
    for file in sorted(log.iterdir()):
        for text in file.read_bytes().splitlines():
            line = msgspec.json.decode(text, type=Line)
            found[line.client, line.called_ns] = line
    return list(found.values())


async def kill_in_the_middle(world: World, log: Path) -> int:
    """Kill the supervisor and nats-server in turn, each time when some more operations were made."""
    killed, step = 0, OPERATIONS // (2 * KILLS + 1)
    for number in range(2 * KILLS):
        while len(lines(log)) < (number + 1) * step:
            await asyncio.sleep(0.1)  # the clients tell nobody how far they are
        victims = world.processes("SupervisorActor") if number % 2 == 0 else world.servers()
        with suppress(psutil.NoSuchProcess):
            victims[0].kill()
            killed += 1
    return killed


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_registers_are_linearizable_while_supervisor_and_server_are_killed(world: World, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.mkdir()

    runs = await sessions(world, "swap", OPERATIONS // CLIENTS, log)
    killed = await kill_in_the_middle(world, log)
    outcomes = await ended(world, runs)
    history = lines(log)

    assert outcomes == ["complete"] * CLIENTS
    assert killed == 2 * KILLS
    assert sorted(file.name for file in log.iterdir()) == [f"{client}-1.jsonl" for client in range(CLIENTS)]
    assert len(history) == OPERATIONS
    succeeded = sum(line.kind == "read" or line.is_done for line in history if line.returned_ns)
    assert succeeded >= 0.6 * OPERATIONS
    by_register = defaultdict(list)
    for line in history:
        by_register[line.register].append(line.operation())
    assert {name: check(operations, Register()) for name, operations in by_register.items()} == dict.fromkeys(
        by_register
    )
    print(f"{len(history)} operations, {succeeded} succeeded, {killed} kills, {len(by_register)} registers")  # noqa: T201


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_no_increment_and_no_union_of_four_processes_is_lost(world: World, tmp_path: Path) -> None:
    each = ADDITIONS // 2 // CLIENTS  # one proposal adds to both

    outcomes = await ended(world, await sessions(world, "add", each, tmp_path))
    last = await Journal(world.operator).get("remit.state.team.shared.*")

    assert outcomes == ["complete"] * CLIENTS
    assert last is not None
    version = decode(StateCommitted, last.data)
    shared = msgspec.json.decode(version.value)
    assert version.version == each * CLIENTS
    assert shared["total"] == each * CLIENTS
    assert shared["marks"] == sorted(shared["marks"])
    assert set(shared["marks"]) == {client * 1_000_000 + n for client in range(CLIENTS) for n in range(each)}
