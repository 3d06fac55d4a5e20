"""The versions that stand, who wrote each part of them, and what became of every proposal: folded from the journal."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import structlog

from remit.bus import subject
from remit.contracts.document import order_of, same
from remit.contracts.errors import MalformedMessageError
from remit.contracts.ids import is_run
from remit.contracts.message import decode
from remit.contracts.proposal import ProposalRecord, StateBatch, StateCommitted, StateDecision
from remit.supervisor.merge import Author, moment

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from remit.bus.journal import Entry
    from remit.contracts.proposal import StateSide

log = structlog.get_logger(__name__)

FILTERS = ("remit.state.*.*.*", "remit.run.*.*.state.*.*")
SIDES_LIMIT = 50
"""Of one conflict; the rest is counted."""
VersionRef = tuple[str, str, int]
"""Scope, key and number."""
Proposal = tuple[str, str]
"""Step and position: with its run, the name of a proposal."""


class SharedDocument(msgspec.Struct, frozen=True):
    """A key that belongs to no run, as a snapshot tells of it."""

    seq: int
    version: StateCommitted
    origins: dict[str, dict[str, Author]]
    conflicts: dict[str, StateDecision]


class SharedCommit(msgspec.Struct, frozen=True):
    """What an open run's proposal changed of such keys."""

    run_id: str
    step: str
    position: str
    request: str
    versions: tuple[VersionRef, ...]


class Held(NamedTuple):
    """The newest version of a key, and where it stands in the journal."""

    seq: int
    version: StateCommitted


