"""Audit a repository on this machine: a deployment of its own, one run, a person's decision, and down again."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shlex
import shutil
from typing import TYPE_CHECKING, Final

from remit import deciding, foreground, listing, loader, places
from remit.client import Client
from remit.contracts.errors import UsageError
from remit.contracts.message import raw
from remit.contracts.task import RunStarted, TaskRequest
from remit.history import History
from remit.progress import Progress
from remit.teams.audit.tools.branch import obstacle
from remit.watch import follow
from remit.words import message_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from remit.bus.journal import Entry
    from remit.contracts.control import DecideReview
    from remit.contracts.review import ReviewOpened
    from remit.embedded import Embedded
    from remit.places import Place

TEAM: Final = "remit.teams.audit"
WORKFLOW: Final = "audit"
_RUNS_LOOKED_AT: Final = 5
_WAITING: Final = frozenset({"parked", "paused"})
"""States in which a run was not cut off: it waits for a person."""
_SKIPPED: Final = frozenset({".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", ".remit"})


def repository(path: Path) -> Path:
    """Give the folder to audit, absolute.

    Raises:
        UsageError: there is none, it cannot be named or read, or it holds no Python.
    """
    where = path.expanduser().resolve()
    if (name := os.fsencode(where).decode(errors="backslashreplace")) != str(where):
        raise UsageError("the name of this folder is not UTF-8", where=name, fix="give it another name")
    if not where.exists():
        raise UsageError("there is nothing to audit", where=str(path), expected="a folder", fix="remit audit PATH")
    if not where.is_dir():
        raise UsageError("this is no folder", where=str(path), expected="a folder", got="a file")
    if not os.access(where, os.R_OK | os.X_OK):
        raise UsageError("this folder may not be read", where=str(path))
    if not _holds_python(where):
        raise UsageError("there is no Python here", where=str(path), expected="at least one .py file")
    return where


def _holds_python(folder: Path) -> bool:
    for _root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        if any(name.endswith(".py") for name in files):
            return True
    return False


def deployment_name(repository: Path) -> str:
    """Name the deployment of a repository: no two folders share their data."""
    slug = re.sub(r"[^a-z0-9]+", "-", repository.name.lower()).strip("-")[:24] or "root"
    return f"audit-{slug}-{hashlib.sha256(str(repository).encode()).hexdigest()[:8]}"


def data(repository: Path) -> Path:
    """Give the folder in which the deployment of a repository keeps its data."""
    return places.data_directory(deployment_name(repository))


def request(repository: Path, out: Path | None, **options: str) -> TaskRequest:
    """Give the task; an option that is empty is left out."""
    given = {"path": str(repository)} | ({"out": str(out.expanduser().resolve())} if out is not None else {})
    given |= {name: value for name, value in options.items() if value}
    return TaskRequest(goal=f"audit {repository}", input=raw(given))


def own_tests(repository: Path) -> str:
    """Give the command that runs a repository's tests: pytest, of the environment in its folder if there is one.

    Raises:
        UsageError: there is no Python to run them with.
    """
    inside = [repository / name / "bin" / "python" for name in (".venv", "venv")]
    found = next((str(path) for path in inside if path.is_file()), shutil.which("python3"))
    if found is None:
        raise UsageError("there is no Python for the tests", where=str(repository), expected=".venv or python3")
    return shlex.join([found, "-m", "pytest", "-q"])


def check_output(repository: Path, out: Path | None, branch: str) -> None:
    """What an audit is to write can be written, as far as that is known before it begins.

    Raises:
        UsageError: the output is no folder, or the branch is there already, is the current one, or cannot have that
            name.
    """
    folder = (out or repository / ".remit").expanduser()
    if folder.exists() and not folder.is_dir():
        raise UsageError("the report goes to a folder", where=str(folder), expected="a folder", got="a file")
    if branch and (problem := obstacle(repository, branch)):
        raise UsageError(problem, where=branch, expected="a new branch", fix="remit audit PATH --branch NAME")


class Audit:
    """One audit: `run` is followed until it is finished, or nobody decides what it waits for."""

    def __init__(
        self,
        *,
        show: Callable[[Progress], AbstractContextManager[Callable[[Entry], None]]],
        decide: Callable[[ReviewOpened, History, Place], DecideReview | None],
        say: Callable[[str], None],
    ) -> None:
        self._show = show
        self._decide = decide
        self._say = say

    def run(self, repository: Path, task: TaskRequest) -> tuple[History, Place]:
        """The deployment was up for as long as this took; give what became of the run.

        Raises: as `Embedded.start`; KeyboardInterrupt. No process is left, and the run goes on later.
        """
        loaded = loader.load(TEAM)
        name = deployment_name(repository)
        with foreground.deployed(loaded, name=name, port=None, durability="embedded") as up:
            return self._work(up, task), up.place

    def _work(self, up: Embedded, task: TaskRequest) -> History:
        history = asyncio.run(_submitted(up.place, task, self._say))
        progress = Progress(history)
        while True:
            with self._show(progress) as tell:
                asyncio.run(_followed(up.place, progress, tell))
            wishes = [self._decide(opened, history, up.place) for opened in history.open_reviews]
            wanted = [wish for wish in wishes if wish is not None]
            if not wanted:
                return history
            asyncio.run(_decided(up.place, wanted))


async def _submitted(place: Place, task: TaskRequest, say: Callable[[str], None]) -> History:
    """An audit of the same folder that was cut off goes on; otherwise there is a new run.

    What else of the same folder is open is withdrawn: approved later, it would overwrite what is newer.
    """
    async with await Client.connect(place) as client:
        before = await _open(client, task.goal)
        cut_off = next((run for run, state in before if state not in _WAITING and run.input == task.input), None)
        for run, _state in before:
            if run is not cut_off:
                await client.cancel(run.run_id, "a newer audit of the same folder")
                say(f"{run.run_id} of the same folder was not decided; it is withdrawn")
        if cut_off is None:
            return History(await client.submit(WORKFLOW, task))
        say(f"going on with {cut_off.run_id}, which was cut off")
        return History(cut_off.run_id)


async def _open(client: Client, goal: str) -> list[tuple[RunStarted, str]]:
    """Give the audits of a folder that are not over, the newest first, each with its state."""
    found: list[tuple[RunStarted, str]] = []
    for item in await listing.runs(client, limit=_RUNS_LOOKED_AT):
        first = await client.first_of(item.run) if await client.finished(item.run) is None else None
        started = message_of(first) if first is not None else None
        if isinstance(started, RunStarted) and started.goal == goal:
            found.append((started, item.state))
    return found


async def _followed(place: Place, progress: Progress, tell: Callable[[Entry], None]) -> None:
    async with await Client.connect(place) as client:
        heard = await client.live(progress.history.run_id, progress.hear)
        async for entry in follow(client, progress.history, stops_when_parked=True):
            tell(entry)
        heard.drop()


async def _decided(place: Place, wishes: list[DecideReview]) -> None:
    async with await Client.connect(place) as client:
        for wish in wishes:
            await deciding.decide(client, wish)
