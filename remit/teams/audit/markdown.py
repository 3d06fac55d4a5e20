"""report.md: the first screen is what nobody else says; then the conflicts, the counts, and what was left out."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import msgspec

from remit.teams.audit import patch_section, since
from remit.teams.audit.conflict import Card, by_rule
from remit.teams.audit.finding import SEVERITIES, Finding, worst_first
from remit.teams.audit.hotspot import Hotspot
from remit.teams.audit.memory import FINDINGS, PATCHED, Action
from remit.teams.audit.mending import Verification
from remit.teams.audit.message import Critique, Inventory
from remit.teams.audit.opinion import Opinion
from remit.teams.audit.rules import rule_named
from remit.teams.audit.ruling import in_words
from remit.teams.audit.sighting import Measure, Skipped
from remit.teams.audit.since import Comparison
from remit.teams.audit.trend import TrendPoint

CONFLICTS_FILE = "evidence/conflicts.json"
CONFLICTS_SHOWN = 20
FINDINGS_SHOWN = 150
THROWN_SHOWN = 25


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
    trend: tuple[TrendPoint, ...] = ()
    """One point for each commit that was audited into this folder, in that order; the last is this audit."""
    since: Comparison | None = None
    """This audit beside the last one, if somebody asked and there was one."""
    no_baseline: str = ""
    """Why there is nothing to compare with."""

    @property
    def fresh(self) -> frozenset[str]:
        """Fingerprints of what is new, if somebody asked."""
        return self.since.fresh if self.since is not None else frozenset()

    @property
    def kept(self) -> list[Finding]:
        """The findings that stand, worst first."""
        return sorted((item.finding for item in self.opinions if item.decision == "keep"), key=worst_first)


def sections(draft: Draft) -> dict[str, str]:
    """Give the report's sections by name, in their order."""
    setback = draft.verification.setback
    wrong = {"setback": patch_section.setback_section(setback)} if setback is not None else {}
    asked = draft.inventory.since == "last"
    changed = {"since": since.section(draft.since, draft.no_baseline)} if asked else {}
    return {
        "verdict": f"# Audit\n\n**{verdict(draft)}**\n",
        "fix-first": _fix_first(draft.hotspots, draft.actions, draft.fresh),
        **changed,
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


def _fix_first(spots: Sequence[Hotspot], actions: Mapping[str, Action], new: frozenset[str]) -> str:
    lines = ["## Fix these first", ""]
    for number, spot in enumerate(spots, 1):
        lines.append(f"{number}. {_code_path(spot, new)}")
        action = f" To do: {actions[spot.path]}." if spot.path in actions else ""
        lines.append(f"   Seen by: {', '.join(spot.skills)}.{action} Evidence: {', '.join(spot.findings)}.")
    told = (
        ["", "`remit explain EVIDENCE` says all that is known of one of them."]
        if spots
        else ["Nothing is to be mended."]
    )
    return _text([*lines, *told])


def _code_path(spot: Hotspot, new: frozenset[str]) -> str:
    return spot.sentence(new).replace(spot.path, f"`{spot.path}`", 1)


def _conflicts(draft: Draft) -> str:
    lines, found = ["## Conflicts by rule", ""], draft.conflicts
    if not found:
        return _text([*lines, "No two analysts wrote on one thing from the same base."])
    counts = ", ".join(f"{item.rule} {item.count}" for item in by_rule(found))
    by_key = groupby((card for card in found if card.is_contested), key=lambda card: card.key)
    cards = [[*group] for _key, group in by_key]
    agreed = len({card.key for card in found}) - len(cards)
    lines += [
        f"Several roles wrote one field from the same base; decided by {counts}.",
        f"Over {len(cards)} keys they contradict one another, over {agreed} they do not; {CONFLICTS_FILE} has all.",
    ]
    for card in cards[:CONFLICTS_SHOWN]:
        lines += ["", f"### {_title(card[0].key, draft.opinions)}", ""]
        lines += ["| field | base | sides | rule | result |", "|---|---|---|---|---|", *map(_row, card)]
    hint = ["", "`remit explain KEY` says of one of them what its rule means."] if cards else []
    return _text([*lines, *_more(len(cards), CONFLICTS_SHOWN, CONFLICTS_FILE), *hint])


def _title(key: str, opinions: Iterable[Opinion]) -> str:
    name = key.removeprefix(FINDINGS.prefix)
    said = (
        f": {item.finding.rule} at `{item.finding.path}:{item.finding.line}`"
        for item in opinions
        if item.finding.fingerprint == name
    )
    return f"`{key}`{next(said, '')}"


def _row(card: Card) -> str:
    sides = "; ".join(f"{' and '.join(side.by)}: {in_words(side.value)}" for side in card.sides)
    by = "fixer" if card.stands == PATCHED else "critic"
    result = in_words(card.result) + (f"; then the {by}: {in_words(card.stands)}" if card.is_overruled else "")
    rule = ", then ".join([*card.rungs, card.rule])
    return f"| {' | '.join(map(_cell, (card.field, in_words(card.base), sides, rule, result)))} |"


def _counts(draft: Draft) -> str:
    kept, inventory, critique = draft.kept, draft.inventory, draft.critique
    by_severity = ", ".join(f"{sum(item.severity == severity for item in kept)} {severity}" for severity in SEVERITIES)
    lines = [
        "## Counts",
        "",
        f"- {inventory.python_files} Python files ({inventory.tests} of tests), {critique.lines} lines.",
        f"- {critique.raised} findings raised, {critique.demoted} demoted, {critique.rejected} rejected.",
        f"- {critique.kept} findings kept: {by_severity}.",
        f"- {critique.looked_again} findings were looked at again in {critique.rounds} rounds.",
        "",
        "| rule | kept | demoted | rejected |",
        "|---|---:|---:|---:|",
    ]
    for rule in sorted({item.finding.rule for item in draft.opinions}):
        numbers = [_number(draft.opinions, rule, decision) for decision in ("keep", "demote", "reject")]
        lines.append(f"| {rule_named(rule).title} ({rule}) | {' | '.join(map(str, numbers))} |")
    return _text(lines)


def _number(opinions: Iterable[Opinion], rule: str, decision: str) -> int:
    return sum(item.finding.rule == rule and item.decision == decision for item in opinions)


def _thrown_out(opinions: Sequence[Opinion]) -> str:
    lines = ["## What the critic threw out, and why", ""]
    groups: dict[tuple[str, str], list[Finding]] = {}
    for item in opinions:
        if item.decision in {"reject", "demote"}:
            groups.setdefault((item.decision, item.reason), []).append(item.finding)
    ordered = sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    for (decision, reason), findings in ordered[:THROWN_SHOWN]:
        first = findings[0]
        word = "rejected" if decision == "reject" else "demoted"
        example = f"`{first.path}:{first.line}` {first.rule}"
        lines.append(f"- {len(findings)} {word}: {reason} (for example {example})")
    return _text([*lines, *_more(len(ordered), THROWN_SHOWN, "findings.json"), *([] if ordered else ["Nothing."])])


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
    return _text([*lines, *_more(len(kept), FINDINGS_SHOWN, "findings.json")])


def _more(count: int, shown: int, where: str) -> list[str]:
    return ["", f"{count - shown} more stand in {where}."] if count > shown else []


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
