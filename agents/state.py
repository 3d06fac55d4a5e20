"""Shared state as a role sees it: read with version, propose from a version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Generic, Literal, TypeVar

import msgspec

from remit.contracts.blob import INLINE_LIMIT_BYTES
from remit.contracts.errors import ConflictError, ContendedError
from remit.contracts.message import NULL, decode_any, digest, digest_of, encode, raw
from remit.contracts.proposal import (
    DECIDED,
    ProposeState,
    ReadState,
    StateBatch,
    StateChange,
    StateCommitted,
    StateDecided,
    StateDecision,
    StateParked,
    StateRead,
    StateRef,
    StateRejected,
    StateVersion,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from remit.agents.context import Context

T = TypeVar("T")

RECORD_BYTES: Final = 32 * 1024
"""Of a read; all records of a step go to its next holder in one message."""
UPDATES: Final = 8
"""How often `update` starts again from the newest value."""
_NULL_HASH: Final = digest(b"null")


@dataclass(frozen=True)
class Versioned(Generic[T]):
    """A value of shared state and the version that was read; version 0 and None if there is none."""

    key: str
    version: int
    value: T | None
    hash: str = ""
    scope: str = ""

    @property
    def ref(self) -> StateRef:
        """The value by reference, for a message to another role: it names exactly what was seen here."""
        return StateRef(key=self.key, version=self.version, hash=self.hash, scope=self.scope)


@dataclass(frozen=True)
class Change:
    """One key of several that change together: `ctx.state.propose_all(Change("a", 1), Change("b", 2, base=3))`."""

    key: str
    value: object
    base: int = 0


@dataclass(frozen=True)
class Conflict:
    """A conflict over one field of a document, and how it was decided."""

    key: str
    decision: StateDecision


class StateView:
    """`ctx.state`: the documents that the team declares; each in the scope that its contract names."""

    def __init__(self, context: Context) -> None:
        self._context = context

    # --- reading ---------------------------------------------------------------------------------

    async def read(self, key: str, kind: type[T], *, version: int = 0, fields: Sequence[str] = ()) -> Versioned[T]:
        """Give the newest version of a key, or exactly one; recorded, so that a replay sees what was seen.

        While a conflict over the key waits for its decision, so does the step: it is parked. Who names `fields` (JSON
        Pointers such as `/risk`) waits only for conflicts over these.

        Raises:
            RefusedError: no contract covers the key, or it has no such version.
        """
        return _versioned((await self._fetch(key=key, version=version, fields=tuple(fields)))[0], kind)

    async def at(self, ref: StateRef, kind: type[T]) -> Versioned[T]:
        """Give exactly what a reference names.

        Raises:
            RefusedError: there is no such version.
            ConflictError: what stands there is not what the reference's hash says.
        """
        item = (await self._fetch(key=ref.key, version=ref.version))[0]
        if item.hash != ref.hash:
            raise ConflictError("the reference names another content", where=ref.key, expected=ref.hash, got=item.hash)
        return _versioned(item, kind)

    async def read_all(self, keys: Sequence[str], kind: type[T]) -> tuple[Versioned[T], ...]:
        """Give several keys as they stood together, at one point; recorded. Raises as `read`."""
        items = await self._fetch(keys=tuple(keys)) if keys else ()
        return tuple(_versioned(item, kind) for item in items)

    async def list(self, prefix: str, kind: type[T]) -> tuple[Versioned[T], ...]:
        """Give all keys with a prefix, sorted by key, as they stood together; recorded. Raises as `read`."""
        return tuple(_versioned(item, kind) for item in await self._fetch(prefix=prefix))

    async def conflicts(self, prefix: str) -> tuple[Conflict, ...]:
        """Give every conflict that was decided over keys with a prefix, by key and path; recorded.

        Each tells base, sides, rule and result, the same whoever of the sides came first.
        """
        names = [item.key for item in await self._fetch(prefix=prefix, shows="names") if item.version > 1]
        found: list[Conflict] = []
        for at in range(0, len(names), _CONFLICTS_AT_ONCE):
            items = await self._fetch(keys=tuple(names[at : at + _CONFLICTS_AT_ONCE]), shows="conflicts")
            found += [Conflict(item.key, decision) for item in items for decision in item.conflicts]
        return tuple(found)

    async def watch(self, key: str, kind: type[T], *, since: int = 0, within_s: float) -> AsyncIterator[Versioned[T]]:
        """Give the newest version whenever there is one after `since`; ends when there is none for `within_s`.

        Every version given is recorded. Versions that were replaced before anybody looked are not given.
        """
        while True:
            item = (await self._fetch(key=key, newer_than=since, wait_s=within_s))[0]
            if item.version <= since:
                return
            since = item.version
            yield _versioned(item, kind)

    # --- writing ---------------------------------------------------------------------------------

    async def propose(self, key: str, value: object, *, base: int = 0) -> StateCommitted | StateRejected | StateParked:
        """Ask to move a key from the version that was read; recorded.

        Committed: the answer holds the value that stands, which is a merged one if others wrote meanwhile. Rejected:
        nothing changed, and the answer holds what stands. Parked: a role or a person decides; nothing changed yet.

        Raises:
            RefusedError: it breaks the key's contract, or this role may not write it; nothing changed.
        """
        answer = await self._propose((Change(key, value, base),))
        if isinstance(answer, StateBatch):
            return answer.versions[0]
        return answer

    async def propose_all(self, *changes: Change) -> StateBatch | StateRejected | StateParked:
        """Ask to move several keys together or not at all; recorded. Raises as `propose`."""
        answer = await self._propose(changes)
        return StateBatch(versions=(answer,)) if isinstance(answer, StateCommitted) else answer

    async def update(
        self, key: str, kind: type[T], change: Callable[[T | None], object], *, attempts: int = UPDATES
    ) -> StateCommitted | StateRejected | StateParked:
        """Read, change and propose; start again from the newest value when somebody else was first.

        `change` is given the value, or None, and gives the new one. Rejections for other reasons are given back.

        Raises:
            ContendedError: others were first every time; nothing of the last try is stored.
            RefusedError: as `propose`.
        """
        found = await self.read(key, kind)
        version, value = found.version, found.value
        for _ in range(attempts):
            answer = await self.propose(key, change(value), base=version)
            if not isinstance(answer, StateRejected) or answer.reason != "stale_version":
                return answer
            version, value = answer.version, await self._newest(answer, kind)
        raise ContendedError(
            f"others changed {key} each time before this step could", where=key, expected=f"a turn in {attempts} tries"
        )

    async def _newest(self, lost: StateRejected, kind: type[T]) -> T | None:
        if not lost.exists:
            return None
        if lost.value_ref is None and bytes(lost.value) != b"null":
            value: T = decode_any(kind, lost.value)
            return value
        return (await self.read(lost.key, kind, version=lost.version)).value

    async def _propose(self, changes: tuple[Change, ...]) -> StateDecided:
        context = self._context
        asked = tuple(StateChange(key=item.key, base_version=item.base, value=raw(item.value)) for item in changes)
        identity = [
            {"key": item.key, "base": item.base_version, "value": msgspec.json.decode(item.value)} for item in asked
        ]

        async def act(position: str) -> bytes:
            proposal = ProposeState(
                run_id=context.run_id,
                step=context.step_id,
                epoch=context.epoch,
                position=position,
                changes=asked,
                proposed_at=datetime.now(UTC),
            )
            return _recordable(await context.port.propose(proposal))

        name = ", ".join(item.key for item in changes)
        answer = await context.recorded("propose", name, request=digest_of(identity), act=act)
        verdict: StateDecided = decode_any(DECIDED, answer)
        return verdict

    async def _fetch(  # one request with all its options
        self,
        *,
        key: str = "",
        prefix: str = "",
        keys: tuple[str, ...] = (),
        version: int = 0,
        newer_than: int = -1,
        wait_s: float = 0.0,
        fields: tuple[str, ...] = (),
        shows: Literal["values", "names", "conflicts"] = "values",
    ) -> tuple[StateVersion, ...]:
        context = self._context
        request = ReadState(
            run_id=context.run_id,
            step=context.step_id,
            epoch=context.epoch,
            key=key,
            prefix=prefix,
            keys=keys,
            version=version,
            newer_than=newer_than,
            wait_s=wait_s,
            fields=fields,
            shows=shows,
        )
        seen: list[StateRead] = []

        async def act(_position: str) -> bytes:
            seen.append(await self._read(request))
            return _without_values(seen[0])

        identity = msgspec.structs.replace(request, run_id="", epoch=0)  # a fork asks the same as its origin
        name = key or ", ".join(keys) or f"{prefix}*"
        answer = await context.recorded("read", name, request=digest_of(identity), act=act)
        if seen:
            return seen[0].items
        found: StateRead = decode_any(StateRead, answer)
        return tuple([await self._whole(item) for item in found.items])

    async def _read(self, request: ReadState) -> StateRead:
        """Wait as long as the request says: one answer comes sooner, so that the way back to us never grows old."""
        port, left_s = self._context.port, request.wait_s
        while True:
            answer = await port.read(msgspec.structs.replace(request, wait_s=left_s))
            left_s -= _ONE_WAIT_S
            if request.newer_than < 0 or left_s <= 0 or answer.items[0].version > request.newer_than:
                return answer

    async def _whole(self, item: StateVersion) -> StateVersion:
        """Give a version whose value was too large for the record: it is read again, and is what it was."""
        if item.deleted or bytes(item.value) != b"null" or item.hash in {"", _NULL_HASH}:
            return item
        context = self._context
        request = ReadState(
            run_id=context.run_id, step=context.step_id, epoch=context.epoch, key=item.key, version=item.version
        )
        return (await context.port.read(request)).items[0]


_CONFLICTS_AT_ONCE: Final = 10
_ONE_WAIT_S: Final = 1.5
"""How long the supervisor lets a reader wait before it answers with what there is."""


def _versioned(item: StateVersion, kind: type[T]) -> Versioned[T]:
    is_there = item.version > 0 and not item.deleted
    value = decode_any(kind, item.value) if is_there else None
    return Versioned(item.key, item.version, value, hash=item.hash, scope=item.scope)


def _without_values(read: StateRead) -> bytes:
    """Give a read as it is recorded: of what is too large for an entry, the versions and hashes alone."""
    if len(body := encode(read)) <= RECORD_BYTES:
        return body
    items = tuple(msgspec.structs.replace(item, value=NULL) for item in read.items)
    return encode(msgspec.structs.replace(read, items=items))


def _recordable(answer: StateDecided) -> bytes:
    """Give an answer as it is recorded: what is too large for an entry is in the versions that it names."""
    body = encode(answer)
    if len(body) <= INLINE_LIMIT_BYTES:
        return body
    match answer:
        case StateBatch(versions=versions):
            return encode(StateBatch(versions=tuple(_named(item) for item in versions)))
        case StateCommitted():
            return encode(_named(answer))
        case StateRejected():
            return encode(msgspec.structs.replace(answer, value=NULL, conflicts=()))
        case _:
            return body


def _named(version: StateCommitted) -> StateCommitted:
    return msgspec.structs.replace(version, value=NULL, decisions=())
