"""Proposals that changed nothing, and conflicts that wait for a role or a person: read from the runs' journals."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from remit.bus import subject
from remit.contracts.document import WORKFLOW_PREFIX
from remit.contracts.ids import is_run
from remit.contracts.proposal import ProposalRecord
from remit.contracts.review import ReviewOpened
from remit.contracts.step import RunStep
from remit.contracts.task import RunStarted
from remit.history import fold
from remit.words import message_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remit.client import Client
    from remit.disputes import Dispute

_RUNS_LOOKED_AT: Final = 200
"""Of a scope that outlives runs: the newest so many may dispute it; older ones are found by their reviews."""


async def records(client: Client, scope: str, key: str) -> list[ProposalRecord]:
    """Give the proposals of a key that were rejected or refused, oldest first; raises BusUnavailableError."""
    run = scope if is_run(scope) else "*"
    found: list[ProposalRecord] = []
    async for entry in client.journal.read(subject.proposal_record(run, "*", "*", "*")):
        record = message_of(entry)
        if isinstance(record, ProposalRecord) and any(change.key == key for change in record.proposal.changes):
            found.append(record)
    return [record for record in found if await _is_about(client, record, scope)]


async def _is_about(client: Client, record: ProposalRecord, scope: str) -> bool:
    """Say whether a proposal saw a scope. A key is in one kind of scope, and of a workflow's only its runs see it."""
    workflow = scope.removeprefix(WORKFLOW_PREFIX)
    return workflow == scope or await _workflow(client, record.proposal.run_id) == workflow


async def _workflow(client: Client, run: str) -> str:
    first = await client.first_of(run)
    message = message_of(first) if first is not None else None
    started = message.start if isinstance(message, RunStep) else message
    return started.workflow if isinstance(started, RunStarted) else ""


async def open_disputes(client: Client, scope: str, prefix: str = "") -> list[Dispute]:
    """Give the conflicts over keys with a prefix that wait for a role or a person.

    Raises:
        BusUnavailableError: the journal could not be read.
    """
    runs = [scope] if is_run(scope) else await _may_dispute(client)
    found = [item for run in runs for item in await _disputes_of(client, run)]
    return [item for item in found if _is_about_key(item, scope, prefix)]


def _is_about_key(dispute: Dispute, scope: str, prefix: str) -> bool:
    return any(item.scope == scope and item.key.startswith(prefix) for item in dispute.conflict.fields)


async def _may_dispute(client: Client) -> list[str]:
    """Give the runs that may have an open dispute, the newest first."""
    last = await client.last_task()
    newest_ = [f"r{seq}" for seq in range(last, max(last - _RUNS_LOOKED_AT, 0), -1)]
    asked = [
        message.run_id
        async for entry in client.journal.read("remit.run.*._.*.review_opened")
        if isinstance(message := message_of(entry), ReviewOpened) and message.kind == "conflict"
    ]
    runs = list(dict.fromkeys([*newest_, *asked]))
    finished = await asyncio.gather(*(client.finished(run) for run in runs))
    return [run for run, outcome in zip(runs, finished, strict=True) if outcome is None]


async def _disputes_of(client: Client, run: str) -> Iterable[Dispute]:
    lane = fold(run, [entry async for entry in client.journal.read(subject.lane(run))])
    if not lane.disputes.all() or lane.finished is not None:
        return ()
    return fold(run, [entry async for entry in client.entries(run)]).open_disputes
