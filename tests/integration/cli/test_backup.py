"""A deployment is copied while it works, destroyed, and put back: it goes on, and what it does not know it says."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from msgspec import json, structs
from structlog.testing import capture_logs

from remit import backup, logs, places
from remit.bus import permission, stream, subject, topology
from remit.bus.blob import Blobs
from remit.bus.connection import Bus
from remit.bus.embedded import EmbeddedServer
from remit.bus.journal import Journal
from remit.bus.snapshot import Snapshots
from remit.bus.subject import JOURNAL, RESULTS, TASKS
from remit.cli.main import main
from remit.client import Client
from remit.contracts.control import DecideReview
from remit.contracts.errors import BusRefusedError, ConflictError, EnvironmentFaultError, EvidenceBrokenError
from remit.contracts.message import encode
from remit.contracts.task import RunFinished, TaskRequest
from tests.integration.cli import desk as desks
from tests.integration.cli.conftest import NOW, Deployment
from tests.integration.cli.desk import Desk, Ticket
from tests.integration.durable.house import charter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from remit.bus.permission import Permissions
    from remit.contracts.blob import BlobRef
    from tests.conftest import NatsServer


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(places.HOME, str(tmp_path / "home"))
    monkeypatch.setattr(logs, "configure", lambda: None)  # it would be for every test of this process
    monkeypatch.delenv(places.CURRENT, raising=False)


@asynccontextmanager
async def office(url: str, bus: Bus, folder: Path) -> AsyncIterator[Desk]:
    desk = Desk(url, bus, desks.team, rules=charter(desks.team), data=folder)
    desk.world = desks.WORLD
    try:
        await desk.open()
        yield desk
    finally:
        await desk.close()
    assert desk.bugs == []


async def test_a_team_goes_on_from_its_backup_and_repeats_nothing_of_it(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    desks.WORLD.__init__()  # type: ignore[misc]  # the tools know it by name
    desks.WORLD.may_end.set()
    place, folder = desks.place(nats_server.url, tmp_path), tmp_path / "backup"
    async with office(nats_server.url, bus, tmp_path) as desk:
        over = await desk.submit("ticket", Ticket(text="hello"))
        first = await desk.outcome(over)
        waiting = await desk.submit("ticket", Ticket(text="ask"))
        review = await desk.opened(waiting)
        await backup.backup(place, bus, folder)
        before, effects = await desk.journal.whole(waiting), dict(desks.WORLD.sent)
        late = await desk.submit("bare", Ticket(text="late"))
        assert (await desk.outcome(late)).outcome == "complete"
    nats_server.kill()
    shutil.rmtree(nats_server.folder / "js")
    await nats_server.start()
    again = await Bus.connect(nats_server.url, name="again")

    restored = await backup.restore(folder, backup.read(folder), again, until=8)
    oldest = await Snapshots(again).oldest_open_seq()
    await topology.ensure(again, list(desks.team.roles))
    async with office(nats_server.url, again, tmp_path) as desk:
        assert await desk.journal.whole(waiting) == before
        await desk.told("decide", DecideReview(review_id=review.review_id, subject=review.subject, decision="approved"))
        outcome, lost = await desk.outcome(waiting), await desk.outcome(late)
        new = await desk.submit("ticket", Ticket(text="new"))

        assert (first.outcome, outcome.outcome) == ("complete", "complete")
        assert (await desk.outcome(new)).outcome == "complete"
        assert await desk.outcome(over) == first
    assert restored.open_runs == (waiting,)
    assert restored.newest == waiting
    assert (late, "r8", new) == (restored.lost[0], restored.lost[-1], restored.next)
    assert (lost.outcome, lost.error and lost.error.code) == ("refused", "RM-219")
    assert {name: desks.WORLD.sent[name] for name in effects} == effects, "what the backup knows of is not done again"
    assert oldest == before[0].seq
    await again.close()


async def test_the_commands_put_back_what_was_destroyed_under_the_deployments_own_identities(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, folder = places.data_directory("t"), tmp_path / "copy"
    with EmbeddedServer.start(data) as server:
        place, ref, entries = await fill(server, data)
    with capture_logs():
        saved = await _remit("backup", str(folder))
        shutil.rmtree(data)
        put_back = await _remit("restore", str(folder), "--until", "r6")
        refused = await _remit("restore", str(folder))
    assert (saved, put_back, refused) == (0, 0, 2), capsys.readouterr()

    said = capsys.readouterr().out
    places.check_whole(data)
    with EmbeddedServer.start(data) as server:
        bus = await connect(server, "topology", permission.topology_permissions())
        await topology.ensure(bus, ["clerk"])
        reader = await connect(server, "supervisor", permission.supervisor_permissions())
        journal = Journal(reader)
        now = [entry async for entry in journal.read("remit.run.>")]
        blob, tasks = await Blobs(reader).get(ref), await stream.at(reader, TASKS, 3)
        results = await stream.last(reader, RESULTS, subject.result("r1"))
        ack = await stream.store(reader, subject.task("ticket"), encode(TaskRequest(goal="next")))
        for one in (bus, reader):
            await one.close()
    assert now[: len(entries)] == entries
    assert [entry.subject for entry in now[len(entries) :]] == [
        subject.decision(f"r{n}", 1, "finished") for n in (4, 5, 6)
    ]
    assert blob == b"large" * 100_000
    assert tasks is not None
    assert results is not None
    assert ack.seq == 7
    assert "1 open runs, 3 tasks that wait; newest run r3" in said
    assert "of the names r4 to r6 each has an outcome" in said
    assert place.name == "t"


async def connect(server: EmbeddedServer, name: str, permissions: Permissions) -> Bus:
    credentials = server.authority.issue(name, permissions=permissions)
    return await Bus.connect(server.url, name=name, credentials=credentials)


async def _remit(*words: str) -> int:
    return await asyncio.to_thread(main, list(words))


async def fill(server: EmbeddedServer, data: Path) -> tuple[places.Place, BlobRef, list[object]]:
    top = await connect(server, "topology", permission.topology_permissions())
    await topology.ensure(top, ["clerk"])
    bus = await connect(server, "supervisor", permission.supervisor_permissions())
    credentials = data / "credentials"
    credentials.mkdir(exist_ok=True)
    for name, rights in (
        ("operator", permission.operator_permissions("operator")),
        ("publisher", permission.publisher_permissions("publisher")),
    ):
        server.authority.issue(name, permissions=rights).write(credentials / f"{name}.creds")
    place = places.Place(
        name="t",
        url=server.url,
        team="t",
        team_ref="t",
        data=str(data),
        publisher=str(credentials / "publisher.creds"),
        operator=str(credentials / "operator.creds"),
    )
    places.write(place)
    made = Deployment(Client(place, bus))
    await made.finished(await made.started("over"))
    await made.started("open")
    await made.task("waits")
    ref = await Blobs(bus).put(b"large" * 100_000)
    entries: list[object] = [entry async for entry in Journal(bus).read("remit.run.>")]
    while await stream.last(bus, RESULTS, subject.result("r1")) is None:
        await bus.flush()  # a copy that the server makes
    for one in (top, bus):
        await one.close()
    return place, ref, entries


async def test_what_was_damaged_or_would_overwrite_something_is_refused(
    bus: Bus, tmp_path: Path, nats_url: str
) -> None:
    await topology.ensure(bus, ["clerk"])
    finished = RunFinished(run_id="r1", workflow="w", outcome="complete", finished_at=NOW)
    await Journal(bus).append(subject.decision("r1", 1, "finished"), encode(finished))
    place, folder = desks.place(nats_url, tmp_path), tmp_path / "copy"
    manifest = await backup.backup(place, bus, folder)

    with pytest.raises(ConflictError):
        await backup.backup(place, bus, folder)
    with pytest.raises(ConflictError):
        await backup.restore(folder, manifest, bus)
    file = folder / f"{JOURNAL}.stream"
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(EvidenceBrokenError):
        backup.read(folder)
    (folder / backup.MANIFEST).write_text("{}")
    with pytest.raises(EvidenceBrokenError):
        backup.read(folder)


async def test_a_backup_that_lacks_a_stream_or_broke_off_is_none(bus: Bus, tmp_path: Path, nats_url: str) -> None:
    await topology.ensure(bus, ["clerk"])
    place, folder = desks.place(nats_url, tmp_path), tmp_path / "copy"
    manifest = await backup.backup(place, bus, folder)
    lacking = structs.replace(manifest, streams=manifest.streams[1:])
    (folder / backup.MANIFEST).write_bytes(json.encode(lacking))
    with pytest.raises(EvidenceBrokenError, match=TASKS):
        backup.read(folder)

    await stream.api(bus, "STREAM.DELETE", subject.BLOB_STREAM)
    with pytest.raises(BusRefusedError):
        await backup.backup(place, bus, tmp_path / "broken")
    assert [path.name for path in tmp_path.iterdir() if "broken" in path.name] == []


async def test_no_name_that_the_journal_knows_is_given_again_whatever_until_says(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    """The journal is copied after the tasks: it may know runs that they do not."""
    await topology.ensure(bus, ["clerk"])
    await stream.store(bus, subject.task("ticket"), encode(TaskRequest(goal="first")))
    for number in (1, 2, 3):
        await Journal(bus).append(subject.decision(f"r{number}", 1, "started"), b"{}")
    folder = tmp_path / "copy"
    await backup.backup(desks.place(nats_server.url, tmp_path), bus, folder)
    nats_server.kill()
    shutil.rmtree(nats_server.folder / "js")
    await nats_server.start()
    again = await Bus.connect(nats_server.url, name="again")

    restored = await backup.restore(folder, backup.read(folder), again, until=2)

    assert (restored.newest, restored.lost, restored.next) == ("r3", (), "r4")
    await again.close()


def test_nothing_starts_where_a_restore_was_cut_off(tmp_path: Path) -> None:
    data = tmp_path / "data"
    backup.restore_files(tmp_path, data)
    with pytest.raises(EnvironmentFaultError, match="cut off"):
        places.check_whole(data)
    backup.restore_files(tmp_path, data)
    places.restored(data)
    places.check_whole(data)


@pytest.mark.parametrize(
    ("names", "said"), [((), ""), (("r1",), "r1"), (("r1", "r2", "r5", "r7", "r8"), "r1 to r2, r5, r7 to r8")]
)
def test_names_are_said_in_short(names: tuple[str, ...], said: str) -> None:
    assert backup.ranges(names) == said
