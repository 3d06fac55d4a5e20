"""Copy a deployment while it runs, and put it back where there is none: streams, keys, kept builds.

The order of the copies is the point. TASKS come before JOURNAL: a task that was accepted before is in one of the two,
or in both, and a task that comes twice changes nothing. RESULTS come before JOURNAL, which they are a copy of; what
they lack they take from it again. Large values come after it, so that none that it names is missing. Caches are left
out.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from remit import builds, places
from remit.bus import permission, private_file, shape, stream, stream_copy, subject, topology
from remit.bus.connection import Bus
from remit.bus.identity import Authority
from remit.bus.journal import Journal
from remit.bus.stream_copy import Copied
from remit.bus.subject import DEAD, JOURNAL, RESULTS, SNAPSHOT, TASKS
from remit.contracts.errors import (
    ConflictError,
    EnvironmentFaultError,
    EvidenceBrokenError,
    LostInRestoreError,
    UsageError,
)
from remit.contracts.message import encode
from remit.contracts.task import RunFinished, TaskRequest
from remit.supervisor import recovery

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remit.places import Place

log = structlog.get_logger(__name__)

FORMAT: Final = 1
ORDER: Final = (TASKS, RESULTS, DEAD, JOURNAL, subject.BLOB_STREAM)
BACK: Final = (TASKS, DEAD, JOURNAL, subject.BLOB_STREAM, RESULTS)
"""RESULTS last: it looks for its source when it is there."""
MANIFEST: Final = "manifest.json"
KEPT: Final = ("keys", "credentials", "builds", "archive")
"""Folders of a deployment's data that are not the server's."""
_NOT_KEPT: Final = ("*.jsonl.gz", builds.LAST)
"""Files of the archive lie where they lie; and how the last start found the journal says nothing of a copy of it."""
MAX_PAYLOAD_BYTES: Final = 4 * 1024 * 1024
NAMES: Final = 1_000
"""So many names above the newest run are taken to be lost, if nobody says how far they went."""
LOST: Final = "remit_restored"
"""No team has this workflow; tasks of it take the names that are lost."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds."""

    format: int = FORMAT
    team: str
    deployment: str
    at: datetime
    """When the first copy was begun: what was accepted before is in it."""
    streams: tuple[Copied, ...]
    has_keys: bool


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What was put back, and what was not in the backup."""

    deployment: str
    at: datetime
    entries: int
    open_runs: tuple[str, ...]
    waiting: int
    """Tasks that had not begun."""
    newest: str
    """The newest run that the backup knows of."""
    lost: tuple[str, ...]
    """Names that may have been given since; each has an outcome that says so."""
    next: str
    """What the next task will be named."""


# --- out -----------------------------------------------------------------------------------------


async def backup(place: Place, bus: Bus, folder: Path) -> Manifest:
    """The folder, which was not there, is a whole backup; a backup that breaks off leaves none.

    Raises:
        ConflictError: the folder is there; nothing changed.
        BusRefusedError: the server refused.
        BusUnavailableError: a copy broke off.
        OSError: something could not be written.
    """
    if folder.exists():
        raise ConflictError("there is something already", where=str(folder), fix="name a folder that is not there")
    making = folder.with_name(f".{folder.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    try:
        return await _backup(place, bus, folder, making=making)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)  # it may hold the keys
        raise


async def _backup(place: Place, bus: Bus, folder: Path, *, making: Path) -> Manifest:
    private_file.private_directory(making)
    at, data = datetime.now(UTC), Path(place.data)
    streams = tuple([await stream_copy.copy_out(bus, name, making / f"{name}.stream") for name in ORDER])
    for name in KEPT:
        if (data / name).is_dir():
            shutil.copytree(data / name, making / "data" / name, ignore=shutil.ignore_patterns(*_NOT_KEPT))
    has_keys = (making / "data" / "keys").is_dir()
    manifest = Manifest(team=place.team, deployment=place.name, at=at, streams=streams, has_keys=has_keys)
    private_file.replace(making / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    private_file.sync_tree(making)
    making.rename(folder)
    private_file.sync_directory(folder.parent)
    return manifest


def read(folder: Path) -> Manifest:
    """Give what a backup holds, after every file was held against its digest.

    Raises:
        UsageError: this is no backup.
        EvidenceBrokenError: a file is damaged, or the backup is of another format.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise UsageError("this is no backup", where=str(folder), expected=f"a folder with {MANIFEST}")
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.MsgspecError as error:
        raise EvidenceBrokenError(
            "what the backup says of itself is damaged", where=str(path), got=str(error)
        ) from error
    if manifest.format != FORMAT:
        raise EvidenceBrokenError(
            "it is of another format", where=str(path), expected=str(FORMAT), got=str(manifest.format)
        )
    if missing := set(ORDER) - {copied.name for copied in manifest.streams}:
        raise EvidenceBrokenError(
            "the backup is not whole",
            where=str(path),
            expected=", ".join(ORDER),
            got=f"no {', '.join(sorted(missing))}",
        )
    for copied in manifest.streams:
        stream_copy.check(copied, folder / f"{copied.name}.stream")
    return manifest


