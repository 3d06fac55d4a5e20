"""A client of a deployment whose supervisor is the test itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from remit import logs, places
from remit.bus import subject, topology
from remit.bus.stream import store
from remit.client import Client
from remit.contracts.message import digest_of, encode, raw
from remit.contracts.review import ReviewDecided, ReviewOpened
from remit.contracts.step import RunStep
from remit.contracts.task import Limits, RunFinished, RunStarted, TaskRequest
from tests.integration.cli import desk as desks
from tests.integration.cli.desk import Desk
from tests.integration.durable.house import charter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import msgspec

    from remit.bus.connection import Bus

NOW = datetime.now(UTC)


class Deployment:
    """Tasks in, and the entries that a supervisor would make of them."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.bus = client.bus

    async def task(self, goal: str) -> str:
        ack = await store(self.bus, subject.task("ticket"), encode(TaskRequest(goal=goal)))
        return f"r{ack.seq}"

    async def started(self, goal: str) -> str:
        run = await self.task(goal)
        start = RunStarted(
            run_id=run,
            workflow="ticket",
            goal=goal,
            goal_hash="sha256:g",
            charter="sha256:c",
            build="sha256:b",
            limits=Limits(),
            started_at=NOW,
        )
        work = RunStep(
            run_id=run,
            step="ticket",
            epoch=1,
            role="clerk",
            goal=goal,
            goal_hash="sha256:g",
            contract="t.t.v1",
            deadline_at=NOW + timedelta(hours=1),
            rule="plan",
            start=start,
        )
        await self.append(subject.work(run, role="clerk", step="ticket", epoch=1), work)
        return run

    async def finished(self, run: str) -> None:
        finished = RunFinished(run_id=run, workflow="ticket", outcome="complete", finished_at=NOW)
        await self.append(subject.decision(run, 9, "finished"), finished)

    async def opened(self, run: str, *, shown: object = None, approves: str = "") -> str:
        action = {"tool": "send_mail", "arguments": {"to": "a@b.c"}}
        opened = ReviewOpened(
            review_id=f"{run}-v1",
            run_id=run,
            step="ticket",
            position="0",
            kind="action",
            title="send_mail(to=…)",
            subject=approves or digest_of(action),
            body=raw(shown or action),
            role="clerk",
            goal_hash="sha256:g",
            opened_at=NOW,
        )
        await self.append(subject.decision(run, 1, "review_opened"), opened)
        return opened.review_id

    async def decided(self, run: str) -> None:
        decided = ReviewDecided(
            review_id=f"{run}-v1", run_id=run, decision="rejected", subject="s", by="ada", decided_at=NOW
        )
        await self.append(subject.decision(run, 2, "review_decided"), decided)

    async def append(self, where: str, message: msgspec.Struct) -> None:
        await self.client.journal.append(where, encode(message))


@pytest.fixture
async def deployment(bus: Bus) -> Deployment:
    await topology.ensure(bus, ["clerk"])
    place = places.Place(
        name="t", url="nats://127.0.0.1:1", team="t", team_ref="t", data="/nowhere", publisher="", operator=""
    )
    return Deployment(Client(place, bus))


@pytest.fixture
async def desk(
    nats_url: str, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Desk]:
    monkeypatch.setenv(places.HOME, str(tmp_path / "home"))
    monkeypatch.setattr(logs, "configure", lambda: None)  # it would be for every test of this process
    monkeypatch.delenv(places.CURRENT, raising=False)
    desks.WORLD.__init__()  # type: ignore[misc]  # the tools know it by name
    desk = Desk(nats_url, bus, desks.team, rules=charter(desks.team), data=tmp_path)
    desk.capture, desk.world = capsys, desks.WORLD
    desks.place(nats_url, tmp_path)
    with capture_logs():  # what is printed is the command's
        try:
            await desk.open()
            yield desk
        finally:
            desks.WORLD.may_end.set()
            await desk.close()
    assert desk.bugs == []
