"""The versions of shared state as the journal holds them, and their values, from wherever these are kept."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

import msgspec

from remit.bus import subject
from remit.bus.blob import Blobs
from remit.contracts.document import WORKFLOW_PREFIX
from remit.contracts.errors import MalformedMessageError, NotFoundError
from remit.contracts.ids import is_run
from remit.contracts.message import decode, digest
from remit.contracts.policy import MISSING
from remit.contracts.proposal import TEAM_SCOPE, StateCommitted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remit.bus.journal import Entry
    from remit.client import Client
    from remit.history import History


async def check_scope(client: Client, scope: str) -> None:
    """The scope is one that there may be.

    Raises:
        NotFoundError: it is not.
        BusUnavailableError: the journal could not be read.
    """
    if scope == TEAM_SCOPE or scope.removeprefix(WORKFLOW_PREFIX) not in {scope, ""}:
        return
    if not is_run(scope):
        raise NotFoundError(
            f"there is no scope {scope!r}",
            expected=f"a run such as r41, {WORKFLOW_PREFIX}NAME, or {TEAM_SCOPE}",
            got=scope,
            fix=f"remit state list --scope {TEAM_SCOPE}",
        )
    if await client.first_of(scope) is None and await client.task(int(scope[1:])) is None:
        raise NotFoundError(f"there is no run {scope}", got=scope, fix="remit run list")


async def versions(client: Client, scope: str, key: str = "") -> AsyncIterator[StateCommitted]:
    """Give the versions of a key, or of all keys of a scope, oldest first; what does not fit does not count.

    Raises:
        NotFoundError: there is no such scope.
        BusUnavailableError: the journal could not be read.
    """
    await check_scope(client, scope)
    async for entry in client.versions(scope, key):
        if (version := _version(entry)) is not None:
            yield version


def _version(entry: Entry) -> StateCommitted | None:
    try:
        version = decode(StateCommitted, entry.data)
    except MalformedMessageError:
        return None
    is_its_own = subject.parse_state(entry.subject) == (version.scope, version.key, version.version)
    return version if is_its_own else None


async def newest(client: Client, scope: str, prefix: str = "") -> list[StateCommitted]:
    """Give the newest version of every key with a prefix, by key; raises as `versions`."""
    found: dict[str, StateCommitted] = {}
    async for version in versions(client, scope):
        if version.key.startswith(prefix):
            found[version.key] = version
    return [found[key] for key in sorted(found)]


async def of_key(client: Client, scope: str, key: str) -> list[StateCommitted]:
    """Give every version of a key.

    Raises:
        NotFoundError: there is no such key or scope.
        BusUnavailableError: the journal could not be read.
    """
    found = [version async for version in versions(client, scope, key)]
    if not found:
        raise NotFoundError(f"no state {key} in scope {scope}", got=key, fix=f"remit state list --scope {scope}")
    return found


def pick(found: list[StateCommitted], number: int) -> StateCommitted:
    """Give one of a key's versions; 0 means the newest.

    Raises:
        NotFoundError: there is no such version.
    """
    newest = found[-1]
    chosen = next((version for version in found if version.version == (number or newest.version)), None)
    if chosen is None:
        raise NotFoundError(
            f"{newest.key} has no version {number}",
            expected=f"1 to {newest.version}",
            got=str(number),
            fix=f"remit state history {quote(newest.key)} --scope {newest.scope}",
        )
    return chosen


async def value(client: Client, version: StateCommitted) -> bytes:
    """Give the JSON of a version's value, verified.

    Raises:
        NotFoundError: the object store lost it.
        MalformedMessageError: it is not what was committed.
        BusUnavailableError: it could not be read.
    """
    ref = version.value_ref
    data = bytes(version.value) if ref is None else await Blobs(client.bus).get(ref)
    if version.hash and (got := digest(data)) != version.hash:
        where = f"{version.key}, version {version.version}"
        raise MalformedMessageError("the value is not what was committed", where=where, expected=version.hash, got=got)
    return data


async def document(client: Client, version: StateCommitted) -> object:
    """Give a version's value as plain data; MISSING if it took the key out. Raises as `value`."""
    return MISSING if version.deleted else msgspec.json.decode(await value(client, version))


async def document_at(client: Client, found: list[StateCommitted], number: int) -> object:
    """Give a key's value at a version; MISSING at 0. Raises as `pick` and `value`."""
    return await document(client, pick(found, number)) if number else MISSING


async def written_elsewhere(client: Client, history: History, entries: list[Entry]) -> list[Entry]:
    """Give the versions that came while a run went on in the scopes that outlive it.

    Raises:
        BusUnavailableError: they could not be read.
    """
    if history.started is None or not entries:
        return []
    first, last = entries[0].seq, entries[-1].seq
    found: list[Entry] = []
    for scope in (TEAM_SCOPE, WORKFLOW_PREFIX + history.started.workflow):
        async for entry in client.versions(scope, start_seq=first):
            if history.finished is not None and entry.seq > last:
                break
            found.append(entry)
    return found
