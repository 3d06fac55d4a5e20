"""report.html: the report as one page that asks for nothing outside itself, on a screen, on paper, and read aloud."""

import base64
import hashlib
from collections.abc import Iterator

from remit.teams.audit.report import page_first, page_lists, page_model, page_since
from remit.teams.audit.report.markdown import Draft
from remit.teams.audit.report.model_words import HEADING
from remit.teams.audit.report.page_findings import findings, shown
from remit.teams.audit.report.page_hotspots import hotspots
from remit.teams.audit.report.page_markup import Markup, clipped, element, join, visible
from remit.teams.audit.report.page_script import SCRIPT
from remit.teams.audit.report.page_style import STYLE
from remit.teams.audit.report.page_trend import earlier, is_trend
from remit.teams.audit.report.selection import CONFLICTS_FILE, FINDINGS_FILE
from remit.teams.audit.report.trend import TrendPoint

_FILES = (
    ("report.md", "the same as text"),
    ("findings.sarif", "what was kept, for editors and code hosts"),
    (FINDINGS_FILE, "every finding with its decision and the reason"),
    (CONFLICTS_FILE, "every conflict"),
    ("evidence/", "citations with the digests of their files, measures, what was not checked"),
)


def text(draft: Draft, trend: tuple[TrendPoint, ...] = ()) -> str:
    """Give the page. The same findings give the same bytes: no times of day, names of runs, or costs."""
    return f"<!doctype html>\n{element('html', _head(draft.inventory.name), _body(draft, trend), lang='en')}\n"


def policy() -> str:
    """Give what a browser may do for the page: apply its own style and run its own script, and nothing else."""
    allowed = {
        "default-src": "'none'",
        "style-src": _digest(STYLE),
        "script-src": _digest(SCRIPT),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in allowed.items())


def _digest(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _head(name: str) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"Audit of {clipped(visible(name))}" if name else "Audit"),
        element("style", Markup(STYLE)),
    )


def _body(draft: Draft, trend: tuple[TrendPoint, ...]) -> Markup:
    sections = list(_sections(draft, trend))
    links = (element("li", element("a", short, href=f"#{name}")) for name, short, _heading, _content in sections)
    return element(
        "body",
        element("a", "Skip to what to fix first", href=f"#{sections[0][0]}", class_="skip"),
        page_first.head(draft, trend),
        element("nav", element("ul", *links), aria_label="Sections"),
        element("main", *(_section(name, heading, content) for name, _short, heading, content in sections)),
        _foot(),
        element("script", Markup(SCRIPT)),
    )


def _sections(draft: Draft, trend: tuple[TrendPoint, ...]) -> Iterator[tuple[str, str, str, Markup]]:
    """Give name, short name, heading and content of every section, in their order."""
    kept = draft.kept
    cited = [*(name for spot in draft.hotspots for name in spot.findings), *page_since.cited(draft.since)]
    setback = draft.verification.setback
    yield "fix-first", "Fix first", page_first.heading(draft.hotspots), page_first.fix_first(draft)
    if draft.told is not None:
        yield "model", "A model", HEADING, page_model.section(draft.told, kept, [spot.path for spot in draft.hotspots])
    if draft.inventory.since == "last":
        yield "since", "Since then", "Since the last audit", page_since.section(draft.since, draft.no_baseline)
    yield "hotspots", "Hotspots", "Where trouble gathers", hotspots(draft)
    yield "conflicts", "Conflicts", "Conflicts by rule", page_lists.conflicts(draft)
    yield "findings", "Findings", "All kept findings", findings(kept, shown(kept, cited), draft.quotes)
    yield "patches", "Patches", "Patches", page_lists.patches(draft.verification)
    if setback is not None:
        yield "setback", "Rolled back", "What went wrong on the way", page_lists.setback(setback)
    yield "thrown-out", "Thrown out", "What the critic threw out, and why", page_lists.thrown(draft)
    if is_trend(trend):
        yield "trend", "Trend", "Audits on record", earlier(trend)
    yield "counts", "Counts", "Counts", page_lists.counts(draft)
    yield "not-checked", "Not checked", "What was not checked", page_lists.not_checked(draft.skipped)


def _section(name: str, heading: str, content: Markup) -> Markup:
    label = f"{name}-heading"
    return element("section", element("h2", heading, id=label), content, id=name, aria_labelledby=label)


def _foot() -> Markup:
    files = (element("li", element("a", element("code", name), href=name), f": {what}") for name, what in _FILES)
    return element(
        "footer",
        element("p", "Beside this page:"),
        element("ul", *files),
        element("p", join("Made by ", element("code", "remit audit"), ". The same commit gives the same page.")),
    )
