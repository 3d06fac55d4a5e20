"""Conflicts as the report tells them: read from what was recorded when they were decided, not guessed again.

Who came first differs from run to run, and an agent's name does too, so neither is told. What is told is the same
every time: the field, the base that all sides had in common, what each side said, the rule, and the value that stands.
A side is a value with the skills behind it: of three who wrote a field, two that say the same are one side, whether
their agreement was noticed before the third came or after.
"""

from collections.abc import Container, Iterable, Mapping

import msgspec

from remit import Conflict, StateDecision
from remit.teams.audit.memory import CRITIC, FILES, FINDINGS, PATCHED, FileNote, FindingNote
from remit.teams.audit.message import RuleCount

Note = FileNote | FindingNote


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the values that met, and whose it was."""

    by: tuple[str, ...]
    value: object


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """One field that several wrote from the same base, and how it was decided."""

    key: str
    field: str
    base: object
    """What the field held before; null if nothing."""
    sides: tuple[Side, ...]
    rule: str
    rungs: tuple[str, ...]
    """Rules that were asked before and had nothing to say."""
    result: object
    stands: object
    """What the field holds now: the result, unless the role that owns the field decided afterwards."""
    is_thrown_out: bool = False
    """Whether the critic kept nothing of what this is about, or not the reason that the rule chose."""

    @property
    def is_contested(self) -> bool:
        """Whether the sides contradict one another, and not only brought something each or said who they are."""
        return len({msgspec.json.encode(_gist(side.value)) for side in self.sides}) > 1

    @property
    def is_overruled(self) -> bool:
        """Whether the role that owns the field decided otherwise afterwards, or the fixer left nothing to decide."""
        return self.stands != self.result and ("owner" in self.rungs or self.stands == PATCHED)

    @property
    def is_open(self) -> bool:
        """Whether something else stands than what the rule gave, and it is nobody's last word."""
        return self.stands != self.result and not self.is_overruled


def cards(found: Iterable[Conflict], notes: Mapping[str, Note]) -> list[Card]:
    """Give every recorded conflict, by key and field. `notes` are the documents as they stand, by key."""
    told = [_card(item.key, item.decision, notes[item.key]) for item in found]
    return sorted(told, key=lambda card: (card.key, card.field))


def judged(found: Iterable[Card], kept: Mapping[str, set[str]], names: Container[str]) -> tuple[Card, ...]:
    """Mark what the critic threw out afterwards. `kept` are the messages that stand, by path; `names` fingerprints."""
    return tuple(
        msgspec.structs.replace(card, is_thrown_out=True) if _is_out(card, kept, names) else card for card in found
    )


def _is_out(card: Card, kept: Mapping[str, set[str]], names: Container[str]) -> bool:
    if card.key.startswith(FINDINGS.prefix):
        return card.key.removeprefix(FINDINGS.prefix) not in names
    said = kept.get(card.key.removeprefix(FILES.prefix), set())
    match card.result:
        case {"text": str(text)}:
            return text not in said
        case _:
            return not said


def by_rule(found: Iterable[Card]) -> tuple[RuleCount, ...]:
    """Count conflicts by the rule that decided them: one for each side after the first."""
    counts: dict[str, int] = {}
    for card in found:
        counts[card.rule] = counts.get(card.rule, 0) + len(card.sides) - 1
    return tuple(RuleCount(rule=rule, count=count) for rule, count in sorted(counts.items()))


def decided(found: Iterable[Card]) -> tuple[RuleCount, ...]:
    """Count the fields over which sides contradict one another, by the rule that decided."""
    rules = [card.rule for card in found if card.is_contested]
    return tuple(RuleCount(rule=rule, count=rules.count(rule)) for rule in sorted({*rules}))


def _card(key: str, decision: StateDecision, note: Note) -> Card:
    field = decision.path.removeprefix("/")
    return Card(
        key=key,
        field=field,
        base=_plain(decision.base),
        sides=_sides(decision, note),
        rule=decision.rule,
        rungs=decision.rungs,
        result=_plain(decision.result),
        stands=_plain(getattr(note, field)),
    )


def _sides(decision: StateDecision, note: Note) -> tuple[Side, ...]:
    by: dict[bytes, set[str]] = {}
    for side in decision.sides:
        names = {CRITIC} if side.role == CRITIC else _skills(side.value, note)
        by.setdefault(msgspec.json.encode(side.value, order="deterministic"), set()).update(names)
    ordered = sorted((tuple(sorted(names)), value) for value, names in by.items())
    return tuple(Side(by=names, value=msgspec.json.decode(value)) for names, value in ordered)


def _skills(value: object, note: Note) -> set[str]:
    """Say which skills stand behind a value: it names its own, or it is what these judged."""
    told = value if isinstance(value, list | tuple) else [value]
    named = {item["skill"] for item in told if isinstance(item, dict)}
    judged = note.seen_by if isinstance(note, FileNote) else ()
    return named or {item.skill for item in judged if value in {item.risk, item.action}}


def _gist(value: object) -> object:
    match value:
        case {"text": said} | {"level": said}:
            return said
        case [*_items]:  # of a list all that was brought stands
            return []
        case _:
            return value


def _plain(value: object) -> object:
    plain: object = msgspec.json.decode(msgspec.json.encode(value))
    return plain