class Versions:
    """Newest versions by scope and key. Changed by journal entries alone."""

    def __init__(self) -> None:
        self._scopes: dict[str, dict[str, Held]] = defaultdict(dict)
        self._origins: dict[tuple[str, str], dict[str, dict[str, Author]]] = {}
        self._conflicts: dict[tuple[str, str], dict[str, StateDecision]] = {}
        self._committed: dict[str, dict[Proposal, list[VersionRef]]] = defaultdict(dict)
        self._requests: dict[str, dict[Proposal, str]] = defaultdict(dict)
        self._lost: dict[str, dict[Proposal, str]] = defaultdict(dict)

    # --- the fold --------------------------------------------------------------------------------

    def apply(self, entry: Entry) -> None:
        """Apply one entry; what does not fit its contract or its subject does not count."""
        try:
            if (about := subject.parse_state(entry.subject)) is not None:
                version = decode(StateCommitted, entry.data)
                if about == (version.scope, version.key, version.version):
                    self.take(version, entry.seq)
            elif (parts := subject.parse_run(entry.subject)) is not None:
                record = decode(ProposalRecord, entry.data)
                asked = record.proposal
                if (parts.run, parts.lane, parts.index) == (asked.run_id, asked.step, asked.position):
                    self.record(record)
        except MalformedMessageError as error:
            log.warning("entry.ignored", subject=entry.subject, error=str(error))

    def take(self, version: StateCommitted, seq: int) -> None:
        """Note a version that is stored."""
        refs = self._committed[version.run_id].setdefault((version.step, version.position), [])
        if (ref := (version.scope, version.key, version.version)) not in refs:
            refs.append(ref)
        self._requests[version.run_id].setdefault((version.step, version.position), version.request)
        before = self._scopes[version.scope].get(version.key)
        if before is not None and before.version.version >= version.version:
            return
        self._scopes[version.scope][version.key] = Held(seq, version)
        if version.decisions:
            conflicts = self._conflicts.setdefault((version.scope, version.key), {})
            for decision in version.decisions:
                conflicts[decision.path] = joined(conflicts.get(decision.path), decision)
        self._note_authors(version)

    def _note_authors(self, version: StateCommitted) -> None:
        """A part belongs to who changed it, and to all who say the same of it."""
        name, author = (version.scope, version.key), author_of(version)
        origins = {} if version.deleted else self._origins.setdefault(name, {})
        self._origins[name] = origins
        for path in version.changed:
            for below in [item for item in origins if item.startswith(f"{path}/")]:
                del origins[below]
            origins[path] = {author.role: author}
        lost = {item.path for item in version.decisions if not _is_among_winners(version, item)}
        for path in set(version.wrote) - set(version.changed) - lost:
            agreed = origins.setdefault(path, {})
            agreed[author.role] = max(author, agreed.get(author.role, author), key=moment)

    def record(self, record: ProposalRecord) -> None:
        """Note a proposal that changed nothing."""
        asked = record.proposal
        self._requests[asked.run_id].setdefault((asked.step, asked.position), record.request)
        kind = "rejected" if record.rejected is not None else "refused"
        self._lost[asked.run_id].setdefault((asked.step, asked.position), kind)

    def forget(self, run: str) -> None:
        """Drop what only an open run needs; the journal keeps it."""
        for key in self._scopes.pop(run, {}):
            self._origins.pop((run, key), None)
            self._conflicts.pop((run, key), None)
        self._committed.pop(run, None)
        self._lost.pop(run, None)
        self._requests.pop(run, None)

    def forget_all_but(self, runs: Container[str]) -> None:
        """Drop what belongs to any run but these."""
        known = {*self._scopes, *self._committed, *self._lost, *self._requests}
        for name in known:
            if is_run(name) and name not in runs:
                self.forget(name)

    # --- the snapshot ----------------------------------------------------------------------------

    def shared(self) -> tuple[SharedDocument, ...]:
        """Give what stands of every key that belongs to no run."""
        return tuple(
            SharedDocument(
                seq=held.seq,
                version=held.version,
                origins={path: dict(authors) for path, authors in self.origins(scope, key).items()},
                conflicts=dict(self._conflicts.get((scope, key), {})),
            )
            for scope, keys in self._scopes.items()
            if not is_run(scope)
            for key, held in keys.items()
        )

    def shared_commits(self, runs: Container[str]) -> tuple[SharedCommit, ...]:
        """Give the proposals of these runs that made versions of such keys; others stand with their run's own."""
        return tuple(
            SharedCommit(
                run_id=run,
                step=step,
                position=position,
                request=self.request_of(run, step, position),
                versions=tuple(ref for ref in refs if not is_run(ref[0])),
            )
            for run, committed in self._committed.items()
            if run in runs
            for (step, position), refs in committed.items()
            if any(not is_run(ref[0]) for ref in refs)
        )

    def restore(self, documents: Iterable[SharedDocument], commits: Iterable[SharedCommit]) -> None:
        """Know what a snapshot knew; whatever is applied later comes on top of it."""
        for item in documents:
            scope, key = item.version.scope, item.version.key
            self._scopes[scope][key] = Held(item.seq, item.version)
            self._origins[scope, key] = item.origins
            if item.conflicts:
                self._conflicts[scope, key] = item.conflicts
        for commit in commits:
            proposal = (commit.step, commit.position)
            self._committed[commit.run_id][proposal] = [*commit.versions]
            self._requests[commit.run_id][proposal] = commit.request

    # --- what stands -----------------------------------------------------------------------------

    def held(self, scope: str, key: str) -> Held | None:
        """Give the newest version of a key."""
        return self._scopes.get(scope, {}).get(key)

    def keys(self, scope: str, prefix: str = "") -> list[str]:
        """Give the keys of a scope that exist, sorted."""
        found = self._scopes.get(scope, {})
        return sorted(key for key, held in found.items() if key.startswith(prefix) and not held.version.deleted)

    def all(self) -> list[StateCommitted]:
        """Give the newest version of every key."""
        return [held.version for scope in self._scopes.values() for held in scope.values()]

    def origins(self, scope: str, key: str) -> Mapping[str, Mapping[str, Author]]:
        """Give who wrote each part of a document, by path: of each role the last who says what stands."""
        return self._origins.get((scope, key), {})

    def conflicts(self, scope: str, key: str) -> tuple[StateDecision, ...]:
        """Give the conflicts that were decided over a document, by path; of one field the last, with all its sides."""
        return tuple(decision for _path, decision in sorted(self._conflicts.get((scope, key), {}).items()))

    def committed_by(self, run: str, step: str, position: str) -> list[VersionRef]:
        """Name the versions that a proposal made; none if it made none."""
        return self._committed.get(run, {}).get((step, position), [])

    def request_of(self, run: str, step: str, position: str) -> str:
        """Give the digest of what was proposed; empty if it is not known."""
        return self._requests.get(run, {}).get((step, position), "")

    def lost_as(self, run: str, step: str, position: str) -> str:
        """Say as what a lost proposal is recorded: `rejected` or `refused`; empty if it is not."""
        return self._lost.get(run, {}).get((step, position), "")

    def is_decided(self, run: str, step: str, position: str) -> bool:
        """Say whether it is known what became of a proposal."""
        return bool(self.committed_by(run, step, position) or self.lost_as(run, step, position))

    def has_committed(self, run: str, step: str) -> bool:
        """Say whether a step changed anything."""
        return any(name == step for name, _position in self._committed.get(run, {}))


