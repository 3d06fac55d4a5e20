"""The first screen of the page: the score, the verdict, and what to mend first."""

import math
from collections.abc import Sequence

from remit.teams.audit.finding import Finding
from remit.teams.audit.report import wording
from remit.teams.audit.report.hotspot import FIRST, Hotspot
from remit.teams.audit.report.markdown import Draft, verdict
from remit.teams.audit.report.page_findings import link, severity
from remit.teams.audit.report.page_markup import Markup, code, element, join, prose
from remit.teams.audit.report.page_trend import change, is_trend, sparkline
from remit.teams.audit.report.quoted import is_about_file
from remit.teams.audit.report.trend import TrendPoint

_NUMBERS = ("", "one", "two", "three", "four", "five")
_SENTENCE = 800
"""Characters: three reasons that are long, too."""
_RADIUS = 52


def head(draft: Draft, points: Sequence[TrendPoint]) -> Markup:
    """Give what stands above everything: score, verdict, what was not read, trend."""
    return element(
        "header",
        _ring(draft.score),
        element(
            "div",
            element("h1", "Audit", *([" of ", code(name)] if (name := draft.inventory.name) else []), _commit(points)),
            element("p", verdict(draft), class_="verdict"),
            *([element("p", element("b", "Not read: "), prose(draft.unread), ".")] if draft.unread else []),
            class_="said",
        ),
        *([_trend(draft, points)] if is_trend(points) or draft.since is not None else []),
        class_="top",
    )


def _trend(draft: Draft, points: Sequence[TrendPoint]) -> Markup:
    """Give the trend; a first audit has none."""
    return element(
        "div",
        element("h2", "Trend"),
        sparkline(points, draft.score),
        element("p", _change(draft, points), class_="aside"),
        class_="trend",
    )


def _change(draft: Draft, points: Sequence[TrendPoint]) -> Markup:
    """Say how the score went; an audit of the same commit with other changes is no point of the trend."""
    if draft.since is not None and not is_trend(points):
        return join(f"{draft.since.last.score} at the last audit, of the same commit.")
    return change(points)


def _commit(points: Sequence[TrendPoint]) -> Markup:
    """Say what was audited: the latest point of the trend is this audit."""
    if not points:
        return Markup()
    said = join("of commit ", code(points[-1].commit[:10]), f", {points[-1].committed_at[:10]}")
    return join(" ", element("span", said, class_="aside"))


def heading(spots: Sequence[Hotspot]) -> str:
    """Say how many to mend first."""
    return f"Fix these {_NUMBERS[min(len(spots), FIRST)]} first" if len(spots) > 1 else "Fix this first"


def fix_first(draft: Draft) -> Markup:
    """Give the files to mend first, each with its reasons as one, who saw it, what to do, and the evidence."""
    if not draft.hotspots:
        return join(element("p", wording.NOTHING_FIRST), _meaning(draft))
    return join(
        element("ol", *(_spot(spot, draft) for spot in draft.hotspots), class_="first"),
        element("p", wording.ORDER, class_="aside order"),
        _meaning(draft),
    )


def _spot(spot: Hotspot, draft: Draft) -> Markup:
    action, cited = draft.to_do(spot), draft.cited(spot)
    seen = join("Seen by ", join(*(element("b", skill) for skill in spot.skills), by=", "))
    return element(
        "li",
        element(
            "div",
            element("h3", code(spot.path)),
            element("p", prose(_sentence(spot), _SENTENCE)),
            element(
                "p",
                *([element("span", prose(f"To do: {action}"), class_="action"), " "] if action else []),
                element("span", seen, class_="aside"),
            ),
        ),
        element("ul", *(_evidence(finding) for finding in cited), class_="evidence"),
    )


def _sentence(spot: Hotspot) -> str:
    said = spot.joined()
    return f"{said[:1].upper()}{said[1:]}."


def _evidence(finding: Finding) -> Markup:
    is_shown = finding.snippet and not is_about_file(finding)
    snippet = element("div", code(finding.snippet, 120), class_="cited") if is_shown else ""
    seen = element("span", finding.skill, class_="aside")
    return element("li", element("div", severity(finding.severity), seen, " ", link(finding), class_="of"), snippet)


def _meaning(draft: Draft) -> Markup:
    return element("p", wording.meaning(draft.kept, draft.critique.lines), class_="aside")


def _ring(score: int) -> Markup:
    around = 2 * math.pi * _RADIUS
    return element(
        "svg",
        element("circle", cx=64, cy=64, r=_RADIUS, class_="track"),
        element(
            "circle",
            cx=64,
            cy=64,
            r=_RADIUS,
            class_="arc",
            stroke_dasharray=f"{around * score / 100:.1f} {around:.1f}",
            transform="rotate(-90 64 64)",
        ),
        element("text", str(score), x=64, y=74, text_anchor="middle", class_="number"),
        element("text", "of 100", x=64, y=94, text_anchor="middle", class_="of"),
        viewBox="0 0 128 128",
        role="img",
        aria_label=f"Score {score} of 100",
        class_="ring",
    )
