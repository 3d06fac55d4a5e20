"""Versions that operators make, whatever stands: wishes for hosts, and rollbacks."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from remit.contracts.errors import ConflictError, StateInvalidError
from remit.contracts.message import canonical, digest
from remit.contracts.policy import MISSING
from remit.contracts.proposal import StateCommitted
from remit.supervisor import merge
from remit.supervisor.merge import Author
from remit.supervisor.versions import number_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remit.contracts.control import RollbackState
    from remit.supervisor.arbiter import Arbiter


NOTHING: Mapping[str, int] = MappingProxyType({})


class Overwrites:
    """Writes past the policies, never past a dispute; journaled like any other version."""

    def __init__(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter

    async def overwrite(
        self,
        scope: str,
        changes: Mapping[str, object],
        *,
        by: str,
        rule: str,
        position: str,
        restores: Mapping[str, int] = NOTHING,
        numbers: Mapping[str, int] = NOTHING,
        expected: int = -1,
    ) -> tuple[StateCommitted, ...]:
        """Whatever stands, these values stand now: wishes of operators, rollbacks, forks. MISSING takes a key out.

        `numbers` are the versions of keys that a fork takes over: what its steps have read is called the same there.

        Raises:
            ConflictError: a conflict over one of the keys waits for its decision, or another version than the expected
                one stands; nothing changed.
            BusUnavailableError: nothing is known to be stored.
        """
        author = Author("", by, scope, rule, position, datetime.now(UTC))
        async with self._arbiter.locked(*((scope, key) for key in changes)):
            while True:
                if refs := self._arbiter.versions.committed_by(scope, rule, position):
                    return tuple([await self._arbiter.archive.version(*ref) for ref in refs])  # an earlier try landed
                for key in changes:
                    if expected not in {-1, number_of(self._arbiter.versions.held(scope, key))}:
                        raise ConflictError(
                            f"{key} has changed meanwhile",
                            where=key,
                            expected=f"version {expected}",
                            got=f"version {number_of(self._arbiter.versions.held(scope, key))}",
                            fix=f"remit state history {key} --scope {scope}",
                        )
                made = [
                    await self._overwritten(
                        scope, key, value, author=author, restores=restores.get(key, 0), number=numbers.get(key, 0)
                    )
                    for key, value in changes.items()
                ]
                self._check_disputes(made)
                stored = await self._arbiter.stored.append(made)
                if stored is not None:
                    for version, seq in zip(made, stored, strict=True):
                        self._arbiter.stored.take(version, seq)
                    return tuple(made)

    def _check_disputes(self, made: Sequence[StateCommitted]) -> None:
        """A disputed field keeps its value; what stands beside it may change."""
        for version in made:
            if self._arbiter.disputed.over(version.scope, version.key, version.changed):
                said = f"a conflict over {version.key} waits for its decision"
                raise ConflictError(said, fix="remit review list")

    async def _overwritten(
        self, scope: str, key: str, plain: object, *, author: Author, restores: int, number: int
    ) -> StateCommitted:
        contract, held = self._arbiter.rules.contract_of(key), self._arbiter.versions.held(scope, key)
        current = await self._arbiter.archive.plain(contract, held.version if held is not None else None)
        data = b"null" if plain is MISSING else canonical(plain)
        value, ref = await self._arbiter.archive.stored(data)
        return StateCommitted(
            scope=scope,
            key=key,
            version=number or number_of(held) + 1,
            value=value,
            value_ref=ref,
            deleted=plain is MISSING,
            hash=digest(data),
            schema=contract.schema,
            run_id=author.run_id,
            step=author.step,
            position=author.position,
            agent=author.agent,
            rule=author.step,
            restores=restores,
            proposed_at=author.proposed_at,
            base_version=number_of(held),
            changed=tuple(merge.changed(contract.node, current, plain)),
            committed_at=datetime.now(UTC),
        )

    async def rollback(self, wish: RollbackState, *, by: str, position: str) -> StateCommitted:
        """The value of an older version stands again, as a new version; 0 takes the key out.

        Raises:
            StateInvalidError: there is no such version or key; nothing changed.
            ConflictError: a conflict over the key waits for its decision, or another version than the expected one
                stands; nothing changed.
        """
        scope, key, number = wish.scope, wish.key, wish.version
        contract, held = self._arbiter.rules.contract_of(key), self._arbiter.versions.held(scope, key)
        if held is None or not 0 <= number < held.version.version:
            raise StateInvalidError(
                f"{key} cannot be rolled back to version {number}",
                where=key,
                expected=f"0 to {number_of(held) - 1}" if held is not None else "a key that exists in this scope",
                got=str(number),
                fix=f"remit state history {key} --scope {scope}",
            )
        version = await self._arbiter.archive.version(scope, key, number) if number else None
        plain = await self._arbiter.archive.plain(contract, version)
        (made,) = await self.overwrite(
            scope,
            {key: plain},
            by=by,
            rule="rollback",
            position=position,
            restores={key: number},
            expected=wish.expected_version,
        )
        return made
