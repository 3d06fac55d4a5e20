"""Why a value is what it is: every decided conflict with its base, its sides and its rule, as an entry says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from remit.contracts.blob import BlobRef
from remit.contracts.document import order_of
from remit.contracts.ids import role_of
from remit.contracts.message import NULL, canonical, digest
from remit.contracts.policy import MISSING
from remit.contracts.proposal import StateDecision, StateSide
from remit.supervisor import merge
from remit.supervisor.change import overlap
from remit.supervisor.versions import author_of, side_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remit.contracts.proposal import StateCommitted
    from remit.supervisor.change import Merged
    from remit.supervisor.merge import Author, Decided, Lost, Open


SHOWN_BYTES: Final = 2 * 1024
"""Of one side in an explanation; the versions hold all of it."""


def decision_of(item: Merged, conflict: Decided | Lost | Open, author: Author) -> StateDecision:
    """Give a conflict as data; one that nobody decided has no result."""
    three = conflict.three
    ruling = item.merge.rulings.get(conflict.path)
    is_decided = isinstance(conflict, merge.Decided)
    result = conflict.result if isinstance(conflict, merge.Decided) else MISSING
    return StateDecision(
        path=conflict.path,
        rule=conflict.policy.name,
        rule_version=conflict.policy.version,
        rungs=conflict.rungs,
        base=shown(three.base),
        base_is_missing=three.base is MISSING,
        sides=sides_of(item, conflict, author=author),
        sides_omitted=item.omitted,
        result=shown(result),
        result_is_missing=is_decided and result is MISSING,
        by=ruling.by if ruling is not None else "",
        decided_in=ruling.decided_in if ruling is not None else "",
        reason=ruling.reason if ruling is not None else "",
    )


def agreements_of(item: Merged, author: Author) -> list[StateDecision]:
    """Give the conflicts since the base in which a proposal says what stands already: it is a side of them, too.

    Who says 8, 12 and 12 met in one conflict, though the last to come met none.
    """
    decided = {conflict.path for conflict in item.merge.decided}
    found: list[StateDecision] = []
    for path in item.wrote:
        before = [each for version, _document in item.since for each in version.decisions if each.path == path]
        if before and path not in decided:
            wished = merge.value_at(item.target.plain, path)
            mine = _side(author, _as_stored(wished, is_set=before[-1].rule in {"union", "append"}))
            sides = sorted([*before[-1].sides, mine], key=side_order)
            stands = merge.value_at(item.value, path)
            found.append(
                msgspec.structs.replace(
                    before[-1],
                    sides=tuple(sides),
                    result=shown(stands),
                    result_is_missing=stands is MISSING,
                )
            )
    return found


def sides_of(item: Merged, conflict: Decided | Lost | Open, *, author: Author) -> tuple[StateSide, ...]:
    """Give all who wrote a field from the base on and what they wished; the order does not tell who was first."""
    path, is_set = conflict.path, conflict.policy.kind in {"union", "append"}
    sides = [_side(author, _as_stored(conflict.three.proposed, is_set=is_set))]
    for version, document in item.since:
        if (ruled := next((each for each in version.decisions if each.path == path and each.by), None)) is not None:
            sides.append(_ruler(ruled, version))  # what stands is theirs, whatever was proposed
            continue
        said = [side for decision in version.decisions if decision.path == path for side in decision.sides]
        name = (version.run_id, version.step, version.position)
        own = [side for side in said if (side.run_id, side.step, side.position) == name]
        if own:
            sides.append(own[0])
        elif any(overlap(path, wrote) for wrote in version.wrote or version.changed):
            sides.append(_side(author_of(version), _as_stored(merge.value_at(document, path), is_set=is_set)))
    return tuple(sorted(sides, key=side_order))


def _ruler(ruled: StateDecision, version: StateCommitted) -> StateSide:
    return StateSide(
        role=role_of(ruled.by) if ruled.rule == "arbitrate" else "",
        agent=ruled.by,
        run_id=version.run_id,
        step=version.step,
        position=version.position,
        value=ruled.result,
        is_missing=ruled.result_is_missing,
    )


def _as_stored(value: object, *, is_set: bool) -> object:
    """A list whose order means nothing is told in one order: what a side proposed, or what was stored of it."""
    if not is_set or not isinstance(value, list):
        return value
    return [item for _spelled, item in sorted({order_of(item): item for item in value}.items())]


def _side(author: Author, value: object) -> StateSide:
    return StateSide(
        role=author.role,
        agent=author.agent,
        run_id=author.run_id,
        step=author.step,
        position=author.position,
        value=shown(value),
        is_missing=value is MISSING,
    )


def shown(value: object) -> object:
    """Give a value as an explanation shows it: of a large one its digest and size; what is missing is null."""
    if value is MISSING:
        return None
    size = len(data := canonical(value))
    return value if size <= SHOWN_BYTES else msgspec.to_builtins(BlobRef(digest=digest(data), size_bytes=size))


def raw_of(value: object) -> msgspec.Raw:
    """Give a plain value as embedded JSON; what is missing is null, and said beside it."""
    return NULL if value is MISSING else msgspec.Raw(canonical(value))


def rule_of(decisions: Sequence[StateDecision], *, is_stale: bool) -> str:
    """Name the rule by which a version came to be."""
    rules = {decision.rule for decision in decisions}
    if len(rules) > 1:
        return "merged"
    return rules.pop() if rules else "disjoint" if is_stale else "write"
