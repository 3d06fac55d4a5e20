"""How shared state is told: versions, origins, differences and conflicts, as lines for people and whole for programs.

What is missing is not null: programs find no such key, people read the bare word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from remit import words
from remit.cli import say
from remit.contracts.ids import role_of
from remit.contracts.policy import MISSING
from remit.provenance import author_of, restored
from remit.words import moment, plain, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remit.cards import Card
    from remit.contracts.proposal import DisputedField, ProposalRecord, StateCommitted, StateDecision, StateSide
    from remit.disputes import Dispute
    from remit.provenance import Difference, Origin

Row = dict[str, object]
LIST = ("key", "version", "rule", "by", "run", "step", "value")
DIFF = ("path", "old", "new")
BLAME = ("path", "value", "by", "run", "step", "rule", "version", "at", "replaced", "message")
_IN_A_CELL = 40


def listed(version: StateCommitted) -> Row:
    """Give a key with its newest version."""
    value: Row = {"value": version.value} if version.value_ref is None else {"value_ref": say.data(version.value_ref)}
    return {"key": version.key, "scope": version.scope, "deleted": version.deleted} | _made(version) | value


def cells(version: StateCommitted) -> Row:
    """Give the same for a table."""
    ref = version.value_ref
    value = words.shown(version.value, 60) if ref is None else f"{words.brief(ref.digest)} ({ref.size_bytes} bytes)"
    return listed(version) | {"by": str(author_of(version)), "value": "taken out" if version.deleted else value}


def _made(version: StateCommitted) -> Row:
    author = author_of(version)
    return {
        "version": version.version,
        "hash": version.hash,
        "rule": version.rule,
        "kind": author.kind,
        "role": author.role,
        "agent": author.name,
        "run": version.run_id,
        "step": version.step,
        "at": moment(version.committed_at),
    }


def whole(version: StateCommitted, data: bytes) -> str:
    """Say a version with all of its value."""
    facts = [
        ("key", f"{version.key}, scope {version.scope}"),
        ("version", version.version),
        ("hash", version.hash),
        ("by", f"{author_of(version)}, run {version.run_id}, step {version.step}"),
        ("rule", version.rule),
        ("at", moment(version.committed_at)),
    ]
    value = msgspec.json.format(data, indent=2).decode()
    return "\n".join([say.pairs(facts), "", *(plain(line) for line in value.splitlines())])


# --- differences and origins ---------------------------------------------------------------------


def difference(item: Difference) -> Row:
    """Give a part that differs."""
    return {"path": item.path} | _if_there("old", item.old) | _if_there("new", item.new)


def difference_cells(item: Difference) -> Row:
    """Give the same for a table."""
    return {"path": _all(item.path), "old": short(item.old, _IN_A_CELL), "new": short(item.new, _IN_A_CELL)}


def difference_line(item: Difference) -> str:
    """Say a part that would change."""
    return plain(f"{_all(item.path)}: {short(item.old)} -> {short(item.new)}")


def origin(item: Origin) -> Row:
    """Give where a field comes from."""
    version, ruled = item.version, item.ruled
    found = {"path": item.path} | _if_there("value", item.value) | _made(version)
    found |= {"rule": item.rule, "by": say.data(item.by), "message": item.message}
    if ruled is not None:
        found["decided"] = {"version": ruled.version.version, "at": moment(ruled.version.committed_at)} | decision(
            ruled.decision
        )
    if item.replaced is not None:
        by = say.data(item.replaced.by) if item.replaced.by is not None else None
        found["replaced"] = _if_there("value", item.replaced.value) | {"version": item.replaced.version, "by": by}
    return found


def origin_cells(item: Origin) -> Row:
    """Give the same for a table."""
    version, ruled = item.version.version, item.ruled
    is_later = ruled is not None and ruled.version.version != version
    reason = f": {ruled.decision.reason}" if ruled is not None and ruled.decision.reason else ""
    return _made(item.version) | {
        "path": _all(item.path),
        "value": short(item.value, _IN_A_CELL),
        "by": f"{item.by}{reason}",
        "rule": item.rule,
        "version": f"{version}, kept in {ruled.version.version}" if is_later and ruled is not None else version,
        "replaced": _replaced(item),
        "message": item.message,
    }


def _replaced(item: Origin) -> str:
    before = item.replaced
    if before is None or before.value is MISSING:
        return "" if before is None else "missing"
    by = f" by {before.by}" if before.by is not None else ""
    return f"{short(before.value, _IN_A_CELL)}, version {before.version}{by}"


# --- conflicts -----------------------------------------------------------------------------------


def decision(item: StateDecision, *, is_decided: bool = True) -> Row:
    """Give a conflict with base, sides, rule and result."""
    found: Row = {"path": item.path, "rule": item.rule, "rule_version": item.rule_version, "rungs": item.rungs}
    found |= _if_there("base", MISSING if item.base_is_missing else item.base)
    found |= {"sides": [_side(side) for side in item.sides], "sides_omitted": item.sides_omitted}
    if is_decided:
        found |= _if_there("result", MISSING if item.result_is_missing else item.result)
        found |= {"by": item.by, "reason": item.reason}
    return found


def _side(side: StateSide) -> Row:
    said = {"role": side.role, "agent": side.agent, "run": side.run_id, "step": side.step}
    return said | _if_there("value", MISSING if side.is_missing else side.value)


def card(item: Card) -> Row:
    """Give a decided conflict."""
    return {"key": item.key, "scope": item.scope, "version": item.version, "is_open": False} | decision(item.decision)


def card_lines(item: Card) -> list[str]:
    """Say a decided conflict, one line for each side."""
    said = item.decision
    head = say.heading(plain(f"{item.key} {_all(said.path)}, version {item.version}"))
    more = [("", f"and {said.sides_omitted} more")] if said.sides_omitted else []
    facts = [("base", _base(said)), *map(_told, said.sides), *more, ("decided", words.outcome(said))]
    return [head, *_indented(say.pairs(facts))]


def _base(item: StateDecision) -> str:
    return short(MISSING if item.base_is_missing else item.base)


def _told(side: StateSide) -> tuple[str, object]:
    value = short(MISSING if side.is_missing else side.value)
    return side.role or role_of(side.agent), f"{value}  ({side.run_id} {side.step})"


def open_card(dispute: Dispute, field: DisputedField) -> Row:
    """Give a conflict that waits."""
    asked = dispute.conflict.proposal
    found: Row = {"key": field.key, "scope": field.scope, "path": field.path, "is_open": True}
    found |= {"dispute": dispute.name, "waits_for": dispute.waits_for, "run": asked.run_id, "step": asked.step}
    found |= {"agent": dispute.conflict.agent, "rungs": field.rungs, "base": field.base}
    found |= _if_there("current", MISSING if field.current_is_missing else field.current)
    found |= _if_there("proposed", MISSING if field.proposed_is_missing else field.proposed)
    return found | {"sides": [_side(side) for side in field.sides]}


def open_card_lines(dispute: Dispute, field: DisputedField) -> list[str]:
    """Say a conflict that waits, one line for each side."""
    head = say.heading(plain(f"{field.key} {_all(field.path)}, waits for {dispute.waits_for}"))
    tried = [("tried", ", ".join(field.rungs))] if field.rungs else []
    stands = short(MISSING if field.current_is_missing else field.current)
    facts = [("base", short(field.base)), *map(_told, field.sides), *tried, ("stands", f"{stands}  meanwhile")]
    return [head, *_indented(say.pairs(facts))]


# --- the history of a key ------------------------------------------------------------------------


def events(
    versions: Sequence[StateCommitted], records: Sequence[ProposalRecord], disputes: Sequence[Dispute]
) -> list[tuple[Row, list[str]]]:
    """Give what was committed, lost and waits, in order of time: whole, and as lines."""
    key = versions[0].key
    found = [(item.committed_at, _version(item, versions), _version_lines(item, versions)) for item in versions]
    found += [(item.at, _record(item, key), _record_lines(item)) for item in records]
    found += [(item.conflict.proposal.proposed_at, _waiting(item, key), _waiting_lines(item, key)) for item in disputes]
    return [(row, lines) for _at, row, lines in sorted(found, key=lambda event: event[0])]


def _version(item: StateCommitted, versions: Sequence[StateCommitted]) -> Row:
    found: Row = {"event": "version"} | _made(item) | {"base_version": item.base_version, "changed": item.changed}
    found |= {"together": item.together, "deleted": item.deleted}
    found["decisions"] = [decision(each) for each in item.decisions]
    return found | ({"as_version": restored(item, versions)} if item.rule == "rollback" else {})


def _version_lines(item: StateCommitted, versions: Sequence[StateCommitted]) -> list[str]:
    what = ", ".join(_all(path) for path in item.changed) or ("nothing" if item.hash else "(all)")
    if item.rule == "rollback":
        what = "taken out" if item.deleted else f"as in version {restored(item, versions)}: {what}"
    more = f"; together with {', '.join(key for key in item.together if key != item.key)}" if item.together else ""
    where = "" if item.rule == item.step else f", {item.run_id} {item.step}"
    head = f"{item.version}  {moment(item.committed_at)}  {item.rule} by {author_of(item)}{where}: {what}{more}"
    return [plain(head), *(f"     {plain(words.decision(each))}" for each in item.decisions)]


def _record(item: ProposalRecord, key: str) -> Row:
    asked, wish = item.proposal, next(change for change in item.proposal.changes if change.key == key)
    found: Row = {"event": "refused" if item.rejected is None else "rejected", "at": moment(item.at)}
    found |= {"role": role_of(item.agent), "agent": item.agent, "run": asked.run_id, "step": asked.step}
    found["base_version"] = wish.base_version
    found |= {"value": wish.value} if wish.value_ref is None else {"value_ref": say.data(wish.value_ref)}
    if item.rejected is not None:
        lost = item.rejected
        found |= {"reason": lost.reason, "rule": lost.rule, "lost_on": lost.key, "path": lost.path}
        found["conflicts"] = [decision(each, is_decided=False) for each in lost.conflicts]
    return found | ({"error": say.data(item.refused)} if item.refused is not None else {})


def _record_lines(item: ProposalRecord) -> list[str]:
    who, asked = f"{role_of(item.agent)} ({item.agent})", item.proposal
    conflicts = item.rejected.conflicts if item.rejected is not None else ()
    head = f"-  {moment(item.at)}  proposal of {who}, {asked.run_id} {asked.step}: {words.verdict(item)}"
    return [plain(head), *(f"     {plain(words.decision(each, is_decided=False))}" for each in conflicts)]


def _waiting(item: Dispute, key: str) -> Row:
    cards = [open_card(item, field) for field in item.conflict.fields if field.key == key]
    return {"event": "parked", "at": moment(item.conflict.proposal.proposed_at), "conflicts": cards} | cards[0]


def _waiting_lines(item: Dispute, key: str) -> list[str]:
    asked = item.conflict.proposal
    who = f"{role_of(item.conflict.agent)} ({item.conflict.agent}), {asked.run_id} {asked.step}"
    paths = ", ".join(_all(field.path) for field in item.conflict.fields if field.key == key)
    return [plain(f"?  {moment(asked.proposed_at)}  proposal of {who}: {paths} waits for {item.waits_for}")]


# --- small things --------------------------------------------------------------------------------


def _if_there(name: str, value: object) -> Row:
    return {} if value is MISSING else {name: value}


def _all(path: str) -> str:
    return path or "(all)"


def _indented(text: str) -> Iterator[str]:
    return (f"  {line}" for line in text.splitlines())
