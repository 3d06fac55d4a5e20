"""The arbiter: the only writer of shared state. A version is an entry, and the append is the commit."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import structlog

from remit.bus import subject
from remit.contracts.errors import AlreadyStoredError, BusUnavailableError, MalformedMessageError, StateInvalidError
from remit.contracts.message import decode, encode
from remit.contracts.proposal import (
    TEAM_SCOPE,
    ProposeState,
    ReadState,
    StateCommitted,
    StateRead,
    StateRejected,
    StateVersion,
)
from remit.supervisor import merge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remit.bus.journal import Entry, Journal
    from remit.contracts.proposal import StateField

log = structlog.get_logger(__name__)

FILTER = "remit.state.*.*.*"
KEY_LIMIT = 512
"""Characters of a key as a subject's token; the server takes about 4,000 for a whole command."""


class Arbiter:
    """Current versions by scope and key; every change goes through the journal first."""

    def __init__(
        self, journal: Journal, fields: Sequence[StateField], *, on_commit: Callable[[StateCommitted], None]
    ) -> None:
        self._journal = journal
        self._fields = fields
        self._on_commit = on_commit
        self._scopes: dict[str, dict[str, StateCommitted]] = defaultdict(dict)
        self._decided: dict[str, dict[tuple[str, str], StateCommitted]] = defaultdict(dict)
        self._locks: dict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)  # guards one key's next version

    def apply(self, entry: Entry) -> None:
        """Apply one committed version of the journal; what does not fit its subject does not count."""
        parts = subject.parse_state(entry.subject)
        try:
            version = decode(StateCommitted, entry.data)
        except MalformedMessageError as error:
            log.warning("entry.ignored", subject=entry.subject, error=str(error))
            return
        if parts == (version.scope, version.key, version.version):
            self._take(version)

    def _take(self, version: StateCommitted) -> None:
        known = self._scopes[version.scope].get(version.key)
        if known is None or known.version < version.version:
            self._scopes[version.scope][version.key] = version
        self._decided[version.run_id][version.step, version.position] = version

    def versions(self, scope: str) -> dict[str, int]:
        """Give the current version of every key of a scope."""
        return {key: item.version for key, item in self._scopes.get(scope, {}).items()}

    def values(self, scope: str) -> dict[str, object]:
        """Give the current value of every key of a scope."""
        return {key: msgspec.json.decode(item.value) for key, item in self._scopes.get(scope, {}).items()}

    def current(self, scope: str, key: str) -> StateCommitted | None:
        """Give the current version of a key."""
        return self._scopes.get(scope, {}).get(key)

    def read(self, request: ReadState) -> StateRead:
        """Give one key, or all keys with a prefix, at this point in time."""
        _check_scope(request.run_id, request.scope)
        found = self._scopes.get(request.scope, {})
        if request.key:
            item = found.get(request.key)
            return StateRead(items=(_version(request.key, item),))
        keys = sorted(key for key in found if key.startswith(request.prefix))
        return StateRead(items=tuple(_version(key, found[key]) for key in keys))

    async def propose(self, proposal: ProposeState, *, agent: str) -> StateCommitted | StateRejected:
        """Commit, merge or reject a proposal; the same proposal asked again has the same answer.

        Raises:
            StateInvalidError: the scope is not the run's, the base is a version that does not exist, or the key
                cannot be part of a subject; nothing changed.
            MalformedMessageError: the value is no JSON; nothing changed.
            TooLargeError: the value does not fit into an entry; nothing changed.
        """
        _check_scope(proposal.run_id, proposal.scope)
        _check_key(proposal.key)
        decode(object, proposal.value)
        return await self.write(proposal, agent=agent)

    async def write(self, proposal: ProposeState, *, agent: str) -> StateCommitted | StateRejected:
        """As `propose`, for any scope: the supervisor's own writes."""
        async with self._locks[proposal.scope, proposal.key]:
            while True:
                before = self._decided.get(proposal.run_id, {}).get((proposal.step, proposal.position))
                if before is not None:
                    return before
                answer = self._decide(proposal, agent)
                if isinstance(answer, StateRejected) or await self._commit(answer):
                    return answer

    def _decide(self, proposal: ProposeState, agent: str) -> StateCommitted | StateRejected:
        current = self.current(proposal.scope, proposal.key)
        version = current.version if current is not None else 0
        if proposal.base_version > version:
            raise StateInvalidError(
                "the proposal starts from a version that does not exist",
                where=proposal.key,
                expected=f"at most {version}",
                got=str(proposal.base_version),
            )
        value, rule = proposal.value, "write"
        if current is not None and (proposal.base_version < version or self._is_written_once(proposal.key)):
            verdict = merge.decide(
                merge.field_of(self._fields, proposal.key), current=current.value, proposed=proposal.value
            )
            if verdict.value is None:
                return _rejected(proposal, verdict, current)
            value, rule = verdict.value, verdict.rule
        return _committed(proposal, agent=agent, version=version + 1, value=value, rule=rule)

    def _is_written_once(self, key: str) -> bool:
        field = merge.field_of(self._fields, key)
        return field is not None and field.rule == "write_once"

    async def _commit(self, version: StateCommitted) -> bool:
        name = subject.state(version.scope, version.key, version.version)
        try:
            await self._journal.append(name, encode(version))
        except (AlreadyStoredError, BusUnavailableError):
            return await self._read_back(name, version)
        self._take(version)
        self._on_commit(version)
        return True

    async def _read_back(self, name: str, version: StateCommitted) -> bool:
        entry = await self._journal.get(name)
        if entry is None:
            return False
        self.apply(entry)
        return decode(StateCommitted, entry.data) == version

    def forget(self, scope: str) -> None:
        """Drop a finished run's values from memory; the journal keeps them."""
        for version in self._scopes.pop(scope, {}).values():
            self._locks.pop((scope, version.key), None)
        self._decided.pop(scope, None)


def _check_scope(run: str, scope: str) -> None:
    if scope not in {run, TEAM_SCOPE}:
        raise StateInvalidError(
            "the key is outside what this run may touch", where=scope, expected=f"{run} or {TEAM_SCOPE}", got=scope
        )


def _check_key(key: str) -> None:
    if not 0 < len(subject.token(key)) <= KEY_LIMIT:
        raise StateInvalidError(
            "this cannot name a key", where="$.key", expected=f"1 to {KEY_LIMIT} letters", got=repr(key)[:40]
        )


def _version(key: str, item: StateCommitted | None) -> StateVersion:
    if item is None:
        return StateVersion(key=key, version=0)
    return StateVersion(key=key, version=item.version, value=item.value)


def _committed(proposal: ProposeState, *, agent: str, version: int, value: msgspec.Raw, rule: str) -> StateCommitted:
    return StateCommitted(
        scope=proposal.scope,
        key=proposal.key,
        version=version,
        value=value,
        run_id=proposal.run_id,
        step=proposal.step,
        position=proposal.position,
        agent=agent,
        rule=rule,
        base_version=proposal.base_version,
        committed_at=datetime.now(UTC),
    )


def _rejected(proposal: ProposeState, verdict: merge.Verdict, current: StateCommitted) -> StateRejected:
    return StateRejected(
        scope=proposal.scope,
        key=proposal.key,
        rule=verdict.rule,
        reason=verdict.reason,
        version=current.version,
        value=current.value,
    )
