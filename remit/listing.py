"""Lists of runs and of reviews, newest first, without reading the whole journal."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from remit import standing, watch
from remit.bus import subject
from remit.contracts.errors import MalformedMessageError, NotFoundError
from remit.contracts.ids import node_of
from remit.contracts.message import decode, digest_of, raw
from remit.contracts.review import ReviewDecided, ReviewOpened
from remit.contracts.rollback import RollbackBegun
from remit.contracts.step import RunStep
from remit.contracts.task import RunFinished, RunStarted, TaskRequest
from remit.disputes import conflict_of
from remit.history import fold
from remit.words import message_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from remit.client import Client
    from remit.contracts.proposal import StateConflict
    from remit.history import History

_AT_ONCE: Final = 64
_ENTRIES_LOOKED_AT: Final = 2_000
"""A run in progress that has more is said by its reviews alone."""


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """One run in a list."""

    run: str
    state: str
    """`queued`, how it stands in a few words, or the outcome."""
    workflow: str
    goal: str
    started_at: datetime | None
    duration_ms: int
    waiting_for: str


async def runs(client: Client, *, limit: int) -> list[RunLine]:
    """Give the newest runs, newest first.

    Every run is looked up by its name, which is the sequence of its task: the time taken depends on how many are
    asked for, not on how many there are.

    Raises:
        BusUnavailableError: the journal could not be read.
    """
    found: list[RunLine] = []
    seq = await client.last_task()
    while seq > 0 and len(found) < limit:
        group = range(seq, max(seq - _AT_ONCE, 0), -1)
        lines = await asyncio.gather(*(_line(client, number) for number in group))
        found += [item for item in lines if item is not None]
        seq -= _AT_ONCE
    return found[:limit]


async def _line(client: Client, seq: int) -> RunLine | None:
    run = f"r{seq}"
    first, finished = await asyncio.gather(client.first_of(run), client.finished(run))
    message = message_of(first) if first is not None else None
    if isinstance(message, RunFinished):
        finished = message
    started = message.start if isinstance(message, RunStep) else message
    if finished is not None:
        return _ended(finished, started if isinstance(started, RunStarted) else None)
    if isinstance(started, RunStarted):
        return await _open(client, started)
    return await _queued(client, seq)


def _ended(finished: RunFinished, started: RunStarted | None) -> RunLine:
    return RunLine(
        run=finished.run_id,
        state=finished.outcome,
        workflow=finished.workflow,
        goal=started.goal if started is not None else "",
        started_at=started.started_at if started is not None else finished.finished_at,
        duration_ms=finished.duration_ms,
        waiting_for="",
    )


async def _open(client: Client, started: RunStarted) -> RunLine:
    run = started.run_id
    entries = []
    async for entry in client.entries(run):
        entries.append(entry)
        if len(entries) >= _ENTRIES_LOOKED_AT:
            entries += [item async for item in client.journal.read(f"remit.run.{run}._.*.*", start_seq=entry.seq + 1)]
            break
    history = fold(run, entries)
    return RunLine(
        run=run,
        state=standing.state(history),
        workflow=started.workflow,
        goal=started.goal,
        started_at=started.started_at,
        duration_ms=0,
        waiting_for=history.waiting_for(),
    )


async def _queued(client: Client, seq: int) -> RunLine | None:
    task = await client.task(seq)
    if task is None:
        return None
    try:
        goal = decode(TaskRequest, task.data).goal
    except MalformedMessageError:
        goal = ""
    return RunLine(
        run=f"r{seq}",
        state="queued",
        workflow=subject.last_token(task.subject),
        goal=goal,
        started_at=task.stored_at,
        duration_ms=0,
        waiting_for="the supervisor",
    )


async def open_reviews(client: Client) -> list[ReviewOpened]:
    """Give the reviews that wait for a person, oldest first.

    Raises:
        BusUnavailableError: the journal could not be read.
    """
    decided = {item.review_id async for item in _decisions(client)}
    taken_back = [pair async for pair in _taken_back(client)]
    opened = [pair async for pair in _opened(client) if pair[1].review_id not in decided]
    waiting = [item for seq, item in opened if not any(_is_withdrawn(item, seq, back) for back in taken_back)]
    over = {run for run in {item.run_id for item in waiting} if await client.finished(run) is not None}
    return [item for item in waiting if item.run_id not in over]


def _is_withdrawn(item: ReviewOpened, seq: int, back: tuple[int, RollbackBegun]) -> bool:
    """Say whether a rollback took the step back that asked; nobody waits for an answer then."""
    begun_seq, begun = back
    return begun_seq > seq and begun.run_id == item.run_id and node_of(item.step) in begun.nodes


async def _taken_back(client: Client) -> AsyncIterator[tuple[int, RollbackBegun]]:
    async for entry in client.journal.read("remit.run.*._.*.rollback_begun"):
        if isinstance(message := message_of(entry), RollbackBegun):
            yield entry.seq, message


async def _decisions(client: Client) -> AsyncIterator[ReviewDecided]:
    async for entry in client.journal.read("remit.run.*._.*.review_decided"):
        if isinstance(message := message_of(entry), ReviewDecided):
            yield message


async def _opened(client: Client) -> AsyncIterator[tuple[int, ReviewOpened]]:
    async for entry in client.journal.read("remit.run.*._.*.review_opened"):
        if isinstance(message := message_of(entry), ReviewOpened):
            yield entry.seq, message


class Action(msgspec.Struct, frozen=True):
    """A tool call as a person decides upon it; its digest is what an approval names."""

    tool: str
    arguments: msgspec.Raw


@dataclass(frozen=True, kw_only=True)
class ReviewCase:
    """A review with all that a person may want to know before deciding."""

    opened: ReviewOpened
    decided: ReviewDecided | None
    finished: RunFinished | None
    goal: str
    withdrawn: str
    """The checkpoint to which a rollback took the step back that asked."""
    shown: msgspec.Raw
    """What is decided upon: the whole action, what a role asks, or the conflict."""

    @property
    def action(self) -> Action | None:
        """The tool call that is decided upon; None for a question or a conflict."""
        try:
            return decode(Action, self.shown) if self.opened.kind in {"action", "in_doubt"} else None
        except MalformedMessageError:
            return None

    @property
    def conflict(self) -> StateConflict | None:
        """The conflict that is decided; None for anything else."""
        return conflict_of(self.shown) if self.opened.kind == "conflict" else None

    @property
    def is_what_it_says(self) -> bool:
        """Whether the digest that would be approved is the digest of what is shown: an agent sent both."""
        return digest_of(msgspec.json.decode(self.shown)) == self.opened.subject


async def review(client: Client, review_id: str) -> ReviewCase:
    """Give a review by its name.

    Raises:
        NotFoundError: there is none.
        BusUnavailableError: the journal could not be read.
    """
    run, _, number = review_id.rpartition("-v")
    if not run or not number.isdigit():
        raise _no_review(review_id)
    entry = await client.journal.get(subject.decision(run, int(number), "review_opened"))
    if entry is None or not isinstance(opened := message_of(entry), ReviewOpened):
        raise _no_review(review_id)
    history = fold(run, await watch.read(client, run))
    known = history.reviews.get(review_id)
    return ReviewCase(
        opened=opened,
        decided=known.decided if known is not None else None,
        finished=history.finished,
        withdrawn=known.withdrawn if known is not None else "",
        goal=history.started.goal if history.started is not None else "",
        shown=_shown(opened, history),
    )


def _shown(opened: ReviewOpened, history: History) -> msgspec.Raw:
    """A call in doubt is shown as its gateway journaled it."""
    call = history.calls.get((opened.step, opened.position))
    if opened.kind != "in_doubt" or call is None:
        return opened.body
    return raw(Action(tool=call.entry.tool, arguments=call.entry.arguments))


def _no_review(review_id: str) -> NotFoundError:
    return NotFoundError(
        f"no review {review_id}",
        expected="a run's name and a number, such as r41-v2",
        got=review_id,
        fix="remit review list",
    )
