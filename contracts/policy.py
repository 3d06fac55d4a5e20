"""Merge policies: what is declared of a field, so that concurrent writes of it are decided the same way by everyone.

A policy is data. `supervisor/merge.py` carries it out; the functions of a team's own policies are pure, and
`remit.testing.check_policy` holds them to what the arbiter relies on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, Protocol

from remit.contracts.errors import ContractInvalidError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PolicyName = Literal[
    "reject",
    "write_once",
    "union",
    "max",
    "min",
    "counter",
    "append",
    "owner",
    "last_writer",
    "evidence",
    "arbitrate",
    "escalate",
    "custom",
]


RUNGS: Final = frozenset({"reject", "max", "min", "last_writer", "evidence", "arbitrate", "escalate", "custom"})
"""What may stand behind another policy: whatever looks at the two sides alone."""


class Nothing(Enum):
    """What is no JSON value: a field that is not there (null is one that is), and an answer that was not found."""

    MISSING = "missing"
    UNDECIDED = "undecided"

    def __repr__(self) -> str:
        return self.name


MISSING: Final = Nothing.MISSING
"""The value of a field, an entry or a document that does not exist; null is a value."""
UNDECIDED: Final = Nothing.UNDECIDED
"""What a policy of a team's own gives when it cannot decide: the next rung of the ladder does."""


class RoleRef(Protocol):
    """A role's class."""

    @classmethod
    def role_name(cls) -> str:
        """Give the name under which the team knows it."""


@dataclass(frozen=True)
class Writers:
    """Which roles may write a field; an annotation beside its policy."""

    roles: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How two changes of one field from the same base become one value; an annotation of the field."""

    kind: PolicyName
    name: str
    """How the rule is called in entries and reports."""
    version: int = 1
    """Of the rule: an entry says by which version it was decided."""
    by: str = ""
    """`union`: the field that identifies an item; `append`: the field that orders them."""
    role: str = ""
    sources: str = ""
    score: str = ""
    within_s: float = 60.0
    """`arbitrate`: how long the role may take."""
    otherwise: Policy | None = None
    """The next rung, if this one cannot decide; none: the proposal is rejected."""
    decide: Callable[[object, object, object], object] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.otherwise is not None and self.otherwise.kind not in RUNGS:
            raise ContractInvalidError(
                f"{self.otherwise.name} cannot be the next rung of {self.name}",
                expected=", ".join(sorted(RUNGS)),
                got=self.otherwise.name,
            )


def reject() -> Policy:
    """Decide nothing: a change that meets another one is rejected, and its author starts again from the newest."""
    return Policy(kind="reject", name="reject")


def write_once() -> Policy:
    """Let the first value stand for good; a field at its default is not written yet."""
    return Policy(kind="write_once", name="write_once")


def union(by: str = "") -> Policy:
    """Keep the items of both sides, each once by its field `by` or by its content, sorted by that.

    An item that one side took out of the base is out. Two versions of one item are merged field by field, by the
    policies of its type.
    """
    return Policy(kind="union", name="union", by=by)


def maximum() -> Policy:
    """Take the larger number; null is smaller than any."""
    return Policy(kind="max", name="max")


def minimum() -> Policy:
    """Take the smaller number; null is larger than any."""
    return Policy(kind="min", name="min")


def counter() -> Policy:
    """Add up what each side added to its base."""
    return Policy(kind="counter", name="counter")


def append(by: str = "") -> Policy:
    """Keep every item that either side added, equal ones too, sorted by the field `by`, then by content.

    What was added first is not told: two writers give the same list in either order. Nothing can be taken out.
    """
    return Policy(kind="append", name="append", by=by)


def owner(role: str | type[RoleRef], *, otherwise: Policy | None = None) -> Policy:
    """Let the role's word stand against everybody else's, whoever came first; others meet under `otherwise`."""
    return Policy(kind="owner", name="owner", role=_name(role), otherwise=otherwise)


def last_writer() -> Policy:
    """Take what was proposed last, by the proposers' clocks; at the same instant by run, step and position."""
    return Policy(kind="last_writer", name="last_writer")


def evidence(*, sources: str = "sources", score: str = "score") -> Policy:
    """Take the side with more different `sources`, then the higher `score`, then the first in a stable order.

    Both name fields of the value, which is an object; a side that is null or lacks them has none.
    """
    return Policy(kind="evidence", name="evidence", sources=sources, score=score)


def arbitrate(role: str | type[RoleRef], *, within_s: float = 60.0, otherwise: Policy | None = None) -> Policy:
    """Ask a role, which takes a `StateConflict` and gives a `StateRuling`; after `within_s` go on to `otherwise`."""
    return Policy(kind="arbitrate", name="arbitrate", role=_name(role), within_s=within_s, otherwise=otherwise)


def escalate() -> Policy:
    """Ask a person, in a review."""
    return Policy(kind="escalate", name="escalate")


def custom(
    name: str, decide: Callable[[object, object, object], object], *, version: int = 1, otherwise: Policy | None = None
) -> Policy:
    """Decide by a pure function of base, one side and the other: plain JSON values, or `MISSING`.

    It gives the value that stands, or `UNDECIDED`. It must give the same for both orders of the sides and for every
    way to take three of them two by two, and never raise: `remit.testing.check_policy` tries that on values of yours.
    """
    return Policy(kind="custom", name=name, version=version, decide=decide, otherwise=otherwise)


def writers(*roles: str | type[RoleRef]) -> Writers:
    """Let only these roles write a field."""
    return Writers(tuple(_name(role) for role in roles))


def ladder(policy: Policy) -> Iterator[Policy]:
    """Give a policy and the rungs behind it, in order."""
    rung: Policy | None = policy
    while rung is not None:
        yield rung
        rung = rung.otherwise


def _name(role: str | type[RoleRef]) -> str:
    return role if isinstance(role, str) else role.role_name()
