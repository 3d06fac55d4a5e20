"""The forks of a run: who began them, from where, and which runs they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from remit.contracts.document import TEAM_SCOPE
from remit.contracts.errors import MalformedMessageError
from remit.contracts.message import decode
from remit.contracts.proposal import StateCommitted
from remit.contracts.task import RunStarted
from remit.supervisor.change import FORK_KEY
from remit.supervisor.forks import ForkWish
from remit.words import message_of

if TYPE_CHECKING:
    from remit.client import Client
    from remit.contracts.task import ForkOrigin


@dataclass(frozen=True, kw_only=True)
class Fork:
    """A run that shares the past of another one."""

    run: str
    origin: ForkOrigin


async def of(client: Client, run: str) -> list[Fork]:
    """Give the forks of a run, oldest first.

    What is wished for stands in the team's scope, so runs are looked at only if there is a fork at all.

    Raises:
        BusUnavailableError: the journal could not be read.
    """
    wishes = await _wishes(client, run)
    found: list[Fork] = []
    if not wishes:
        return found
    async for entry in client.journal.read("remit.run.*._.*.started", start_seq=min(wishes.values())):
        started = message_of(entry)
        if isinstance(started, RunStarted) and started.fork is not None and started.fork.wish in wishes:
            found.append(Fork(run=started.run_id, origin=started.fork))
    return found


async def _wishes(client: Client, run: str) -> dict[str, int]:
    """Give the names of all wishes to fork a run, each with its place in the journal."""
    found: dict[str, int] = {}
    first = await client.first_of(run)
    if first is None:
        return found
    async for entry in client.versions(TEAM_SCOPE, start_seq=first.seq):
        try:
            version = decode(StateCommitted, entry.data)
            if version.key.startswith(FORK_KEY) and decode(ForkWish, version.value).origin.run_id == run:
                found[version.key.removeprefix(FORK_KEY)] = entry.seq
        except MalformedMessageError:
            continue  # it does not count
    return found
