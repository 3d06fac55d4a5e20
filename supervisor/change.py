"""What a proposal asks of each key, checked against the key's contract before anything is merged."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from remit.bus import subject
from remit.contracts.document import StateContract, StateContracts, scope_of
from remit.contracts.errors import GrantDeniedError, MalformedMessageError, StateInvalidError, UsageError
from remit.contracts.message import convert, encode
from remit.contracts.plain import plain_of
from remit.supervisor import merge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remit.contracts.proposal import ProposeState, StateChange, StateCommitted
    from remit.supervisor.merge import Author, Merge, Open
    from remit.supervisor.versions import Held

KEY_LIMIT = 512
"""Characters of a key as a subject's token; the server takes about 4,000 for a whole command."""
CHANGES_LIMIT = 200
"""Keys of one proposal."""
POOLS: StateContract[object] = StateContract(template="pool.{role}", kind=object, scope="team")
FORK_KEY = "fork."
FORKS: StateContract[object] = StateContract(template="fork.{name}", kind=object, scope="team")
_OWN = (POOLS, FORKS)
"""The supervisor's own documents: roles neither see nor write them."""
"""Wishes for hosts; no role writes them."""


@dataclass(frozen=True)
class Target:
    """One key of a proposal, checked against its contract."""

    contract: StateContract[object]
    scope: str
    change: StateChange
    plain: object

    @property
    def key(self) -> str:
        """The key."""
        return self.change.key


@dataclass(frozen=True)
class Merged:
    """One key of a proposal against what stands."""

    target: Target
    held: Held | None
    current: object
    base: object
    value: object
    merge: Merge
    since: tuple[tuple[StateCommitted, object], ...]
    """The versions after the base with their documents, as far as they were looked at."""
    omitted: int

    @cached_property
    def wrote(self) -> tuple[str, ...]:
        """The parts that the proposer changed from its base."""
        return tuple(merge.changed(self.target.contract.node, self.base, self.target.plain))

    @cached_property
    def changed(self) -> tuple[str, ...]:
        """The parts in which the merged document differs from what stands."""
        if self.base is self.current and self.value == self.target.plain:
            return self.wrote  # nobody else wrote, as nearly always
        return tuple(merge.changed(self.target.contract.node, self.current, self.value))

    @property
    def version(self) -> int:
        """The version that stands."""
        return self.held.version.version if self.held is not None else 0


def request_of(proposal: ProposeState) -> str:
    """Give the digest of what a proposal asks: each key, its base, and the bytes of its value."""
    told = hashlib.sha256()
    for item in proposal.changes:
        told.update(encode((item.key, item.base_version, len(bytes(item.value)))))
        told.update(bytes(item.value))
    return told.hexdigest()


@dataclass(frozen=True)
class Contested:
    """A proposal with conflicts that a role or a person must decide."""

    dispute: str
    proposal: ProposeState
    author: Author
    items: tuple[tuple[Merged, Open], ...]


class StateRules:
    """The contracts of a team's state."""

    def __init__(self, contracts: Iterable[StateContract[object]]) -> None:
        self._contracts = StateContracts([*contracts, *_OWN])

    def scopes_below(self, prefix: str, run: str, workflow: str) -> set[str]:
        """Give the scopes that hold keys with a prefix.

        Raises:
            StateInvalidError: no contract has such keys.
        """
        found = {
            scope_of(item, run_id=run, workflow=workflow)
            for item in self._contracts
            if item not in _OWN and (item.prefix.startswith(prefix) or prefix.startswith(item.prefix))
        }
        if not found:
            self._contracts.of(prefix)
        return found

    def is_readable(self, key: str) -> bool:
        """Say whether a contract of the team covers a key; the supervisor's own are not for roles."""
        return (found := self._contracts.find(key)) is not None and found not in _OWN

    def scopes_or_none(self, prefix: str, run: str, workflow: str) -> set[str]:
        """As `scopes_below`; none if no contract has such keys."""
        try:
            return self.scopes_below(prefix, run, workflow)
        except StateInvalidError:
            return set()

    def scope_or_none(self, key: str, run: str, workflow: str) -> str | None:
        """Give the scope in which a run sees a key; None if no contract covers it."""
        try:
            return scope_of(self.contract_of(key), run_id=run, workflow=workflow)
        except StateInvalidError:
            return None

    def targets(self, proposal: ProposeState, role: str, workflow: str) -> tuple[Target, ...]:
        """Give the keys of a proposal with their contracts and decoded values.

        Raises:
            RefusedError: a key, its scope, its value or its author is none that its contract knows.
        """
        keys = [change.key for change in proposal.changes]
        if not 0 < len(set(keys)) == len(keys) <= CHANGES_LIMIT:
            raise StateInvalidError(
                "these changes do not make one proposal",
                where="$.changes",
                expected=f"1 to {CHANGES_LIMIT} different keys",
                got=f"{len(keys)}, {len(set(keys))} different",
            )
        return tuple(self._target(proposal.run_id, change, role=role, workflow=workflow) for change in proposal.changes)

    def _target(self, run: str, change: StateChange, *, role: str, workflow: str) -> Target:
        contract = self.contract_of(change.key)
        scope = self.scope_of(contract, run, workflow, asked=change.scope)
        if contract in _OWN or (contract.writers and role not in contract.writers):
            raise GrantDeniedError(
                f"role {role} may not write {contract.template}",
                where=change.key,
                expected=", ".join(contract.writers) or "nobody but the supervisor",
                got=role,
            )
        return Target(contract, scope, change, contract.checked(change.value))

    def contract_of(self, key: str) -> StateContract[object]:
        """Give the contract of a key.

        Raises:
            StateInvalidError: the team declares none, or the key cannot be part of a subject.
        """
        if not 0 < len(subject.token(key)) <= KEY_LIMIT:
            raise StateInvalidError(
                "this cannot name a key", where="$.key", expected=f"1 to {KEY_LIMIT} letters", got=repr(key)[:40]
            )
        return self._contracts.of(key)

    def scope_of(self, contract: StateContract[object], run: str, workflow: str, *, asked: str) -> str:
        """Give the scope in which a run sees a contract's documents.

        Raises:
            StateInvalidError: it asked for another one.
        """
        scope = scope_of(contract, run_id=run, workflow=workflow)
        if asked not in {"", scope}:
            raise StateInvalidError(
                "the key is outside what this run may touch", where="$.scope", expected=scope, got=asked
            )
        return scope


def overlap(one: str, other: str) -> bool:
    """Say whether one JSON Pointer names a part of what the other names."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def check_ruling(contract: StateContract[object], document: object, *, path: str, value: object) -> None:
    """A document with this value at a path is of its type.

    Raises:
        UsageError: it is not.
    """
    try:
        of_its_type(contract, merge.put_at(document, path, value))
    except StateInvalidError as error:
        raise UsageError(
            "this value does not fit the field", where=path or "/", expected=error.expected, got=error.got
        ) from error


def of_its_type(contract: StateContract[object], value: object) -> object:
    """Give a merged document as plain data of its type.

    Raises:
        StateInvalidError: a policy, a role or a person gave a value that the type does not take.
    """
    try:
        return plain_of(convert(contract.kind, value))
    except MalformedMessageError as error:
        raise StateInvalidError(
            f"the merged value is not of the type of {contract.template}",
            where=error.where,
            expected=error.expected,
            got=error.got,
        ) from error
