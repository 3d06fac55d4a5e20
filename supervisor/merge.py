"""Three-way merge: two changes of one document from a common base become one, or a list of conflicts. Pure.

Part by part, down from the document: a part that only one side changed takes that side's value; the same change on
both sides is no conflict; objects are merged field by field, mappings entry by entry, and lists under `union(by=…)`
item by item, named in a path like `/findings/id=F1`; all else is one value, and where both sides changed it, the policy
of the part decides. A part that is missing is not one that is null: taking a part out is a change like any other, and
meets an edit as a conflict. Conflicts come in the order of their paths.

What a policy gives depends on the base and the *set* of the sides alone. So two proposals give the same document in
either order, and by the same explanation. `reject`, `arbitrate` and `escalate` give no value: they name the conflict.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime  # noqa: TC003  # a snapshot's authors are decoded
from typing import TYPE_CHECKING, Final, NamedTuple

from remit.contracts.errors import GrantDeniedError
from remit.contracts.part import Fields, Leaf
from remit.contracts.plain import differing, pointer, same
from remit.contracts.policy import MISSING, UNDECIDED, Policy
from remit.supervisor.items import by_name, gained, in_order, items_of
from remit.supervisor.paths import changed, child_of, formed, parts_of, put_at, value_at
from remit.supervisor.rung import asked, extreme, is_nothing, number_of, strongest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remit.contracts.part import Node
    from remit.contracts.proposal import RejectReason
    from remit.supervisor.paths import Parts

__all__ = [
    "WAITING",
    "Author",
    "Decided",
    "Lost",
    "Merge",
    "Open",
    "Ruling",
    "Three",
    "changed",
    "put_at",
    "value_at",
]

WAITING: Final = Policy(kind="reject", name="disputed")
"""The rule by which a change of a field loses while a conflict over it waits."""


class Author(NamedTuple):
    """Who wrote a part, and when by their own clock."""

    role: str
    agent: str
    run_id: str
    step: str
    position: str
    proposed_at: datetime


class Three(NamedTuple):
    """One part as it was, as it stands, and as it is proposed."""

    base: object
    current: object
    proposed: object

    @property
    def has_moved(self) -> bool:
        """Whether somebody else changed it."""
        return not same(self.base, self.current)

    @property
    def agree(self) -> bool:
        """Whether both sides say the same."""
        return same(self.current, self.proposed)

    @property
    def sides(self) -> tuple[object, object]:
        """What is said by those who changed it."""
        return self.current, self.proposed


class Decided(NamedTuple):
    """A conflict that a rule decided."""

    path: str
    policy: Policy
    rungs: tuple[str, ...]
    three: Three
    result: object


class Open(NamedTuple):
    """A conflict that waits for a role or a person: the policy says for whom."""

    path: str
    policy: Policy
    rungs: tuple[str, ...]
    three: Three


class Lost(NamedTuple):
    """A conflict that nothing decides: the proposal is rejected."""

    path: str
    policy: Policy
    rungs: tuple[str, ...]
    three: Three
    reason: RejectReason


class Ruling(NamedTuple):
    """What a role or a person said about a disputed part."""

    value: object
    rule: str
    by: str
    reason: str
    rungs: tuple[str, ...] = ()
    decided_in: str = ""
    """The review, or the step of the role."""


@dataclass
class Merge:
    """One proposal against what stands, and what came of it."""

    proposer: Author
    origins: Mapping[str, Mapping[str, Author]] = field(default_factory=dict)
    """Who says what stands of each part, by path and role."""
    rulings: Mapping[str, Ruling] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    """How many arbitrating roles gave no ruling, by path: so many such rungs of its ladder are passed over."""
    decided: list[Decided] = field(default_factory=list)
    opened: list[Open] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)

    def run(self, node: Node, base: object, current: object, proposed: object) -> object:  # noqa: PLR0917  # the three of a three-way merge
        """Give the merged document; it counts only if nothing was lost or opened.

        Raises:
            GrantDeniedError: the proposer's role may not write a part that it changed.
            StateInvalidError: a policy of the team's own raised, or gave something that is no value.
        """
        return self._part(node, "", Three(base, current, proposed))

    # --- structure -------------------------------------------------------------------------------

    def _part(self, node: Node, path: str, three: Three) -> object:
        if not isinstance(node, Leaf):
            base, current, proposed = (parts_of(node, side) for side in three)
            # Where the other side took all of it out, an edit meets that as a whole.
            is_gone = three.current is MISSING and three.base is not MISSING
            if three.proposed is MISSING:
                self._take_out(node, path, base or {})
            elif not (is_gone or base is None or current is None or proposed is None):
                return self._each(node, path, (base, current, proposed))
            node, three = _WHOLE, three._replace(proposed=formed(node, three.proposed))
        return three.current if same(three.base, three.proposed) else self._leaf(node, path, three)

    def _each(self, node: Node, path: str, sides: tuple[Parts, Parts, Parts]) -> dict[str, object]:
        base, current, proposed = sides
        merged = dict(current)
        for name in differing(base, proposed):
            below = Three(*(side.get(name, MISSING) for side in sides))
            merged[name] = self._part(child_of(node, name), pointer(path, name), below)
            if merged[name] is MISSING:
                del merged[name]
        return merged if merged.keys() <= current.keys() else dict(sorted(merged.items()))

    def _take_out(self, node: Node, path: str, held: Parts) -> None:
        """A part goes with all that it holds: what in it was written must be the proposer's to take out."""
        unwritten = node.defaults if isinstance(node, Fields) else {}
        for name in sorted(held):
            if not same(value := held[name], unwritten.get(name, MISSING)):
                self._part(child_of(node, name), pointer(path, name), Three(value, value, MISSING))

    # --- one value -------------------------------------------------------------------------------

    def _leaf(self, leaf: Leaf, path: str, three: Three) -> object:
        self._check_writer(leaf, path)
        if (ruling := self.rulings.get(path)) is not None:
            said = Policy(kind="custom", name=ruling.rule, version=leaf.policy.version)
            return self._decide(said, path, three, rungs=ruling.rungs, result=ruling.value)
        match leaf.policy.kind:
            case "write_once":
                return self._write_once(leaf, path, three)
            case "owner":
                return self._owned(leaf.policy, path, three)
            case "counter":
                return self._count(leaf.policy, path, three)
            case "append" | "union":
                return self._gather(leaf, path, three._replace(proposed=formed(leaf, three.proposed)))
        if not three.has_moved or three.agree:
            return three.proposed
        return self._ladder(leaf.policy, path, three)

    def _check_writer(self, leaf: Leaf, path: str) -> None:
        if leaf.writers and self.proposer.role not in leaf.writers:
            raise GrantDeniedError(
                f"role {self.proposer.role} may not write this field",
                where=path or "/",
                expected=", ".join(sorted(leaf.writers)),
                got=self.proposer.role,
            )

    def _decide(
        self, policy: Policy, path: str, three: Three, *, result: object, rungs: tuple[str, ...] = ()
    ) -> object:
        self.decided.append(Decided(path, policy, rungs, three, result))
        return result

    def _lose(
        self, policy: Policy, path: str, three: Three, *, reason: RejectReason, rungs: tuple[str, ...] = ()
    ) -> object:
        self.lost.append(Lost(path, policy, rungs, three, reason))
        return three.current

    def _write_once(self, leaf: Leaf, path: str, three: Three) -> object:
        is_written = three.current is not MISSING and not same(three.current, leaf.default)
        if not is_written or three.agree:
            return three.proposed
        return self._lose(leaf.policy, path, three, reason="written_once")

    def _owned(self, policy: Policy, path: str, three: Three) -> object:
        is_owner = self.proposer.role == policy.role
        is_owned = policy.role in self.origins.get(path, {})
        if is_owned and not is_owner and not three.agree:
            if three.has_moved:
                return self._decide(policy, path, three, result=three.current)
            return self._lose(policy, path, three, reason="owned")  # it saw the owner's word, and writes against it
        if not three.has_moved or three.agree:
            return three.proposed
        if is_owner and not is_owned:
            return self._decide(policy, path, three, result=three.proposed)
        # Between two words of the owner's, it counts when the owner spoke, and not who else said the same.
        heard = {path: {policy.role: self.origins[path][policy.role]}} if is_owned else self.origins
        return replace(self, origins=heard)._next(policy, path, three)  # noqa: SLF001  # another view of this merge

    # --- policies that keep what every side brings, equal changes included -----------------------

    def _count(self, policy: Policy, path: str, three: Three) -> object:
        base, current, proposed = map(number_of, three)
        if proposed is None or ((base is None or current is None) and three.has_moved):
            return self._lose(policy, path, three, reason="wrong_type")
        if base is None or current is None or not three.has_moved:
            return three.proposed
        if three.agree and is_nothing(three.proposed):
            return three.proposed
        if not is_nothing(three.base) and any(map(is_nothing, three.sides)):  # to take out a number adds nothing
            return self._lose(policy, path, three, reason="stale_version")
        return self._decide(policy, path, three, result=current + proposed - base)

    def _gather(self, leaf: Leaf, path: str, three: Three) -> object:
        if same(three.base, three.proposed):  # only the order was another one
            return three.current
        gather = self._append if leaf.policy.kind == "append" else self._union
        return gather(leaf, path, three)

    def _append(self, leaf: Leaf, path: str, three: Three) -> object:
        policy = leaf.policy
        base, current, proposed = map(items_of, three)
        if proposed is None or ((base is None or current is None) and three.has_moved):
            return self._lose(policy, path, three, reason="wrong_type")
        if (added := gained(proposed, base or [])) is None:
            return self._lose(policy, path, three, reason="taken_out")
        result = in_order([*(current or []), *added], policy.by) or _empty(three)
        return self._decide(policy, path, three, result=result) if three.has_moved else result

    def _union(self, leaf: Leaf, path: str, three: Three) -> object:
        policy = leaf.policy
        base, current, proposed = (by_name(side, policy.by) for side in three)
        if proposed is None or ((base is None or current is None) and three.has_moved):
            return self._lose(policy, path, three, reason="wrong_type")
        before = len(self.lost) + len(self.opened)
        merged = self._each(leaf, path, (base or {}, current or {}, proposed))
        if len(self.lost) + len(self.opened) > before:
            return three.current
        result = in_order([*merged.values()], policy.by) or _empty(three)
        if three.has_moved and not three.agree:
            return self._decide(policy, path, three, result=result)
        return result

    # --- the ladder ------------------------------------------------------------------------------

    def _ladder(self, policy: Policy, path: str, three: Three, *, rungs: tuple[str, ...] = ()) -> object:
        match policy.kind:
            case "max" | "min":
                if any(number_of(side) is None for side in three.sides):
                    return self._lose(policy, path, three, rungs=rungs, reason="wrong_type")
                result = extreme(policy, three.sides)
            case "evidence":
                result = strongest(policy, three.sides)
            case "last_writer":
                result = self._last(path, three)
            case "custom":
                result = asked(policy, three.base, three.sides, path=path)
            case "arbitrate" | "escalate":
                return self._wait(policy, path, three, rungs=rungs)
            case _:
                return self._lose(policy, path, three, rungs=rungs, reason="stale_version")
        if result is UNDECIDED:
            return self._next(policy, path, three, rungs=rungs)
        return self._decide(policy, path, three, rungs=rungs, result=result)

    def _next(self, policy: Policy, path: str, three: Three, *, rungs: tuple[str, ...] = ()) -> object:
        if policy.otherwise is not None:
            return self._ladder(policy.otherwise, path, three, rungs=(*rungs, policy.name))
        reason: RejectReason = "stale_version" if policy.kind == "owner" else "undecided"
        return self._lose(policy, path, three, rungs=rungs, reason=reason)

    def _wait(self, policy: Policy, path: str, three: Three, *, rungs: tuple[str, ...]) -> object:
        if policy.kind == "arbitrate" and rungs.count(policy.name) < self.failed.get(path, 0):
            return self._next(policy, path, three, rungs=rungs)
        self.opened.append(Open(path, policy, rungs, three))
        return three.current

    def _last(self, path: str, three: Three) -> object:
        stands = [moment(author) for author in self.origins.get(path, {}).values()]
        return three.proposed if not stands or moment(self.proposer) > max(stands) else three.current


_WHOLE: Final = Leaf(Policy(kind="reject", name="reject"))
"""A part whose sides are not of one shape, such as an object against null: it is one value, and not merged."""


def _empty(three: Three) -> object:
    """Where nothing is left, that is said by an empty list before null, and by null before a part that is missing."""
    sides = three.sides if three.has_moved else (three.proposed,)
    if all(map(is_nothing, sides)):
        return None if None in sides else MISSING
    return []


def moment(author: Author) -> tuple[datetime, str, str, str]:
    """Give what says which of two authors was later."""
    return author.proposed_at, author.run_id, author.step, author.position