# --- back ----------------------------------------------------------------------------------------


def restore_files(folder: Path, data: Path) -> None:
    """Keys, credentials, kept builds and the archive's index are in a deployment's data, which had none.

    Nothing starts on it before `places.restored` says that the streams are back as well.

    Raises:
        ConflictError: there is a journal; nothing changed.
        EnvironmentFaultError: the keys there are others; nothing changed.
    """
    if (data / "js").exists():
        raise ConflictError(
            "the deployment has a journal", where=str(data), fix="move it away, or name another deployment with --name"
        )
    private_file.private_directory(data)
    theirs, ours = folder / "data" / "keys" / Authority.FILE, data / "keys" / Authority.FILE
    if theirs.exists() and ours.exists() and theirs.read_bytes() != ours.read_bytes():
        raise EnvironmentFaultError("other keys are there", where=str(ours), fix="move them away")
    places.restoring(data)
    for name in KEPT:
        if (folder / "data" / name).is_dir():
            shutil.copytree(folder / "data" / name, data / name, dirs_exist_ok=True)
            (data / name).chmod(0o700)


async def restore(folder: Path, manifest: Manifest, bus: Bus, *, until: int = 0) -> Restored:
    """The server has every stream of the backup, and no name that was given since is ever given again.

    Consumers are made by the next start, from the oldest run that is open.

    Raises:
        ConflictError: the server has a journal; nothing changed.
        BusRefusedError: the server refused; some streams may be back. Begin again on an empty server.
        BusUnavailableError: no answer came; as above.
    """
    for name in ORDER:
        if not isinstance(await stream.try_api(bus, "STREAM.INFO", name), stream.ApiError):
            raise ConflictError("the server has such a stream", where=name, fix="restore to an empty account")
    copies = {copied.name: copied for copied in manifest.streams}
    for name in BACK:
        await stream_copy.copy_in(bus, copies[name], folder / f"{name}.stream")
    waiting = (await stream.state(bus, TASKS)).messages
    await shape.ensure_stream(bus, next(spec for spec in topology.STREAMS if spec.name == SNAPSHOT))
    index = await recovery.take_snapshot(Journal(bus), team=manifest.team)
    newest = max(await shape.highest_run(bus), (await stream.state(bus, TASKS)).last_seq)
    lost = await _take_names(bus, manifest, newest=newest, until=max(until or newest + NAMES, newest))
    last = (await stream.state(bus, TASKS)).last_seq
    return Restored(
        deployment=manifest.deployment,
        at=manifest.at,
        entries=(await stream.state(bus, JOURNAL)).messages - len(lost),
        open_runs=tuple(sorted(index.open, key=lambda run: index.open[run])),
        waiting=waiting,
        newest=f"r{newest}",
        lost=lost,
        next=f"r{last + 1}",
    )


async def _take_names(bus: Bus, manifest: Manifest, *, newest: int, until: int) -> tuple[str, ...]:
    """Names that clients may hold have an outcome, and a task of its own each, so that no other one gets them."""
    journal, lost = Journal(bus), list[str]()
    last = (await stream.state(bus, TASKS)).last_seq
    for number in range(last + 1, until + 1):
        run = f"r{number}"
        if number > newest or await journal.get(subject.lane(run)) is None:
            await journal.append_own(subject.decision(run, 1, "finished"), encode(_outcome(run, manifest.at)))
            lost.append(run)
        ack = await stream.store(bus, subject.task(LOST), encode(TaskRequest(goal=f"take the name {run}")))
        if ack.seq != number:
            raise ConflictError("somebody publishes tasks already", where=run, got=f"r{ack.seq}")
    return tuple(lost)


def _outcome(run: str, at: datetime) -> RunFinished:
    error = LostInRestoreError(
        f"a task of this name was accepted after the backup of {at:%Y-%m-%d %H:%M:%S} UTC, or none was",
        where=run,
        fix="publish it again; what it did to the world is not known here",
    )
    return RunFinished(run_id=run, workflow=LOST, outcome="refused", error=error.fault(), finished_at=datetime.now(UTC))


async def connect(url: str, authority: Authority, *, restores: bool) -> Bus:
    """Give a connection of an identity that is made for this one backup or restore."""
    rights = permission.restore_permissions() if restores else permission.backup_permissions()
    name = "restore" if restores else "backup"
    return await Bus.connect(url, name=name, credentials=authority.issue(name, permissions=rights))


def ranges(runs: Iterable[str]) -> str:
    """Say names that follow one another in short."""
    found: list[list[int]] = []
    for number in (int(run[1:]) for run in runs):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(f"r{first}" if first == last else f"r{first} to r{last}" for first, last in found)
