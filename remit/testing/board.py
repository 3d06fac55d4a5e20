"""Shared state in memory, with the team's merge rules: what a role under test reads and proposes to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from remit.contracts.errors import StateInvalidError
from remit.contracts.proposal import StateCommitted, StateRead, StateRejected, StateVersion
from remit.supervisor import merge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remit.contracts.proposal import ProposeState, ReadState, StateField

WHENEVER = datetime(2000, 1, 1, tzinfo=UTC)
"""Tests depend on no clock."""


class Board:
    """Versions of every key, in the order in which they were committed."""

    def __init__(self, fields: Sequence[StateField] = ()) -> None:
        self._fields = fields
        self.versions: dict[tuple[str, str], list[StateCommitted]] = {}

    def read(self, request: ReadState) -> StateRead:
        """Give one key, or every key with the prefix, as it is now."""
        if request.prefix:
            found = sorted(
                key for scope, key in self.versions if scope == request.scope and key.startswith(request.prefix)
            )
            return StateRead(items=tuple(self._version(request.scope, key) for key in found))
        return StateRead(items=(self._version(request.scope, request.key),))

    def propose(self, proposal: ProposeState) -> StateCommitted | StateRejected:
        """Commit, merge or reject by the rule of the key's field, as the arbiter does.

        Raises:
            StateInvalidError: the base is a version that does not exist; nothing changed.
        """
        field = merge.field_of(self._fields, proposal.key)
        current = self._version(proposal.scope, proposal.key)
        if proposal.base_version > current.version:
            raise StateInvalidError(
                "the proposal starts from a version that does not exist",
                where=proposal.key,
                expected=f"at most {current.version}",
                got=str(proposal.base_version),
            )
        is_final = field is not None and field.rule == "write_once"
        if current.version == 0 or (current.version == proposal.base_version and not is_final):
            return self._commit(proposal, proposal.value, "write")
        verdict = merge.decide(field, current=current.value, proposed=proposal.value)
        if verdict.value is None:
            return StateRejected(
                scope=proposal.scope,
                key=proposal.key,
                rule=verdict.rule,
                reason=verdict.reason,
                version=current.version,
                value=current.value,
            )
        return self._commit(proposal, verdict.value, verdict.rule)

    def value(self, key: str, scope: str) -> object:
        """Give a key's value as plain JSON, or None."""
        found = self._version(scope, key)
        return None if found.version == 0 else msgspec.json.decode(found.value)

    def _commit(self, proposal: ProposeState, value: msgspec.Raw, rule: str) -> StateCommitted:
        history = self.versions.setdefault((proposal.scope, proposal.key), [])
        committed = StateCommitted(
            scope=proposal.scope,
            key=proposal.key,
            version=len(history) + 1,
            value=msgspec.Raw(bytes(value)),
            run_id=proposal.run_id,
            step=proposal.step,
            position=proposal.position,
            agent="bench",
            rule=rule,
            base_version=proposal.base_version,
            committed_at=WHENEVER,
        )
        history.append(committed)
        return committed

    def _version(self, scope: str, key: str) -> StateVersion:
        history = self.versions.get((scope, key), [])
        if not history:
            return StateVersion(key=key, version=0)
        return StateVersion(key=key, version=len(history), value=history[-1].value)
