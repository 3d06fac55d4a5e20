"""report.md: the first screen is what nobody else says; then the conflicts, the counts, and what was left out."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from remit.teams.audit import patch_section, wording
from remit.teams.audit.conflict import Card, by_rule
from remit.teams.audit.finding import Finding, worst_first
from remit.teams.audit.hotspot import Hotspot
from remit.teams.audit.memory import Action
from remit.teams.audit.mending import Verification
from remit.teams.audit.message import Critique, Inventory
from remit.teams.audit.opinion import Opinion
from remit.teams.audit.rules import rule_named
from remit.teams.audit.selection import (
    CONFLICTS_FILE,
    CONFLICTS_SHOWN,
    FINDINGS_FILE,
    FINDINGS_SHOWN,
    THROWN_SHOWN,
    contested,
    tallies,
    thrown_out,
)
from remit.teams.audit.sighting import Measure, Skipped


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the report is written from."""

    inventory: Inventory
    critique: Critique
    opinions: tuple[Opinion, ...]
    conflicts: tuple[Card, ...]
    actions: Mapping[str, Action]
    """What stands to be done, by path; not every file was judged."""
    hotspots: tuple[Hotspot, ...]
    score: int
    skipped: tuple[Skipped, ...]
    measures: tuple[Measure, ...] = ()
    """Numbers about whole files, by path and name."""
    verification: Verification

    @property
    def kept(self) -> list[Finding]:
        """The findings that stand, worst first."""
        return sorted((item.finding for item in self.opinions if item.decision == "keep"), key=worst_first)


def sections(draft: Draft) -> dict[str, str]:
    """Give the report's sections by name, in their order."""
    setback = draft.verification.setback
    wrong = {"setback": patch_section.setback_section(setback)} if setback is not None else {}
    return {
        "verdict": f"# Audit\n\n**{verdict(draft)}**\n",
        "fix-first": _fix_first(draft.hotspots, draft.actions),
        "conflicts": _conflicts(draft),
        "counts": _counts(draft),
        "patches": patch_section.patches(draft.verification),
        **wrong,
        "thrown-out": _thrown_out(draft.opinions),
        "not-checked": _not_checked(draft.skipped),
        "findings": _findings(draft.kept),
    }


def verdict(draft: Draft) -> str:
    """Say the audit's result in one line."""
    joined = sum(spot.is_joined for spot in draft.hotspots)
    first = f"{len(draft.hotspots)} files to mend first ({joined} where analysts meet)" if draft.hotspots else ""
    said = [
        f"Score {draft.score} of 100",
        first or "nothing to mend first",
        f"{draft.critique.kept} findings kept of {draft.critique.raised} raised",
        f"{sum(item.count for item in by_rule(draft.conflicts))} conflicts decided by rule",
        patch_section.said(draft.verification),
    ]
    return "; ".join(said) + "."


def _fix_first(spots: Sequence[Hotspot], actions: Mapping[str, Action]) -> str:
    lines = ["## Fix these first", ""]
    for number, spot in enumerate(spots, 1):
        lines.append(f"{number}. `{spot.path}`: {spot.joined()}")
        action = f" To do: {actions[spot.path]}." if spot.path in actions else ""
        lines.append(f"   Seen by: {', '.join(spot.skills)}.{action} Evidence: {', '.join(spot.findings)}.")
    return _text([*lines, *([] if spots else [wording.NOTHING_KEPT])])


def _conflicts(draft: Draft) -> str:
    lines = ["## Conflicts by rule", ""]
    if not draft.conflicts:
        return _text([*lines, wording.NO_CONFLICT])
    lines += wording.conflicts(draft.conflicts)
    cards = contested(draft.conflicts)
    for card in cards[:CONFLICTS_SHOWN]:
        lines += ["", f"### {_title(card[0].key, draft.opinions)}", ""]
        lines += ["| field | base | sides | rule | result |", "|---|---|---|---|---|", *map(_row, card)]
    return _text([*lines, *_more(len(cards), CONFLICTS_SHOWN, CONFLICTS_FILE)])


def _title(key: str, opinions: Iterable[Opinion]) -> str:
    about = wording.disputed(key, opinions)
    return f"`{key}`" + (f": {about.rule} at `{about.path}:{about.line}`" if about is not None else "")


def _row(card: Card) -> str:
    sides = "; ".join(f"{by}: {value}" for by, value in wording.sides(card))
    result = "; ".join(filter(None, (wording.value(card.result), wording.overruled(card))))
    return f"| {' | '.join(map(_cell, (card.field, wording.value(card.base), sides, wording.rule(card), result)))} |"


def _counts(draft: Draft) -> str:
    said = wording.counts(draft.inventory, draft.critique, draft.kept)
    lines = ["## Counts", "", *(f"- {sentence}" for sentence in said), ""]
    lines += ["| rule | kept | demoted | rejected |", "|---|---:|---:|---:|"]
    lines += [
        f"| {rule_named(item.rule).title} ({item.rule}) | {item.kept} | {item.demoted} | {item.rejected} |"
        for item in tallies(draft.opinions)
    ]
    return _text(lines)


def _thrown_out(opinions: Sequence[Opinion]) -> str:
    lines, groups = ["## What the critic threw out, and why", ""], thrown_out(opinions)
    for group in groups[:THROWN_SHOWN]:
        first = group.findings[0]
        example = f"`{first.path}:{first.line}` {first.rule}"
        lines.append(f"- {len(group.findings)} {group.word}: {group.reason} (for example {example})")
    return _text([*lines, *_more(len(groups), THROWN_SHOWN, FINDINGS_FILE), *([] if groups else ["Nothing."])])


def _not_checked(skipped: Sequence[Skipped]) -> str:
    lines = ["## What was not checked", ""]
    return _text([*lines, *(f"- {item.what}: {item.cause}." for item in skipped)])


def _findings(kept: Sequence[Finding]) -> str:
    lines = ["## All kept findings", "", "| severity | place | finding | seen with |", "|---|---|---|---|"]
    lines += [
        f"| {item.severity} | `{_cell(item.path)}:{item.line}` | {_cell(rule_named(item.rule).title)}:"
        f" {_cell(item.message)} | {', '.join(item.tools)} |"
        for item in kept[:FINDINGS_SHOWN]
    ]
    return _text([*lines, *_more(len(kept), FINDINGS_SHOWN, FINDINGS_FILE)])


def _more(count: int, shown: int, where: str) -> list[str]:
    left = wording.more(count, shown, where)
    return ["", left] if left else []


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
