"""The lists of the page: conflicts, what was thrown out, what was mended, what went wrong, what was not checked."""

from collections.abc import Sequence

from remit.teams.audit.finding import Finding
from remit.teams.audit.judge.opinion import Opinion
from remit.teams.audit.judge.rules import rule_named
from remit.teams.audit.memory import FILES
from remit.teams.audit.mending import Dropped, Patch, Setback, Verification
from remit.teams.audit.message import Critique
from remit.teams.audit.report import patch_section, unread, wording
from remit.teams.audit.report.conflict import Card
from remit.teams.audit.report.markdown import Draft
from remit.teams.audit.report.page_findings import place
from remit.teams.audit.report.page_markup import Markup, code, element, join, prose, row, table
from remit.teams.audit.report.ruling import in_words
from remit.teams.audit.report.selection import (
    CONFLICTS_FILE,
    CONFLICTS_SHOWN,
    FINDINGS_FILE,
    SKIPPED_FILE,
    THROWN_SHOWN,
    RuleTally,
    Thrown,
    contested,
    tallies,
    thrown_out,
)
from remit.teams.audit.sighting import Skipped

_OPEN = 3
"""Conflicts that are shown unfolded."""
_EXAMPLES = 3
_SKIPPED = 100
_SIDES = ("field", "base", "sides", "rule", "result")
_THROWN = ("findings", "decision", "why", "for example")
_RULES = ("rule", "kept", "demoted", "rejected")
_BY_RULE = "What became of the findings, by rule"
_PATCHES = ("patch", "rules", "file", "findings mended")


def conflicts(draft: Draft) -> Markup:
    """Give the conflicts in which roles contradict one another; the others are counted."""
    if not draft.conflicts:
        return element("p", wording.NO_CONFLICT)
    cards = contested(draft.conflicts)
    told = [
        _conflict(group, draft.opinions, is_open=number < _OPEN) for number, group in enumerate(cards[:CONFLICTS_SHOWN])
    ]
    more = _more(len(cards), CONFLICTS_SHOWN, CONFLICTS_FILE)
    return join(
        *(element("p", _linked(sentence, CONFLICTS_FILE)) for sentence in wording.conflicts(draft.conflicts)),
        *told,
        more,
    )


def _more(count: int, limit: int, file: str) -> Markup:
    said = wording.more(count, limit, file)
    return element("p", _linked(said, file)) if said else Markup()


def _linked(sentence: str, file: str) -> Markup:
    """Give a sentence of ours in which the name of a file beside the page leads to it."""
    before, name, after = sentence.partition(file)
    return join(before, element("a", code(name), href=name) if name else "", after)


def _conflict(cards: Sequence[Card], opinions: Sequence[Opinion], *, is_open: bool) -> Markup:
    key = cards[0].key
    about = wording.disputed(key, opinions)
    title = join(rule_named(about.rule).title, " at ", place(about)) if about else code(key.removeprefix(FILES.prefix))
    fields = ", ".join(card.field.replace("_", " ") for card in cards)
    rows = [_side(card) for card in cards]
    return element(
        "details",
        element("summary", title, element("span", f" {fields}", class_="aside")),
        table(f"Who said what of {key}", _SIDES, rows, class_="stacked sides"),
        open="" if is_open else None,
    )


def _side(card: Card) -> Markup:
    said = (element("li", element("b", by), ": ", prose(value)) for by, value in wording.sides(card))
    return row(
        element("b", card.field.replace("_", " ")),
        prose(in_words(card.base)),
        element("ul", *said),
        element("span", wording.rule(card)),
        join(element("div", prose(in_words(card.result))), *_stands(card)),
        heads=_SIDES,
    )


def _stands(card: Card) -> list[Markup]:
    """Say what stands, if it is not what the rule gave."""
    if card.is_open:
        return [element("div", "now: ", prose(in_words(card.stands)), ", which nobody decided", class_="after")]
    overruled = wording.overruled(card)
    return [element("div", prose(overruled), class_="after")] if overruled else []


def thrown(draft: Draft) -> Markup:
    """Give what is out and why, by the reason, with examples."""
    groups = thrown_out(draft.opinions)
    more = _more(len(groups), THROWN_SHOWN, FINDINGS_FILE)
    if not groups:
        return join(_funnel(draft.critique), element("p", "Nothing."))
    rows = [_thrown(group) for group in groups[:THROWN_SHOWN]]
    reasons = table("Findings that are out, by the reason", _THROWN, rows, class_="stacked thrown")
    return join(_funnel(draft.critique), _folded(f"The reasons: {len(groups)}", reasons, more))


