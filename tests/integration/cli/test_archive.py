"""Runs that are over leave the journal for files; what is cut off on the way is harmless."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit import archive, places
from remit.archive import Archivist, Choice, Refused
from remit.archive_index import ArchiveIndex
from remit.bus import seal, stream, subject, topology
from remit.bus.identity import Credentials, NKey
from remit.bus.journal import Results
from remit.bus.subject import JOURNAL
from remit.client import Client
from remit.contracts.control import ForkRun
from remit.contracts.document import TEAM_SCOPE
from remit.contracts.message import encode
from remit.contracts.proposal import StateCommitted
from remit.contracts.task import ForkOrigin
from remit.supervisor.change import FORK_KEY
from remit.supervisor.forks import ForkWish
from tests.integration.cli.desk import Desk, Ticket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from remit.bus.journal import Entry

NOW = timedelta()


@pytest.fixture
async def client(desk: Desk, tmp_path: Path) -> AsyncIterator[Client]:
    """Of a deployment whose charter keeps nothing, and whose archivist's credentials are where they belong."""
    place = places.current()
    folder = Path(place.data) / "credentials"
    folder.mkdir(parents=True)
    Credentials(jwt="x", seed=NKey.generate().seed).write(folder / archive.CREDENTIALS)
    await desk.remit("init", str(tmp_path / "support"))
    rules = tmp_path / "support" / "charter.yaml"
    rules.write_text(rules.read_text() + "retention_days: 0\n")
    places.write(
        places.Place(
            **{name: getattr(place, name) for name in place.__struct_fields__}
            | {"team_ref": str(rules.with_name("team.py"))}
        )
    )
    async with await Client.connect(places.current()) as client:
        yield client


async def over(desk: Desk, text: str = "hello") -> str:
    desk.world.may_end.set()
    run = await desk.submit("ticket", Ticket(text=text))
    assert (await desk.outcome(run)).outcome == "complete"
    await desk.until(lambda: desk.supervisor.runs.get(run) is None)
    async with asyncio.timeout(10):
        while await Results(desk.bus).get(run) is None:
            await asyncio.sleep(0.01)  # a copy that the server makes
    return run


async def held(desk: Desk, run: str) -> list[str]:
    return [entry.subject for entry in await desk.journal.whole(run)]


async def archivist(client: Client, kind: type[Archivist] = Archivist) -> Archivist:
    return await kind.connect(client)


async def test_runs_that_are_over_stand_in_a_file_and_not_in_the_journal(desk: Desk, client: Client) -> None:
    runs = [await over(desk) for _ in range(3)]
    before = {run: await desk.journal.whole(run) for run in runs}
    waiting, _review = await desk.asking()

    said = await desk.remit("run", "archive", "--older-than", "0d", "--yes", "-o", "json")

    assert said.code == 0, said.err
    assert [await held(desk, run) for run in runs] == [[], [], []]
    assert await held(desk, waiting) != []
    [file] = said.data["files"]
    found = seal.read(Path(file), key=said.data["key"])
    assert {run.run: [*run.entries] for run in found.runs} == before
    assert any(subject.parse_state(entry.subject) for entry in before[runs[0]])


async def test_what_was_archived_can_be_shown_and_verified_and_is_not_called_unknown(
    desk: Desk, client: Client
) -> None:
    run = await over(desk, "what became of it")
    shown = await desk.remit("run", "show", run)
    archived = await desk.remit("run", "archive", run, "--older-than", "0d", "--yes", "-o", "json")
    [file] = archived.data["files"]

    gone = await desk.remit("run", "show", run)
    from_file = await desk.remit("run", "show", run, "--archive", file)
    listed = await desk.remit("run", "list", "-o", "json")
    verified = await desk.remit("evidence", "verify", file, "--key", archived.data["key"])
    another = await desk.remit("evidence", "verify", file, "--key", NKey.generate().public)

    assert gone.code == 2
    assert f"{run} was archived" in gone.err
    assert file in gone.err
    assert from_file.out == shown.out
    assert [(item["run"], item["state"]) for item in listed.data] == [(run, "complete")]
    assert verified.code == 0
    assert another.code == 5
    assert "another key" in another.err


