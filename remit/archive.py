"""Take runs that are over out of the journal: seal them in a file, read it back, and only then purge them.

Whatever step of it is cut off, to do it again is harmless: a run stands in the journal until a file that holds it was
read back from the disk, and a purge that was cut off is ended by the next pass.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from remit.archive_index import ArchiveIndex, Exported
from remit.bus import private_file, seal, stream, subject
from remit.bus.connection import Bus
from remit.bus.identity import Credentials
from remit.bus.subject import JOURNAL
from remit.contracts.document import TEAM_SCOPE
from remit.contracts.errors import EvidenceBrokenError, MalformedMessageError, NotFoundError, UsageError
from remit.contracts.ids import LANE
from remit.contracts.message import decode
from remit.contracts.proposal import StateCommitted
from remit.contracts.task import RunStarted
from remit.supervisor.change import FORK_KEY
from remit.supervisor.forks import ForkWish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from remit.bus.journal import Entry
    from remit.client import Client

log = structlog.get_logger(__name__)

CREDENTIALS: Final = "archivist.creds"
RUNS_IN_FILE: Final = 1_000
WISHED: Final = timedelta(days=1)
"""So long at least a fork that was asked for may wait for its turn, and needs the run that it is of."""
FILE_BYTES: Final = 64 * 1024 * 1024
"""Of entries, before they are packed."""
_AT_ONCE: Final = 32
STARTED_FILTER: Final = "remit.run.*._.*.started"


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A run that stays in the journal, and why."""

    run: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What may be archived now."""

    runs: tuple[str, ...] = ()
    """The newest first: a fork goes before the run that it is of."""
    refused: tuple[Refused, ...] = ()
    forks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of these runs, those with forks: none goes before its forks are gone."""


@dataclass(kw_only=True)
class Report:
    """What a pass did."""

    files: list[str] = field(default_factory=list)
    runs: int = 0
    entries: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    refused: list[Refused] = field(default_factory=list)
    key: str = ""


async def choose(client: Client, *, older_than: timedelta, named: Sequence[str] = ()) -> Choice:
    """Say which runs may be archived: of those that are named, or of all.

    Raises:
        BusUnavailableError: the journal could not be read.
    """
    finished, forks = await _finished(client), await _forks(client)
    ends = datetime.now(UTC) - older_than
    wished = await _wished(client, forks, since=min(ends, datetime.now(UTC) - WISHED))
    chosen, refused = dict[str, None](), list[Refused]()
    for run in sorted(named or finished, key=_number, reverse=True):
        why = _why_not(run, finished=finished, ends=ends)
        users = [fork for fork in forks.get(run, {}) if fork not in chosen]
        if not why and users:
            why = f"{', '.join(users)} {'is a fork' if len(users) == 1 else 'are forks'} of it"
        if not why and run in wished:
            why = "a fork of it was asked for lately"
        if not why:
            chosen[run] = None
        elif named or users or run in wished:
            refused.append(Refused(run=run, why=why))
    theirs = {run: tuple(forks[run]) for run in chosen if run in forks}
    return Choice(runs=tuple(chosen), refused=tuple(refused), forks=theirs)


def _why_not(run: str, *, finished: dict[str, datetime], ends: datetime) -> str:
    at = finished.get(run)
    if at is None:
        return "it is open, or not in the journal"
    return f"it is over since {at:%Y-%m-%d %H:%M} only" if at > ends else ""


async def _finished(client: Client) -> dict[str, datetime]:
    found: dict[str, datetime] = {}

    def note(entry: Entry) -> None:
        parts = subject.parse_run(entry.subject)
        if parts is not None and entry.stored_at is not None:
            found[parts.run] = entry.stored_at

    await client.journal.fold((subject.FINISHED_FILTER,), 1, note, has_bodies=False)
    return found


async def _forks(client: Client) -> dict[str, dict[str, str]]:
    """Give, by run, its forks with the names of the wishes for them."""
    found: dict[str, dict[str, str]] = {}

    def note(entry: Entry) -> None:
        if b'"fork":{' not in entry.data:
            return
        try:
            started = decode(RunStarted, entry.data)
        except MalformedMessageError:
            return
        if started.fork is not None:
            found.setdefault(started.fork.run_id, {})[started.run_id] = started.fork.wish

    await client.journal.fold((STARTED_FILTER,), 1, note)
    return found


