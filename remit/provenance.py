"""Where a value comes from: which version set each field, who decided it, and what it replaced.

A fold over the versions of one key. A version names the parts that it changed; the newest version that changed a
part, or something it stands in, set it. A conflict that was decided for what stood already changed nothing, and is
still the reason why the part is what it is: whoever decided it answers for the value.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from remit.contracts.ids import role_of
from remit.contracts.plain import pointer, same
from remit.contracts.policy import MISSING
from remit.supervisor.paths import value_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from remit.contracts.proposal import StateCommitted, StateDecision

BY_PERSON: Final = "escalate"
"""The rule under which what a person said is committed."""
_BY_OPERATOR: Final = frozenset({"rollback", "set"})
_TAG: Final = re.compile(r"[a-z0-9_.]+\.v[1-9][0-9]*")


@dataclass(frozen=True, kw_only=True)
class Author:
    """Whoever wrote a version, or decided a conflict."""

    kind: Literal["role", "person", "operator"]
    name: str
    """Of the agent, or of the person."""
    role: str = ""

    def __str__(self) -> str:
        return f"{self.role} ({self.name})" if self.kind == "role" else f"{self.name} ({self.kind})"


def author_of(version: StateCommitted) -> Author:
    """Give who wrote a version; entries of older builds have the role in the agent's name alone."""
    if version.step == version.rule and version.rule in _BY_OPERATOR:
        return Author(kind="operator", name=version.agent)
    return Author(kind="role", name=version.agent, role=version.role or role_of(version.agent))


def decider_of(decision: StateDecision) -> Author | None:
    """Give the role or person that decided a conflict; None if a rule did."""
    if not decision.by:
        return None
    if decision.rule == BY_PERSON:
        return Author(kind="person", name=decision.by)
    return Author(kind="role", name=decision.by, role=role_of(decision.by))


# --- fields --------------------------------------------------------------------------------------


class Ruled(NamedTuple):
    """A decided conflict, and the version that it led to."""

    version: StateCommitted
    decision: StateDecision


@dataclass(frozen=True, kw_only=True)
class Origin:
    """One field: its value, and where that comes from."""

    path: str
    """JSON Pointer; empty for a document that is one value."""
    value: object
    version: StateCommitted
    """The version that set it."""
    rule: str
    """By which it stands: of the last conflict over it, else of the write."""
    by: Author
    """Who decided it, where a role or a person did; else who wrote it."""
    ruled: Ruled | None = None
    """The last conflict over it since it was set."""
    message: str = ""
    """Subject of the entry that led to it: the dispatch of the step that wrote, or the decision."""
    replaced: Replaced | None = None


class Replaced(NamedTuple):
    """What a field held before; without an author if it was not there."""

    value: object
    version: int
    by: Author | None


