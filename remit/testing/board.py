"""Shared state in memory, under the team's state contracts: what a role under test reads and proposes to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from remit.contracts.document import StateContract
from remit.contracts.errors import StateInvalidError
from remit.contracts.ids import intent_key
from remit.contracts.message import canonical, digest
from remit.contracts.policy import MISSING
from remit.contracts.proposal import StateCommitted, StateParked, StateRead, StateRejected, StateVersion
from remit.supervisor import merge
from remit.supervisor.change import Merged, StateRules, of_its_type
from remit.supervisor.explanation import agreements_of, decision_of, rule_of
from remit.supervisor.merge import Author, Merge
from remit.supervisor.versions import Held, Versions, batch_of, joined

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remit.contracts.proposal import ProposeState, ReadState, StateDecided, StateDecision
    from remit.supervisor.change import Target

WHENEVER = datetime(2000, 1, 1, tzinfo=UTC)
"""Tests depend on no clock."""
WORKFLOW = "bench"
ANYTHING: tuple[StateContract[object], ...] = (StateContract(template="{key}", kind=object),)
"""What a bench without a team takes: it knows no contracts, so a write that meets another one is rejected."""


class Board:
    """Versions of every key, in the order in which they were committed."""

    def __init__(self, contracts: Iterable[StateContract[object]] | None = None) -> None:
        self._rules = StateRules(ANYTHING if contracts is None else contracts)
        self.versions: dict[tuple[str, str], list[StateCommitted]] = {}
        self._known = Versions()

    def read(self, request: ReadState) -> StateRead:
        """Give one key, several, or every key with the prefix, as it is now, or as a version was.

        Raises:
            StateInvalidError: no contract covers a key.
        """
        if request.shows == "conflicts":
            return StateRead(items=tuple(self._conflicts(request, key) for key in request.keys))
        keys = request.keys or ((request.key,) if request.key else self._below(request))
        return StateRead(items=tuple(self._shown(request, key) for key in keys))

    def propose(self, proposal: ProposeState, *, role: str) -> StateDecided:
        """Commit, merge, reject or park by the contracts of the keys, as the arbiter does.

        Raises:
            RefusedError: it breaks a contract; nothing changed.
        """
        author = Author(
            role, "bench", proposal.run_id, proposal.step, proposal.position, proposed_at=proposal.proposed_at
        )
        merged = [self._merge(target, author) for target in self._rules.targets(proposal, role, WORKFLOW)]
        for item in merged:
            if item.merge.lost:
                return self._rejected(item, author)
        for item in merged:
            if item.merge.opened:
                first = item.merge.opened[0]
                return StateParked(
                    dispute=intent_key(proposal.run_id, proposal.step, proposal.position),
                    key=item.target.key,
                    paths=(first.path,),
                    waits_for=first.policy.role or "a person",
                )
        together = tuple(sorted(item.target.key for item in merged)) if len(merged) > 1 else ()
        return batch_of([self._commit(item, author, together) for item in merged])

    def value(self, key: str, scope: str) -> object:
        """Give a key's value as plain JSON, or None."""
        history = self.versions.get((scope, key))
        return msgspec.json.decode(history[-1].value) if history else None

    def _merge(self, target: Target, author: Author) -> Merged:
        name = (target.scope, target.key)
        history, number = self.versions.get(name, []), target.change.base_version
        if not 0 <= number <= len(history):
            raise StateInvalidError(
                "the proposal starts from a version that does not exist",
                where=target.key,
                expected=f"0 to {len(history)}",
                got=str(number),
            )
        current, base = (_plain(history, at) for at in (len(history), number))
        work = Merge(author, origins=self._known.origins(*name))
        value = work.run(target.contract.node, base, current, target.plain)
        if work.decided:
            value = of_its_type(target.contract, value)
        held = Held(0, history[-1]) if history else None
        return Merged(
            target,
            held,
            current,
            base,
            value,
            work,
            tuple((version, msgspec.json.decode(version.value)) for version in history[number:]),
            0,
        )

    def _commit(self, item: Merged, author: Author, together: tuple[str, ...]) -> StateCommitted:
        target, data = item.target, canonical(item.value)
        decided = [decision_of(item, conflict, author) for conflict in item.merge.decided]
        decisions = (*decided, *agreements_of(item, author))
        changed = tuple(merge.changed(target.contract.node, item.current, item.value))
        committed = StateCommitted(
            scope=target.scope,
            key=target.key,
            version=item.version + 1,
            value=msgspec.Raw(data),
            hash=digest(data),
            schema=target.contract.schema,
            run_id=author.run_id,
            step=author.step,
            position=author.position,
            agent=author.agent,
            role=author.role,
            rule=rule_of(decisions, is_stale=target.change.base_version < item.version),
            base_version=target.change.base_version,
            changed=changed,
            wrote=item.wrote,
            decisions=decisions,
            together=together,
            proposed_at=author.proposed_at,
            committed_at=WHENEVER,
        )
        self.versions.setdefault((target.scope, target.key), []).append(committed)
        self._known.take(committed, committed.version)
        return committed

    def _rejected(self, item: Merged, author: Author) -> StateRejected:
        lost = item.merge.lost[0]
        return StateRejected(
            scope=item.target.scope,
            key=item.target.key,
            rule=lost.policy.name,
            reason=lost.reason,
            version=item.version,
            value=item.held.version.value if item.held is not None else msgspec.Raw(b"null"),
            exists=item.current is not MISSING,
            path=lost.path,
            conflicts=tuple(decision_of(item, each, author) for each in item.merge.lost),
        )

    def _below(self, request: ReadState) -> tuple[str, ...]:
        scopes = self._rules.scopes_below(request.prefix, request.run_id, WORKFLOW)
        found = [key for scope, key in self.versions if scope in scopes and key.startswith(request.prefix)]
        return tuple(sorted(found))

    def _conflicts(self, request: ReadState, key: str) -> StateVersion:
        shown = self._shown(request, key)
        found: dict[str, StateDecision] = {}
        for version in self.versions.get((shown.scope, key), []):
            for decision in version.decisions:
                found[decision.path] = joined(found.get(decision.path), decision)
        return msgspec.structs.replace(shown, conflicts=tuple(found[path] for path in sorted(found)))

    def _shown(self, request: ReadState, key: str) -> StateVersion:
        scope = self._rules.scope_of(self._rules.contract_of(key), request.run_id, WORKFLOW, asked=request.scope)
        history = self.versions.get((scope, key), [])
        number = request.version or len(history)
        if number > len(history):
            raise StateInvalidError("there is no such version", where=key, got=str(number))
        if not number:
            return StateVersion(key=key, scope=scope, version=0)
        found = history[number - 1]
        return StateVersion(key=key, scope=scope, version=number, value=found.value, hash=found.hash)


def _plain(history: list[StateCommitted], number: int) -> object:
    return msgspec.json.decode(history[number - 1].value) if number else MISSING