async def _wished(client: Client, forks: dict[str, dict[str, str]], *, since: datetime) -> set[str]:
    """Name the runs of which a fork was asked for lately that did not begin yet."""
    begun = {wish for wishes in forks.values() for wish in wishes.values()}
    found: set[str] = set()

    def note(entry: Entry) -> None:
        about = subject.parse_state(entry.subject)
        if about is None or not about.key.startswith(FORK_KEY) or entry.stored_at is None or entry.stored_at < since:
            return
        if about.key.removeprefix(FORK_KEY) in begun:
            return
        try:
            found.add(decode(ForkWish, decode(StateCommitted, entry.data).value).origin.run_id)
        except MalformedMessageError:
            return  # it does not count

    await client.journal.fold((subject.state_filter(TEAM_SCOPE),), 1, note)
    return found


class Archivist:
    """The one identity that may purge, with the key that seals."""

    def __init__(self, client: Client, bus: Bus, credentials: Credentials, *, out: Path) -> None:
        self._client = client
        self._bus = bus
        self._key = credentials.key
        self._out = out
        self._index = ArchiveIndex(Path(client.place.data))

    @classmethod
    async def connect(cls, client: Client, *, credentials: Path | None = None, out: Path | None = None) -> Archivist:
        """Give the archivist of a deployment.

        Raises:
            NotFoundError: its credentials are not on this machine.
            CredentialsRefusedError: the server does not know them.
        """
        path = credentials or Path(client.place.data) / "credentials" / CREDENTIALS
        if not path.exists():
            raise NotFoundError(
                "the credentials of the archivist are not here",
                where=str(path),
                fix="start the deployment once (remit up), or name the file: --creds FILE",
            )
        found = Credentials.read(path)
        bus = await Bus.connect(client.place.url, name="archivist", credentials=found)
        return cls(client, bus, found, out=out or ArchiveIndex(Path(client.place.data)).folder)

    async def close(self) -> None:
        """The connection is ended."""
        await self._bus.close()

    async def archive(self, choice: Choice, *, say: Callable[[Report], None] = lambda _: None) -> Report:
        """The chosen runs stand in sealed files, and not in the journal any more; what is refused on the way is said.

        Raises:
            EvidenceBrokenError: a file that was just written does not hold; its runs are in the journal.
            BusUnavailableError: no answer came; a run is in the journal, in a file, or in both.
            OSError: a file could not be written; its runs are in the journal.
        """
        report = Report(refused=[*choice.refused], key=self._key.public)
        ended = {run for exported in self._index.unpurged() for run in await self._end(exported, report)}
        todo = [run for run in choice.runs if run not in ended]
        while todo:
            pack = await self._read(todo, report, forks=choice.forks)
            if pack:
                await self._export(pack, report)
                say(report)
        return report

    async def _read(
        self, todo: list[str], report: Report, *, forks: Mapping[str, Sequence[str]]
    ) -> list[tuple[str, list[Entry]]]:
        """Take as many runs as one file holds."""
        pack, size = list[tuple[str, "list[Entry]"]](), 0
        while todo and len(pack) < RUNS_IN_FILE and size < FILE_BYTES:
            names, todo[:] = todo[:_AT_ONCE], todo[_AT_ONCE:]
            read = await asyncio.gather(*map(self._client.journal.whole, names))
            kept = await asyncio.gather(*map(self._client.results.get, names))
            for place, (run, entries, outcome) in enumerate(zip(names, read, kept, strict=True)):
                stays = {item.run for item in report.refused}.intersection(forks.get(run, ()))
                if why := _is_torn(entries, outcome) or ", ".join(f"its fork {fork} stays" for fork in sorted(stays)):
                    report.refused.append(Refused(run=run, why=why))
                    continue
                more = sum(len(entry.data) for entry in entries)
                if pack and size + more > FILE_BYTES:
                    todo[:0] = names[place:]  # a file beyond the limit of those who read it would be none
                    return pack
                pack.append((run, entries))
                size += more
        return pack

    async def _export(self, pack: list[tuple[str, list[Entry]]], report: Report) -> None:
        opening = seal.Opening(
            team=self._client.place.team,
            deployment=self._client.place.name,
            key=self._key.public,
            sealed_at=datetime.now(UTC),
        )
        data = seal.pack(pack, opening=opening, key=self._key)
        names = [run for run, _ in pack]
        path = self._out / f"{names[-1]}-{names[0]}-{opening.sealed_at:%Y%m%dT%H%M%S%f}.jsonl.gz"
        private_file.kept_directory(self._out)  # the journal forgets what stands there
        private_file.replace(path, data)
        self._read_back(path, pack)
        exported = Exported(file=str(path.absolute()), runs=tuple(names))
        self._index.note(exported)
        await self._purge(pack)
        self._index.note(Exported(file=exported.file, runs=exported.runs, is_purged=True))
        report.files.append(str(path))
        report.runs += len(pack)
        report.entries += sum(len(entries) for _, entries in pack)
        report.bytes_in += sum(len(entry.data) + len(entry.subject) for _, entries in pack for entry in entries)
        report.bytes_out += len(data)
        log.info("runs.archived", file=str(path), runs=len(pack))

    def _read_back(self, path: Path, pack: list[tuple[str, list[Entry]]]) -> None:
        found = seal.read(path, key=self._key.public)
        if [(run.run, [*run.entries]) for run in found.runs] != pack:
            raise EvidenceBrokenError("what was written is not what stands in the journal", where=str(path))

    async def _purge(self, pack: Iterable[tuple[str, Sequence[Entry]]]) -> None:
        for run, entries in pack:
            if any(subject.parse_state(entry.subject) for entry in entries):
                await self._purge_filter(subject.state_filter(run), entries[-1].seq)
            # Without its first entry a run cannot begin again, whatever else of it a crash leaves behind.
            await self._purge_filter(entries[0].subject, entries[-1].seq)
            await self._purge_filter(subject.run_all(run), entries[-1].seq)

    async def _purge_filter(self, filter_: str, end_seq: int) -> None:
        """What was stored since the run was read stays."""
        await stream.api(self._bus, "STREAM.PURGE", JOURNAL, body={"filter": filter_, "seq": end_seq + 1})

    async def _end(self, exported: Exported, report: Report) -> set[str]:
        """End what a crash cut off: what is left of these runs goes, unless the file holds another run; name them."""
        path = Path(exported.file)
        if not path.exists():
            log.warning("archive.not_found", file=exported.file)
            return set()
        sealed = {run.run: run.entries for run in seal.read(path, key=self._key.public).runs}
        left = await asyncio.gather(*map(self._client.journal.whole, sealed))
        other = [run for run, now in zip(sealed, left, strict=True) if not _is_rest_of(now, sealed[run])]
        report.refused += [Refused(run=run, why=f"{path} holds another run of this name") for run in other]
        await self._purge((run, sealed[run]) for run, now in zip(sealed, left, strict=True) if now and run not in other)
        self._index.note(Exported(file=exported.file, runs=exported.runs, is_purged=True))
        report.files.append(exported.file)
        report.runs += len(sealed) - len(other)
        return sealed.keys() - set(other)