class Lineage:
    """The versions of one key, oldest first."""

    def __init__(self, versions: Sequence[StateCommitted]) -> None:
        self._by_number = {version.version: version for version in versions}
        self._changed: dict[str, list[int]] = defaultdict(list)
        """Numbers of the versions that changed exactly this path."""
        self._changed_below: dict[str, list[int]] = defaultdict(list)
        self._ruled: dict[str, list[Ruled]] = defaultdict(list)
        """Decisions by every path that they say something about."""
        for version in versions:
            self._take(version)
            before = self._by_number.get(version.version - 1)
            if version.version == 1 or (before is not None and before.deleted):
                self._note(version, "")  # it made the document: what it left at its default, too

    def _take(self, version: StateCommitted) -> None:
        # Older builds did not say what they changed, nor a hash: such an entry stands for the whole document.
        for path in version.changed if version.hash else version.changed or ("",):
            self._note(version, path)
        for decision in version.decisions:
            for place in (decision.path, *_above(decision.path)):
                self._ruled[place].append(Ruled(version, decision))

    def _note(self, version: StateCommitted, path: str) -> None:
        self._changed[path].append(version.version)
        for above in _above(path):
            self._changed_below[above].append(version.version)

    def origins(self, document: object, path: str = "") -> list[Origin]:
        """Give the fields at and below a path of the newest document, in order; of one that is gone, who took it."""
        newest = max(self._by_number)
        part = value_at(document, path)
        found = (self._origin(leaf, value_at(document, leaf), newest) for leaf in leaves(part, path))
        return [origin for origin in found if origin is not None]

    def replaced(self, origin: Origin, before: object) -> Origin:
        """Give an origin with what its field held in the version before, of which this is the document."""
        number, value = origin.version.version - 1, value_at(before, origin.path)
        if number == 0:
            return origin
        older = self._origin(origin.path, value, number) if value is not MISSING else None
        version, by = (older.version.version, older.by) if older is not None else (number, None)
        return replace(origin, replaced=Replaced(value, version, by))

    def _origin(self, path: str, value: object, upto: int) -> Origin | None:
        number = self._set_in(path, upto)
        if number == 0:
            return None
        version = self._by_number[number]
        ruled = self._ruling(path, number, upto)
        decider = decider_of(ruled.decision) if ruled is not None else None
        return Origin(
            path=path,
            value=value,
            version=version,
            rule=ruled.decision.rule if ruled is not None else _rule_alone(version),
            by=decider or author_of(version),
            ruled=ruled,
        )

    def _set_in(self, path: str, upto: int) -> int:
        numbers = [
            self._changed_below.get(path, []),
            *(self._changed.get(place, []) for place in (path, *_above(path))),
        ]
        return max((_newest(found, upto) for found in numbers), default=0)

    def _ruling(self, path: str, since: int, upto: int) -> Ruled | None:
        """Give the newest conflict over a part; of several in one version what somebody decided, then the closest."""
        found = [*self._ruled.get(path, []), *(item for place in _above(path) for item in self._exactly(place))]
        fitting = [item for item in found if since <= item.version.version <= upto]
        return max(fitting, key=lambda item: _weight(item, path), default=None)

    def _exactly(self, path: str) -> Iterator[Ruled]:
        return (item for item in self._ruled.get(path, []) if item.decision.path == path)


def _weight(item: Ruled, path: str) -> tuple[int, bool, bool, int]:
    said = item.decision
    return item.version.version, bool(said.by), said.path == path, len(said.path)


def _newest(numbers: Sequence[int], upto: int) -> int:
    at = bisect_right(numbers, upto)
    return numbers[at - 1] if at else 0


def _rule_alone(version: StateCommitted) -> str:
    """Give the rule of a part over which nobody met: other parts of the version may have been decided."""
    if not version.decisions:
        return version.rule
    return "disjoint" if version.base_version < version.version - 1 else "write"


def _above(path: str) -> Iterator[str]:
    """Give the paths that a path stands in, the closest first; the whole document is the last."""
    while path:
        path = path.rpartition("/")[0]
        yield path


def leaves(part: object, path: str = "") -> Iterator[str]:
    """Give the paths of what holds no named parts: lists are one value. A message's tag is no field."""
    if not isinstance(part, dict) or not part:
        yield path
        return
    for name in sorted(part):
        if not (name == "type" and len(part) > 1 and _TAG.fullmatch(str(part[name]))):
            yield from leaves(part[name], pointer(path, name))


class Difference(NamedTuple):
    """One part that differs; MISSING on the side that has none."""

    path: str
    old: object
    new: object


def differences(old: object, new: object, path: str = "") -> Iterator[Difference]:
    """Give the parts in which two documents differ, in order: objects are looked into, lists are one value."""
    if same(old, new):
        return
    if not (isinstance(old, dict) and isinstance(new, dict)):
        yield Difference(path, old, new)
        return
    for name in sorted({*old, *new}):
        yield from differences(old.get(name, MISSING), new.get(name, MISSING), pointer(path, name))


def restored(version: StateCommitted, versions: Iterable[StateCommitted]) -> int:
    """Give the older version that a rollback let stand again: the newest with its content; 0 if it took the key out."""
    older = (item.version for item in versions if item.version < version.version and item.hash == version.hash)
    return 0 if version.deleted else max(older, default=0)