async def test_a_team_goes_on_after_its_past_was_archived(desk: Desk, client: Client) -> None:
    waiting, review = await desk.asking()
    for _ in range(3):
        await over(desk)
    await desk.supervisor.snapshots.write()
    await desk.remit("run", "archive", "--older-than", "0d", "--yes")

    await desk.restart()
    await desk.remit("review", "approve", review)

    assert (await desk.outcome(waiting)).outcome == "complete"
    await over(desk)


async def test_what_stays_is_named_with_the_reason(desk: Desk, client: Client) -> None:
    waiting, _review = await desk.asking()
    young, origin = await over(desk), await over(desk)
    fork = (await desk.told("fork", ForkRun(run_id=origin))).run_id

    named = await desk.remit("run", "archive", waiting, origin, "r999", "--older-than", "0d", "--dry-run", "-o", "json")
    old_only = await desk.remit("run", "archive", young, "--older-than", "1h", "--dry-run", "-o", "json")
    assert (await desk.outcome(fork)).outcome == "complete"
    with_fork = await archive.choose(client, older_than=NOW)

    assert named.code == 2
    whys = {item["run"]: item["why"] for item in named.data["refused"]}
    assert whys[waiting] == whys["r999"] == "it is open, or not in the journal"
    assert whys[origin] in {f"{fork} is a fork of it", "a fork of it was asked for lately"}
    assert old_only.data["refused"][0]["why"].startswith("it is over since")
    assert with_fork.runs == (fork, origin, young)
    assert await held(desk, young) != []


async def test_a_fork_that_waits_for_its_turn_keeps_the_run_that_it_is_of(desk: Desk, client: Client) -> None:
    origin = await over(desk)
    wish = ForkWish(origin=ForkOrigin(run_id=origin, at="", at_seq=1, by="ann", wish="w"))
    key = FORK_KEY + "w"
    version = StateCommitted(
        scope=TEAM_SCOPE,
        key=key,
        version=1,
        value=msgspec.Raw(encode(wish)),
        run_id=TEAM_SCOPE,
        step="",
        position="w",
        agent="",
        rule="set",
        base_version=0,
        committed_at=datetime.now(UTC),
    )
    await desk.journal.append(subject.state(TEAM_SCOPE, key, 1), encode(version))

    chosen = await archive.choose(client, older_than=NOW)

    assert chosen.runs == ()
    assert chosen.refused == (Refused(run=origin, why="a fork of it was asked for lately"),)


