"""report.md: the first screen is what nobody else says; then the conflicts, the counts, and what was left out."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from remit.teams.audit.finding import Finding
from remit.teams.audit.judge.judgement import defects_first
from remit.teams.audit.judge.opinion import Opinion
from remit.teams.audit.judge.rules import rule_named
from remit.teams.audit.memory import Action
from remit.teams.audit.mending import Verification
from remit.teams.audit.message import Critique, Inventory
from remit.teams.audit.report import patch_section, since, unread, wording
from remit.teams.audit.report.conflict import Card, decided
from remit.teams.audit.report.hotspot import Hotspot
from remit.teams.audit.report.markdown_text import code, prose
from remit.teams.audit.report.model_words import Told, section
from remit.teams.audit.report.quoted import Quote
from remit.teams.audit.report.remedy import to_do
from remit.teams.audit.report.ruling import in_words
from remit.teams.audit.report.selection import (
    CONFLICTS_FILE,
    CONFLICTS_SHOWN,
    FINDINGS_FILE,
    FINDINGS_SHOWN,
    THROWN_SHOWN,
    contested,
    tallies,
    thrown_out,
)
from remit.teams.audit.report.since import Comparison
from remit.teams.audit.report.trend import TrendPoint
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
    trend: tuple[TrendPoint, ...] = ()
    """One point for each commit that was audited into this folder, in that order; the last is this audit."""
    since: Comparison | None = None
    """This audit beside the last one, if somebody asked and there was one."""
    no_baseline: str = ""
    """Why there is nothing to compare with."""
    quotes: Mapping[str, Quote] = {}
    """Lines of code around findings, by fingerprint."""
    told: Told | None = None
    """What a model said, if the task names one."""

    @property
    def fresh(self) -> frozenset[str]:
        """Fingerprints of what is new, if somebody asked."""
        return self.since.fresh if self.since is not None else frozenset()

    @property
    def kept(self) -> list[Finding]:
        """The findings that stand, worst first."""
        return sorted((item.finding for item in self.opinions if item.decision == "keep"), key=defects_first)

    @property
    def unread(self) -> str:
        """Which shipped files were not looked at; empty if all were."""
        return unread.in_full(self.skipped, self.inventory.shipped)

    def cited(self, spot: Hotspot) -> list[Finding]:
        """The findings behind the reasons of a file, in their order."""
        known = {item.finding.fingerprint: item.finding for item in self.opinions if item.decision == "keep"}
        return [known[name] for name in spot.findings if name in known]

    def to_do(self, spot: Hotspot) -> str:
        """What is to be done about a file; empty if nobody said."""
        cited = self.cited(spot)
        rules = [item.rule for item in self.kept if item.path == spot.path]
        is_several = bool(cited) and rules.count(cited[0].rule) > 1
        return to_do(cited, self.actions.get(spot.path), is_several=is_several)


def sections(draft: Draft) -> dict[str, str]:
    """Give the report's sections by name, in their order."""
    setback = draft.verification.setback
    wrong = {"setback": patch_section.setback_section(setback)} if setback is not None else {}
    asked = draft.inventory.since == "last"
    changed = {"since": since.section(draft.since, draft.no_baseline)} if asked else {}
    return {
        "verdict": f"# Audit{_of(draft.inventory.name)}\n\n**{verdict(draft)}**\n\n{_about(draft)}\n",
        "fix-first": _fix_first(draft),
        **(_model(draft.told, draft) if draft.told is not None else {}),
        **changed,
        "conflicts": _conflicts(draft),
        "findings": _findings(draft.kept),
        "patches": patch_section.patches(draft.verification),
        **wrong,
        "thrown-out": _thrown_out(draft.opinions),
        "counts": _counts(draft),
        "not-checked": _not_checked(draft.skipped),
    }


def _model(told: Told, draft: Draft) -> dict[str, str]:
    return {"model": section(told, draft.kept, [spot.path for spot in draft.hotspots])}


def _of(name: str) -> str:
    return f" of {code(name)}" if name else ""


def _about(draft: Draft) -> str:
    """Say what was audited, what was not read, and what the score means."""
    head = draft.inventory.head
    dirty = " with changes that are not committed" if head.is_dirty else ""
    what = f"Of commit {head.commit[:12]}, {head.committed_at[:10]}{dirty}. " if head.commit else ""
    left = f"Not read: {prose(draft.unread)}.\n\n" if draft.unread else ""
    return left + what + wording.meaning(draft.kept, draft.critique.lines)