def _is_rest_of(now: Sequence[Entry], sealed: Sequence[Entry]) -> bool:
    """Say whether this is what a purge left of a run; one that was put back from a backup may be open again."""
    is_over = any(subject.parse_run(entry.subject) and entry.subject.endswith(".finished") for entry in now)
    has_begun = bool(now) and now[0].subject == sealed[0].subject
    return set(_ids(now)) <= set(_ids(sealed)) and (is_over or not has_begun)


def _ids(entries: Sequence[Entry]) -> Iterable[tuple[int, str, bytes]]:
    return ((entry.seq, entry.subject, entry.data) for entry in entries)


def _is_torn(entries: Sequence[Entry], outcome: bytes | None) -> str:
    """Say why a run cannot be taken out as it stands; empty if it can."""
    lane = [parts for entry in entries if (parts := subject.parse_run(entry.subject)) and parts.lane == LANE]
    if not any(parts.kind == "finished" for parts in lane):
        return "it has no outcome any more"
    first = lane[0]
    if first.author != "1" and first.kind != "work":
        return "its beginning is missing"
    if outcome is None:
        return f"its outcome is not in {subject.RESULTS} yet"
    return ""


def check_age(older_than: timedelta, retention_days: float) -> None:
    """Runs are old enough, as the charter says.

    Raises:
        UsageError: they are not.
    """
    if older_than < timedelta(days=retention_days):
        raise UsageError(
            "the charter keeps runs for longer",
            where="charter.yaml: retention_days",
            expected=f"--older-than {retention_days:g}d or more",
            got=f"{older_than.total_seconds() / 86400:g}d",
            fix=f"remit run archive --older-than {retention_days:g}d",
        )


def _number(run: str) -> int:
    return int(run[1:]) if run[1:].isdigit() else 0
