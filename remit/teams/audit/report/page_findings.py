"""The findings of the page: those that stand, each in a row that can be linked to."""

from collections.abc import Iterable, Mapping, Sequence

from remit.teams.audit.finding import SEVERITIES, Finding, Severity
from remit.teams.audit.judge.rules import rule_named
from remit.teams.audit.report import wording
from remit.teams.audit.report.page_markup import Markup, anchor, code, element, join, prose, row, text
from remit.teams.audit.report.page_markup import table as table_of
from remit.teams.audit.report.quoted import Quote, is_about_file
from remit.teams.audit.report.selection import FINDINGS_FILE, FINDINGS_SHOWN, by_severity

_SIGNS: dict[Severity, str] = {"high": "▲", "medium": "◆", "low": "●", "note": "○"}
_WIDEST = 120
"""Characters of a quoted line."""
_HEADS = ("severity", "place", "finding", "seen by")


def shown(kept: Sequence[Finding], cited: Iterable[str]) -> list[Finding]:
    """Give the findings with a row: as many as the report shows, and those that something on the page links to."""
    names = set(cited)
    return [*kept[:FINDINGS_SHOWN], *(item for item in kept[FINDINGS_SHOWN:] if item.fingerprint in names)]


def findings(kept: Sequence[Finding], rows: Sequence[Finding], quotes: Mapping[str, Quote]) -> Markup:
    """Give the table of what stands, with what narrows it down where scripts run."""
    if not rows:
        return element("p", wording.NOTHING_KEPT)
    caption = "Findings that the critic kept: what is wrong today first, each the worst first"
    more = wording.more(len(kept), len(rows), FINDINGS_FILE)
    return join(
        _filter(rows),
        table_of(
            caption,
            _HEADS,
            [_row(item, quotes.get(item.fingerprint)) for item in rows],
            class_="stacked kept",
            id="kept",
        ),
        element("p", more) if more else "",
    )


def severity(level: Severity) -> Markup:
    """Give a severity: a sign, a word and a colour."""
    return element("span", element("span", _SIGNS[level], aria_hidden="true"), f" {level}", class_=f"level {level}")


def place(finding: Finding) -> Markup:
    """Give the place of a finding, as an editor takes it."""
    return element("span", code(finding.path), element("code", f":{finding.line}"), class_="place")


def link(finding: Finding) -> Markup:
    """Give the place of a finding as a link to its row."""
    return element("a", place(finding), href=f"#{anchor(finding.fingerprint)}")


def lines(quote: Quote, cited: int) -> Markup:
    """Give lines of code with their numbers; the cited one stands out."""
    return element("pre", *(_line(number, line, cited) for number, line in enumerate(quote.lines, quote.first)))


def _line(number: int, line: str, cited: int) -> Markup:
    told = join(element("span", f"{number:>4} ", class_="at", aria_hidden="true"), text(line, _WIDEST), "\n")
    return element("b" if number == cited else "span", told)


def _row(item: Finding, quote: Quote | None) -> Markup:
    symbol = element("div", "in ", code(item.symbol), class_="aside") if item.symbol else ""
    snippet = element("div", code(item.snippet), class_="snippet") if item.snippet and not is_about_file(item) else ""
    shown = lines(quote, item.line) if quote is not None else snippet
    told = rule_named(item.rule)
    return row(
        severity(item.severity),
        join(place(item), symbol, element("div", item.fingerprint, class_="aside id")),
        join(element("b", told.title), ": ", prose(item.message), shown),
        join(item.skill, element("div", "with ", ", ".join(item.tools), class_="aside")),
        heads=_HEADS,
        id=anchor(item.fingerprint),
        data_severity=item.severity,
        data_skill=item.skill,
        data_order=SEVERITIES.index(item.severity),
    )


def _filter(rows: Sequence[Finding]) -> Markup:
    """Give what the script uses; without the script nobody sees it."""
    counts = {level: count for level, count in by_severity(rows).items() if count}
    options = (element("option", skill, value=skill) for skill in sorted({item.skill for item in rows}))
    return element(
        "div",
        element("div", *(_only(level, count) for level, count in counts.items()), role="group", aria_label="Severity"),
        element("label", "Seen by ", element("select", element("option", "all", value=""), *options, id="with-skill")),
        element("label", "Text ", element("input", type="search", id="with-text", autocomplete="off")),
        element("output", f"{len(rows)} of {len(rows)} shown", id="matches", aria_live="polite"),
        id="filter",
        hidden="",
    )


def _only(level: Severity, count: int) -> Markup:
    """Give a button that is pressed or not. With three fields to fill in, a browser asks its maker what they are."""
    return element("button", severity(level), f" {count}", type="button", aria_pressed="false", data_severity=level)