def run_of(name: str) -> str:
    """Give the run in the subject of a version or of a lost proposal; for another scope, the scope."""
    if (about := subject.parse_state(name)) is not None:
        return about.scope
    parts = subject.parse_run(name)
    return parts.run if parts is not None else ""


def number_of(held: Held | None) -> int:
    """Give the number of the version that stands; 0 if there is none."""
    return held.version.version if held is not None else 0


def joined(before: StateDecision | None, decision: StateDecision) -> StateDecision:
    """Give one conflict for all who wrote a field from one base; who wrote from another base met another conflict."""
    if before is None or not _have_one_base(before, decision):
        return decision
    sides = {(side.run_id, side.step, side.position): side for side in (*before.sides, *decision.sides)}
    told = sorted(sides.values(), key=side_order)
    omitted = max(before.sides_omitted, decision.sides_omitted) + max(len(told) - SIDES_LIMIT, 0)
    return msgspec.structs.replace(decision, sides=tuple(told[:SIDES_LIMIT]), sides_omitted=omitted)


def together_with(entry: Entry) -> list[tuple[str, str]]:
    """Name the documents that were committed with one; none if the entry does not count."""
    try:
        version = decode(StateCommitted, entry.data)
    except MalformedMessageError:
        return []
    return [*zip(version.together_in, version.together, strict=False)]


def _is_among_winners(version: StateCommitted, decision: StateDecision) -> bool:
    """Say whether what a version's proposer wished of a field is what was decided."""
    name = (version.run_id, version.step, version.position)
    own = [side for side in decision.sides if (side.run_id, side.step, side.position) == name]
    return bool(own) and same(own[0].value, decision.result)


def _have_one_base(one: StateDecision, other: StateDecision) -> bool:
    return one.base_is_missing == other.base_is_missing and same(one.base, other.base)


def side_order(side: StateSide) -> tuple[str, str, str, str, bytes]:
    """Give an order of the sides of a conflict that does not tell who was first."""
    return side.role, side.run_id, side.step, side.position, order_of(side.value)


def batch_of(committed: list[StateCommitted]) -> StateCommitted | StateBatch:
    """Give the answer to a proposal that was committed: the version, or all of several in the order of their keys."""
    if not committed[0].together:
        return committed[0]
    return StateBatch(versions=tuple(sorted(committed, key=lambda item: (item.scope, item.key))))


def author_of(version: StateCommitted) -> Author:
    """Give who wrote a version."""
    return Author(
        version.role, version.agent, version.run_id, version.step, version.position, proposed_at=version.proposed_at
    )
