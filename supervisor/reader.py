"""Reads of shared state: the newest or an older version, many keys at one point, or the next version when it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from remit.contracts.errors import StateInvalidError
from remit.contracts.proposal import StateRead, StateVersion
from remit.supervisor.explanation import raw_of

if TYPE_CHECKING:
    from remit.contracts.proposal import ReadState, StateCommitted
    from remit.supervisor.arbiter import Arbiter

MOST_WAIT_S: Final = 1.5
"""A reader that waits is answered by then, and asks again: the way back to it does not last for ever."""
KEYS_LIMIT: Final = 2_000
READ_LIMIT_BYTES: Final = 3 * 1024 * 1024


class Place(NamedTuple):
    """A key and the scope in which the reader's run sees it."""

    scope: str
    key: str


class Reader:
    """Answers reads. What a read gives is what stood at one point of the journal, for all of its keys."""

    def __init__(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter

    def places(self, request: ReadState, workflow: str) -> list[Place]:
        """Give what a request asks for, in the order in which it is answered.

        Raises:
            StateInvalidError: no contract covers a key, or it is outside what the run may touch.
        """
        keys = request.keys or ((request.key,) if request.key else ())
        if (request.version or request.newer_than >= 0) and len(keys) != 1:
            raise StateInvalidError("a version is one of exactly one key", where="$.key", got=f"{len(keys)} keys")
        if len(set(keys)) < len(keys) or max(len(keys), len(request.fields)) > KEYS_LIMIT:
            raise StateInvalidError(
                "this reads too much at once", expected=f"at most {KEYS_LIMIT} different keys", got=str(len(keys))
            )
        return [self._place(request, key, workflow) for key in keys] if keys else self._below(request, workflow)

    def _place(self, request: ReadState, key: str, workflow: str) -> Place:
        contract = self._arbiter.rules.contract_of(key)
        return Place(self._arbiter.rules.scope_of(contract, request.run_id, workflow, asked=request.scope), key)

    def _below(self, request: ReadState, workflow: str) -> list[Place]:
        scopes = self._arbiter.rules.scopes_below(request.prefix, request.run_id, workflow)
        if request.scope and request.scope not in scopes:
            raise StateInvalidError(
                "no key that begins so is in this scope",
                where="$.scope",
                expected=" or ".join(sorted(scopes)),
                got=request.scope,
            )
        wanted = [request.scope] if request.scope else sorted(scopes)
        return sorted(
            (
                Place(scope, key)
                for scope in wanted
                for key in self._arbiter.versions.keys(scope, request.prefix)
                if self._arbiter.rules.is_readable(key)
            ),
            key=lambda place: (place.key, place.scope),
        )

    def disputes(self, request: ReadState, places: list[Place]) -> set[str]:
        """Give the disputes over what the request looks at; an older version is nobody's dispute."""
        if request.version or request.shows != "values":
            return set()
        return {name for place in places for name in self._arbiter.disputed.over(*place, request.fields or ("",))}

    async def read(self, request: ReadState, places: list[Place]) -> StateRead:
        """Give the values.

        Raises:
            StateInvalidError: there is no such version, or more keys than one answer holds.
            BusUnavailableError: a value could not be read.
        """
        self._check_size(places)
        if request.shows != "values":
            return StateRead(items=tuple(self._named(place, request.shows) for place in places))
        if request.version:
            place = places[0]
            version = await self._arbiter.archive.version(place.scope, place.key, request.version)
            return StateRead(items=(msgspec.structs.replace(await self._shown(place, version), is_old=True),))
        if request.newer_than >= 0:
            await self._wait(places[0], request)
        held = [self._arbiter.versions.held(*place) for place in places]  # one point: nothing is awaited on the way
        items = [
            await self._shown(place, item.version if item is not None else None)
            for place, item in zip(places, held, strict=True)
        ]
        is_listing = not request.key and not request.keys
        return StateRead(items=tuple(items), is_listing=is_listing, prefix=request.prefix if is_listing else "")

    def _check_size(self, places: list[Place]) -> None:
        """One answer holds so much; that is known before anything is loaded."""
        versions = [held.version for place in places if (held := self._arbiter.versions.held(*place)) is not None]
        size = sum(item.value_ref.size_bytes if item.value_ref else len(bytes(item.value)) for item in versions)
        if len(places) > KEYS_LIMIT or (size > READ_LIMIT_BYTES and len(places) > 1):
            raise StateInvalidError(
                "this reads too much at once",
                expected=f"at most {KEYS_LIMIT} keys and {READ_LIMIT_BYTES} bytes",
                got=f"{len(places)} keys, {size} bytes",
                fix="read fewer keys at once",
            )

    def _named(self, place: Place, shows: str) -> StateVersion:
        held = self._arbiter.versions.held(*place)
        conflicts = self._arbiter.versions.conflicts(*place) if shows == "conflicts" else ()
        version = held.version.version if held is not None else 0
        return StateVersion(key=place.key, scope=place.scope, version=version, conflicts=conflicts)

    async def _wait(self, place: Place, request: ReadState) -> None:
        held = self._arbiter.versions.held(*place)
        if held is not None and held.version.version > request.newer_than:
            return
        await self._arbiter.stored.change(*place, within_s=min(max(request.wait_s, 0.0), MOST_WAIT_S))

    async def _shown(self, place: Place, version: StateCommitted | None) -> StateVersion:
        if version is None:
            return StateVersion(key=place.key, scope=place.scope, version=0)
        contract = self._arbiter.rules.contract_of(place.key)
        if version.value_ref is None and version.schema == contract.schema and not version.deleted:
            value = version.value  # as it stands, without a look inside
        else:
            plain = await self._arbiter.archive.plain(contract, version)
            value = raw_of(plain)
        return StateVersion(
            key=place.key,
            scope=place.scope,
            version=version.version,
            value=value,
            hash=version.hash,
            deleted=version.deleted,
        )
