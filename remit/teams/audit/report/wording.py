"""The sentences of the report that every form of it says, so that they are written once."""

from collections.abc import Iterable, Sequence

from remit.teams.audit.finding import SEVERITIES, WEIGHT, Finding
from remit.teams.audit.judge.opinion import Opinion
from remit.teams.audit.memory import FILES, FINDINGS, PATCHED
from remit.teams.audit.message import Critique, Inventory, RuleCount
from remit.teams.audit.report.conflict import Card, decided
from remit.teams.audit.report.ruling import in_words
from remit.teams.audit.report.score import HALVED_AT, density
from remit.teams.audit.report.selection import CONFLICTS_FILE, by_severity, contested

NO_CONFLICT = "No two analysts wrote on one thing from the same base."
NOTHING_KEPT = "Nothing was kept."
NOTHING_FIRST = "Nothing is to be mended."
ORDER = (
    "Order: files in which something is wrong today, the gravest first; then points of the findings, where what is"
    " wrong today counts twice, times the number of analysts that meet."
    " Several meet if each looks for something else and found it in this file."
)
"""What `hotspots` does, in a sentence."""
_FIELDS = ("action", "primary_reason", "severity")
"""Over which sides say words, that which says most to a reader first."""


def plural(count: int, noun: str) -> str:
    """Say how many of something there are."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def conflicts(found: Sequence[Card]) -> tuple[str, str]:
    """Say over how many fields roles contradict one another and what decided them; and which of them are not shown."""
    apart = sum(card.is_contested for card in found)
    by = ", ".join(f"{item.rule} {item.count}" for item in decided(found))
    out = apart - sum(map(len, contested(found)))
    left = f"Of what {out} of these are about the critic kept nothing, so they are not shown. " if out else ""
    ruled = f", decided by {by}" if by else ""
    return (
        (
            f"Several roles wrote {plural(len(found), 'field')} from the same base. Over {apart} they contradict one"
            f" another{ruled}; over {len(found) - apart} they do not."
        ),
        f"{left}{CONFLICTS_FILE} has all {len(found)}.",
    )


def tally(contradictions: Iterable[RuleCount], agreements: int) -> str:
    """Say in a few words how often roles contradicted one another."""
    count = sum(item.count for item in contradictions)
    apart = f", {plural(agreements, 'agreement')}" if agreements else ""
    return f"{plural(count, 'contradiction')} decided by rule{apart}"


def example(found: Sequence[Card]) -> str:
    """Say one contradiction that stands, in a sentence; empty if there is none over which the sides wrote words."""
    live = (card for cards in contested(found) for card in cards if not card.is_thrown_out and _is_over_words(card))
    first = min(live, key=lambda card: (_FIELDS.index(card.field), card.key), default=None)
    if first is None:
        return ""
    said = "; ".join(f"{' and '.join(side.by)}: {_words(side.value)}" for side in first.sides)
    about = first.key.removeprefix(FILES.prefix)
    decision = f"the rule {first.rule} chose {_words(first.result)}"
    last = f", then the critic said {_words(first.stands)}" if first.is_overruled and first.stands != PATCHED else ""
    return f"{about}, {first.field.replace('_', ' ')}: {said}; {decision}{last}"


def _is_over_words(card: Card) -> bool:
    return card.is_contested and card.field in _FIELDS and len({_words(side.value) for side in card.sides}) > 1


def _words(value: object) -> str:
    match value:
        case {"text": str(said)} | {"level": str(said)}:
            return said
        case _:
            return str(value)


def counts(inventory: Inventory, critique: Critique, kept: Iterable[Finding]) -> tuple[str, ...]:
    """Say what was read, and what became of what was found."""
    levels = by_severity(kept)
    by_level = ", ".join(f"{levels[severity]} {severity}" for severity in SEVERITIES)
    return (
        f"{inventory.python_files} Python files ({inventory.tests} of tests), {critique.lines} lines.",
        f"{critique.raised} findings raised, {critique.demoted} demoted, {critique.rejected} rejected.",
        f"{critique.kept} findings kept: {by_level}.",
        f"{plural(critique.looked_again, 'finding')} looked at again in {plural(critique.rounds, 'round')}.",
    )


def meaning(kept: Iterable[Finding], lines: int) -> str:
    """Say what the score means, and what it is made of."""
    high, medium, low = (WEIGHT[level] for level in ("high", "medium", "low"))
    return (
        f"{density(kept, lines):.1f} points per 1,000 lines; without any the score is 100, with {HALVED_AT} it is 50."
        f" A high finding counts {high} points, a medium one {medium}, a low one {low}."
    )


def sides(card: Card) -> list[tuple[str, str]]:
    """Say who said what, side by side."""
    return [(" and ".join(side.by), in_words(side.value)) for side in card.sides]


def rule(card: Card) -> str:
    """Say which rules were asked, and in which order; the last one decided."""
    return ", then ".join([*card.rungs, card.rule])


def overruled(card: Card) -> str:
    """Say who decided otherwise after the rule, and what; nothing if the rule's result stands."""
    by = "fixer" if card.stands == PATCHED else "critic"
    if card.is_thrown_out:
        return "then the critic: thrown out"
    return f"then the {by}: {in_words(card.stands)}" if card.is_overruled else ""


def disputed(key: str, opinions: Iterable[Opinion]) -> Finding | None:
    """Give the finding that a conflict is about; none if it is about a file."""
    name = key.removeprefix(FINDINGS.prefix)
    return next((item.finding for item in opinions if item.finding.fingerprint == name), None)


def more(count: int, shown: int, where: str) -> str:
    """Say how many are not shown and where they stand; nothing if all are shown."""
    return f"{count - shown} more stand in {where}." if count > shown else ""
