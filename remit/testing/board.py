"""Shared state in memory, with the team's merge rules: what a role under test reads and proposes to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, assert_never

import msgspec

from remit.contracts.message import canonical, raw
from remit.contracts.proposal import MergeRule, StateCommitted, StateField, StateRead, StateRejected, StateVersion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remit.contracts.proposal import ProposeState, ReadState

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
        """Commit, merge or reject by the rule of the key's field."""
        field = self._field(proposal.key)
        current = self._version(proposal.scope, proposal.key)
        if current.version == 0 or (current.version == proposal.base_version and field.rule != "write_once"):
            return self._commit(proposal, proposal.value, "write")
        return self._merge(proposal, field, current)

    def value(self, key: str, scope: str) -> object:
        """Give a key's value as plain JSON, or None."""
        found = self._version(scope, key).value
        return None if found is None else msgspec.json.decode(found)

    def _merge(
        self, proposal: ProposeState, field: StateField, current: StateVersion
    ) -> StateCommitted | StateRejected:
        ours = msgspec.json.decode(current.value or b"null")
        theirs = msgspec.json.decode(proposal.value)
        match field.rule:
            case "max":
                return self._commit(proposal, raw(max(ours, theirs)), field.rule)
            case "union":
                return self._commit(proposal, raw(_union(ours, theirs, field.by)), field.rule)
            case "write_once" | "reject":
                return _rejected(proposal, field.rule, current)
            case _:
                assert_never(field.rule)

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

    def _field(self, key: str) -> StateField:
        fitting = [field for field in self._fields if key.startswith(field.prefix)]
        return max(fitting, key=lambda field: len(field.prefix), default=StateField(prefix="", rule="reject"))


def _rejected(proposal: ProposeState, rule: MergeRule, current: StateVersion) -> StateRejected:
    return StateRejected(
        scope=proposal.scope,
        key=proposal.key,
        rule=rule,
        reason="written_once" if rule == "write_once" else "stale_version",
        version=current.version,
        value=current.value,
    )


def _union(ours: list[object], theirs: list[object], by: str) -> list[object]:
    """Give every item of both once, in an order that does not depend on who came first."""
    items: dict[bytes, object] = {}
    for item in sorted([*ours, *theirs], key=canonical):
        name = item.get(by) if by and isinstance(item, dict) else item
        items[canonical(name)] = item
    return [items[name] for name in sorted(items)]