def verdict(draft: Draft) -> str:
    """Say the audit's result in one line."""
    joined = sum(spot.is_joined for spot in draft.hotspots)
    meet = f" (on {joined} of them several analysts meet)" if joined else ""
    first = f"{wording.plural(len(draft.hotspots), 'file')} to fix first{meet}" if draft.hotspots else ""
    said = [
        f"Score {draft.score} of 100",
        *([left] if (left := unread.in_short(draft.skipped, draft.inventory.shipped)) else []),
        first or "nothing to fix first",
        f"{wording.plural(draft.critique.kept, 'finding')} kept of {draft.critique.raised} raised",
        wording.tally(decided(draft.conflicts), sum(not item.is_contested for item in draft.conflicts)),
        *([patch_section.said(draft.verification)] if _has_patches(draft) else []),
    ]
    return "; ".join(said) + "."


def _has_patches(draft: Draft) -> bool:
    return bool(draft.verification.patches or draft.verification.dropped)


def _fix_first(draft: Draft) -> str:
    lines = ["## Fix these first", ""]
    for number, spot in enumerate(draft.hotspots, 1):
        lines.append(f"{number}. {code(spot.path)}: {prose(spot.joined(draft.fresh))}")
        action = f" To do: {todo}." if (todo := draft.to_do(spot)) else ""
        lines.append(f"   Seen by: {', '.join(spot.skills)}.{action} Evidence: {', '.join(spot.findings)}.")
    if not draft.hotspots:
        return _text([*lines, wording.NOTHING_FIRST])
    return _text([*lines, "", wording.ORDER, "", "`remit explain EVIDENCE` says all that is known of one of them."])


def _conflicts(draft: Draft) -> str:
    lines = ["## Conflicts by rule", ""]
    if not draft.conflicts:
        return _text([*lines, wording.NO_CONFLICT])
    lines += wording.conflicts(draft.conflicts)
    cards = contested(draft.conflicts)
    for card in cards[:CONFLICTS_SHOWN]:
        lines += ["", f"### {_title(card[0].key, draft.opinions)}", ""]
        lines += ["| field | base | sides | rule | result |", "|---|---|---|---|---|", *map(_row, card)]
    hint = ["", "`remit explain KEY` says of one of them what its rule means."] if cards else []
    return _text([*lines, *_more(len(cards), CONFLICTS_SHOWN, CONFLICTS_FILE), *hint])


def _title(key: str, opinions: Iterable[Opinion]) -> str:
    about = wording.disputed(key, opinions)
    return code(key) + (f": {about.rule} at {code(f'{about.path}:{about.line}')}" if about is not None else "")


def _row(card: Card) -> str:
    sides = "; ".join(f"{by}: {value}" for by, value in wording.sides(card))
    result = "; ".join(filter(None, (in_words(card.result), wording.overruled(card))))
    return f"| {' | '.join(map(_told, (card.field, in_words(card.base), sides, wording.rule(card), result)))} |"


def _told(text: str) -> str:
    return _cell(prose(text))


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
        example = f"{code(f'{first.path}:{first.line}')} {first.rule}"
        lines.append(f"- {len(group.findings)} {group.word}: {prose(group.reason)} (for example {example})")
    return _text([*lines, *_more(len(groups), THROWN_SHOWN, FINDINGS_FILE), *([] if groups else ["Nothing."])])


def _not_checked(skipped: Sequence[Skipped]) -> str:
    lines = ["## What was not checked", ""]
    return _text([*lines, *(f"- {_whats(item)}: {prose(item.cause)}." for item in unread.alike(skipped))])


def _whats(group: unread.Alike) -> str:
    return group.before + ", ".join(map(prose, group.shown))


def _findings(kept: Sequence[Finding]) -> str:
    lines = ["## All kept findings", "", "| severity | place | finding | seen with |", "|---|---|---|---|"]
    lines += [
        f"| {item.severity} | {_cell(code(f'{item.path}:{item.line}'))} | {_cell(rule_named(item.rule).title)}:"
        f" {_cell(prose(item.message))} | {', '.join(item.tools)} |"
        for item in kept[:FINDINGS_SHOWN]
    ]
    return _text([*lines, *_more(len(kept), FINDINGS_SHOWN, FINDINGS_FILE)])


def _more(count: int, shown: int, where: str) -> list[str]:
    left = wording.more(count, shown, where)
    return ["", left] if left else []


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
