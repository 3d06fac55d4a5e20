"""Proposals that meet: the same ones in any order on a board of their own, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, cast

import hypothesis.strategies as st

from remit.contracts import policy
from remit.contracts.document import StateContract
from remit.contracts.message import canonical, encode, raw
from remit.contracts.policy import MISSING, UNDECIDED, Policy
from remit.contracts.proposal import ProposeState, StateBatch, StateChange, StateCommitted
from remit.supervisor.explanation import decision_of
from remit.supervisor.merge import Author, Decided, Lost, Open
from remit.testing.board import WORKFLOW, Board
from tests.property.contracts import JSON

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY, RUN, PART = "doc", "r1", "value"
ROLES: Final = ("boss", "clerk", "packer")
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
CLERK: Final = Author("clerk", "clerk-1", RUN, "s1", "0", proposed_at=START)


@dataclass(frozen=True)
class Said:
    """What one of several wishes, knowing the base alone."""

    number: int
    value: object
    role: str = "clerk"
    minute: int = 0


class Met(NamedTuple):
    """What stands at last, and of each proposal whether it was committed and which conflicts it met."""

    stands: bytes
    committed: tuple[bool, ...]
    conflicts: tuple[bytes, ...]


def entries_of(rule: Policy) -> StateContract[object]:
    """Give a document whose entries are merged by one policy: an entry may be missing, whatever its values."""
    kind = GenericAlias(dict, (str, Annotated[object, rule]))
    return StateContract(template=KEY, kind=cast("type[object]", kind))


def document(value: object) -> dict[str, object]:
    """Give a document with one entry, or without it."""
    return {} if value is MISSING else {PART: value}


def met(contract: StateContract[object], base: object, said: Sequence[Said]) -> Met:
    """Give what comes of proposals that all start from one document, in their order; MISSING: there is none yet."""
    board, version = Board([contract]), 0
    if base is not MISSING:
        version = int(isinstance(board.propose(_proposal(Said(99, base), 0), role="first"), StateCommitted))
    committed, conflicts = [], []
    for item in said:
        proposal = _proposal(item, version)
        conflicts.append(encode(_conflicts(board, proposal, item.role)))
        answer = board.propose(proposal, role=item.role)
        committed.append(isinstance(answer, StateCommitted | StateBatch))
    return Met(canonical(board.value(KEY, RUN)), tuple(committed), tuple(conflicts))


def _conflicts(board: Board, proposal: ProposeState, role: str) -> list[object]:
    (target,) = board._rules.targets(proposal, role, WORKFLOW)
    author = Author(role, "bench", RUN, proposal.step, proposal.position, proposed_at=proposal.proposed_at)
    item = board._merge(target, author)
    named: list[Decided | Lost | Open] = [*item.merge.decided, *item.merge.opened, *item.merge.lost]
    return [decision_of(item, each, author) for each in named]


def _proposal(said: Said, version: int) -> ProposeState:
    return ProposeState(
        run_id=RUN,
        step=f"s{said.number}",
        epoch=1,
        position="0",
        changes=(StateChange(key=KEY, base_version=version, value=raw(said.value)),),
        proposed_at=START + timedelta(minutes=said.minute),
    )


# --- every policy, with values for it ------------------------------------------------------------


def shortest(_base: object, one: object, other: object) -> object:
    """Decide by a stable order; what is missing is the shortest."""
    return min((one, other), key=lambda side: b"" if side is MISSING else canonical(side))


def even(_base: object, one: object, other: object) -> object:
    """Decide for the even one of two numbers, if there is one."""
    found = [side for side in (one, other) if isinstance(side, int) and side % 2 == 0]
    return found[0] if len(found) == 1 else UNDECIDED


GONE = st.just(MISSING)
WHOLE = st.integers(-5, 5)
NUMBERS = GONE | st.none() | WHOLE | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
ANY = GONE | JSON
LISTS = GONE | st.none() | st.lists(JSON, max_size=4)
THINGS = (
    GONE
    | st.none()
    | st.lists(
        st.fixed_dictionaries({"id": st.integers(0, 3) | st.sampled_from(["0", "a", ""]), "say": WHOLE}) | JSON,
        max_size=4,
    )
)
REPORTS = ANY | st.fixed_dictionaries(
    {"sources": st.lists(st.sampled_from("abc"), max_size=3)}, optional={"score": NUMBERS.filter(bool), "say": JSON}
)

DECIDING: Final[dict[str, tuple[Policy, st.SearchStrategy[object]]]] = {
    "union": (policy.union(), LISTS),
    "max": (policy.maximum(), NUMBERS),
    "min": (policy.minimum(), NUMBERS),
    "counter": (policy.counter(), WHOLE),
    "append": (policy.append(), LISTS),
    "append by": (policy.append(by="id"), THINGS),
    "evidence": (policy.evidence(), REPORTS),
    "last_writer": (policy.last_writer(), ANY),
    "owner, else max": (policy.owner("boss", otherwise=policy.maximum()), NUMBERS),
    "owner, else last_writer": (policy.owner("boss", otherwise=policy.last_writer()), ANY),
    "custom": (policy.custom("shortest", shortest), ANY),
}
"""Any values meet, and three of them in any order alike."""
PARTIAL: Final[dict[str, tuple[Policy, st.SearchStrategy[object]]]] = {
    "reject": (policy.reject(), ANY),
    "write_once": (policy.write_once(), ANY),
    "union by": (policy.union(by="id"), THINGS),
    "counter of nothing": (policy.counter(), NUMBERS),
    "owner": (policy.owner("boss"), ANY),
    "arbitrate": (policy.arbitrate("judge"), ANY),
    "arbitrate, else max": (policy.arbitrate("judge", otherwise=policy.maximum()), NUMBERS),
    "escalate": (policy.escalate(), ANY),
    "custom, undecided": (policy.custom("even", even), ANY),
    "custom, else max": (policy.custom("even", even, otherwise=policy.maximum()), WHOLE),
    "custom, else a person": (policy.custom("even", even, otherwise=policy.escalate()), ANY),
    "max of anything": (policy.maximum(), ANY),
    "union of anything": (policy.union(), ANY),
    "append to anything": (policy.append(), ANY),
    "counter of anything": (policy.counter(), ANY),
}
"""Some values are a conflict that nobody decides: of two in both orders the same one."""
EVERY: Final = DECIDING | PARTIAL
BY_AUTHOR: Final = frozenset({"last_writer", "owner, else max", "owner, else last_writer"})
"""Decide by who wrote, and when: whoever says the same again later says it as another one."""
COUNTING: Final = frozenset(name for name in EVERY if name.startswith(("append", "counter")))
"""Keep what each side brings, equal changes included."""
TYPED: Final = tuple(name for name in EVERY if not name.endswith("anything"))