async def test_large_runs_go_into_files_of_their_own(
    desk: Desk, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [await over(desk) for _ in range(3)]
    monkeypatch.setattr(archive, "FILE_BYTES", 1)

    pass_ = await archivist(client)
    report = await pass_.archive(await archive.choose(client, older_than=NOW))
    await pass_.close()

    assert (len(report.files), report.runs, report.refused) == (3, 3, [])
    assert [await held(desk, run) for run in runs] == [[], [], []]


async def test_a_run_stays_with_a_fork_that_has_to_stay(desk: Desk, client: Client) -> None:
    origin = await over(desk)
    fork = (await desk.told("fork", ForkRun(run_id=origin))).run_id
    assert (await desk.outcome(fork)).outcome == "complete"
    await desk.until(lambda: desk.supervisor.runs.get(fork) is None)
    chosen = await archive.choose(client, older_than=NOW)
    await stream.api(desk.bus, "STREAM.PURGE", JOURNAL, body={"filter": (await desk.journal.whole(fork))[0].subject})

    pass_ = await archivist(client)
    report = await pass_.archive(chosen)
    await pass_.close()

    assert chosen.runs == (fork, origin)
    assert [item.run for item in report.refused] == [fork, origin]
    assert await held(desk, origin) != []


@pytest.mark.parametrize("age", ["999999d", "99999999999d"])
async def test_an_age_beyond_any_calendar_is_refused(desk: Desk, client: Client, age: str) -> None:
    said = await desk.remit("run", "archive", "--older-than", age)

    assert said.code == 2
    assert "--older-than" in said.err


async def test_the_charter_keeps_runs_for_its_time(desk: Desk, client: Client) -> None:
    rules = Path(places.current().team_ref).with_name("charter.yaml")
    rules.write_text(rules.read_text().replace("retention_days: 0", "retention_days: 30"))

    said = await desk.remit("run", "archive", "--older-than", "7d")

    assert said.code == 2
    assert "retention_days" in said.err


class Cut(Archivist):
    """It dies after the export, before anything is purged."""

    async def _purge(self, pack: Iterable[tuple[str, Sequence[Entry]]]) -> None:
        raise KeyError("killed")


class Torn(Archivist):
    """It dies in the middle of the first run's purge."""

    async def _purge(self, pack: Iterable[tuple[str, Sequence[Entry]]]) -> None:
        _run, entries = next(iter(pack))
        await self._purge_filter(entries[0].subject, entries[-1].seq)
        raise KeyError("killed")


@pytest.mark.parametrize("dies", [Cut, Torn])
async def test_a_pass_that_was_cut_off_is_ended_by_the_next(desk: Desk, client: Client, dies: type[Archivist]) -> None:
    runs = [await over(desk) for _ in range(2)]
    before = {run: await desk.journal.whole(run) for run in runs}
    first = await archivist(client, dies)
    with pytest.raises(KeyError):
        await first.archive(await archive.choose(client, older_than=NOW))
    await first.close()
    await desk.restart()

    second = await archivist(client)
    report = await second.archive(await archive.choose(client, older_than=NOW))
    await second.close()

    assert [await held(desk, run) for run in runs] == [[], []]
    files = [item.file for item in ArchiveIndex(Path(client.place.data)).all()]
    assert {run.run: [*run.entries] for run in seal.read(Path(files[0])).runs} == before
    assert report.refused == []
    assert len(desk.supervisor.runs) == 0


async def test_a_run_that_a_backup_put_back_open_is_not_purged(desk: Desk, client: Client) -> None:
    run = await over(desk)
    first = await archivist(client, Cut)
    with pytest.raises(KeyError):
        await first.archive(Choice(runs=(run,)))
    await first.close()
    entries = await desk.journal.whole(run)
    await stream.api(desk.bus, "STREAM.DELETE", JOURNAL)
    await topology.ensure(desk.bus, [])
    for entry in entries[:3]:
        await desk.journal.append(entry.subject, entry.data)

    second = await archivist(client)
    report = await second.archive(Choice())
    await second.close()

    assert len(await held(desk, run)) == 3
    assert [item.run for item in report.refused] == [run]


async def test_what_came_after_the_reading_is_not_purged(desk: Desk, client: Client) -> None:
    run = await over(desk)
    late = subject.agent_entry(run, "read", agent="reader-late", index="9", kind="recorded")

    class Slow(Archivist):
        async def _purge(self, pack: Iterable[tuple[str, Sequence[Entry]]]) -> None:
            await desk.journal.append(late, b"{}")
            await super()._purge(pack)

    slow = await archivist(client, Slow)
    await slow.archive(Choice(runs=(run,)))
    await slow.close()

    assert await held(desk, run) == [late]


async def test_a_run_without_its_beginning_stays(desk: Desk, client: Client) -> None:
    run = await over(desk)
    first = (await desk.journal.whole(run))[0]
    await stream.api(desk.bus, "STREAM.PURGE", JOURNAL, body={"filter": first.subject})

    pass_ = await archivist(client)
    report = await pass_.archive(Choice(runs=(run,)))
    await pass_.close()

    assert report.refused == [Refused(run=run, why="its beginning is missing")]
    assert await held(desk, run) != []