def _folded(summary: str, *content: Markup) -> Markup:
    return element("details", element("summary", summary), *content)


def _thrown(group: Thrown) -> Markup:
    examples = (element("li", _example(finding)) for finding in group.findings[:_EXAMPLES])
    return row(
        element("b", str(len(group.findings))),
        element("span", group.word, class_=f"word {group.word}"),
        prose(group.reason),
        element("ul", *examples),
        heads=_THROWN,
    )


def _example(finding: Finding) -> Markup:
    snippet = join(element("br"), code(finding.snippet, 80)) if finding.snippet else ""
    return join(place(finding), " ", element("span", finding.rule, class_="aside"), snippet)


def _funnel(critique: Critique) -> Markup:
    """Draw what became of all that was raised as one bar, and say it."""
    parts = (("kept", critique.kept), ("demoted", critique.demoted), ("rejected", critique.rejected))
    said = ", ".join(f"{count} {word}" for word, count in parts)
    at, bars = 0.0, list[Markup]()
    for word, count in parts:
        width = 1000 * count / max(1, critique.raised)
        bars.append(element("rect", x=f"{at:.1f}", y=0, width=f"{width:.1f}", height=24, class_=f"part {word}"))
        at += width
    legend = (element("li", element("span", "", class_=f"swatch {word}"), f"{count} {word}") for word, count in parts)
    return join(
        element(
            "svg",
            *bars,
            viewBox="0 0 1000 24",
            preserveAspectRatio="none",
            role="img",
            aria_label=f"Of {critique.raised} raised: {said}",
            class_="funnel",
        ),
        element("ul", *legend, class_="legend"),
    )


def patches(found: Verification) -> Markup:
    """Give the patches, and those that there are not."""
    if not found.patches and not found.dropped:
        return element("p", patch_section.NOTHING_TO_MEND)
    ready = [
        element("p", prose(" ".join(filter(None, (patch_section.EACH_HOLDS, patch_section.own_tests(found)))))),
        *([element("p", prose(said))] if (said := patch_section.by_model(found)) else []),
        table("Patches that are ready", _PATCHES, [_patch(item) for item in found.patches], class_="stacked mended"),
    ]
    more = patch_section.more(found)
    return join(
        *(ready if found.patches else []),
        *([element("h3", "Dropped"), _dropped(found.dropped)] if found.dropped else []),
        *([element("p", more)] if more else []),
    )


def _patch(item: Patch) -> Markup:
    mended = (element("code", name) for name in item.findings)
    return row(
        code(item.name), element("span", ", ".join(item.rules)), code(item.path), join(*mended, by=" "), heads=_PATCHES
    )


def _dropped(found: Sequence[Dropped]) -> Markup:
    return element("ul", *(element("li", code(item.name), ": ", prose(item.reason), ".") for item in found))


def setback(found: Setback) -> Markup:
    """Give what was rolled back, to where, why, and what was restored."""
    back = (element("li", code(name), ": ", done) for name, done in patch_section.restored(found))
    return join(
        element("p", patch_section.went_wrong(found)),
        _dropped(found.failed),
        element("h3", "Restored"),
        element("ul", *back),
        element("p", patch_section.MADE_ANEW),
    )


def counts(draft: Draft) -> Markup:
    """Give what was read and what became of it, and the same for every rule with what the rule is about."""
    said = wording.counts(draft.inventory, draft.critique, draft.kept)
    rows = [_tally(item) for item in tallies(draft.opinions)]
    rules = _folded(f"By rule: {len(rows)}", table(_BY_RULE, _RULES, rows, class_="numbers")) if rows else ""
    return join(element("ul", *(element("li", sentence) for sentence in said)), rules)


def _tally(item: RuleTally) -> Markup:
    told = rule_named(item.rule)
    numbers = (element("span", str(number)) for number in (item.kept, item.demoted, item.rejected))
    title = join(element("b", told.title), " ", element("span", f"({item.rule})", class_="aside"))
    return row(join(title, element("div", prose(told.why), class_="aside")), *numbers, heads=_RULES)


def not_checked(skipped: Sequence[Skipped]) -> Markup:
    """Give what nobody looked at, and why."""
    if not skipped:
        return element("p", "Nothing was left out.")
    groups = unread.alike(skipped)
    told = (
        element("li", item.before, join(*map(code, item.shown), by=", "), ": ", prose(item.cause), ".")
        for item in groups[:_SKIPPED]
    )
    return join(element("ul", *told), _more(len(groups), _SKIPPED, SKIPPED_FILE))
