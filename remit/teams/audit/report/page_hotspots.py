"""The section of the page with the chart: what it shows, how to read it, and its numbers as a table."""

from collections.abc import Iterable

from remit.teams.audit.report.bubble import HEAVY, Bubble, Cloud, Load, cloud
from remit.teams.audit.report.markdown import Draft
from remit.teams.audit.report.page_chart import AXES, NARROW, WIDE, chart
from remit.teams.audit.report.page_markup import Markup, code, element, join, row, table

_LONGEST = 120
NO_MEASURES = "No file that ships was measured, so there is nothing to draw."
_LOADS: tuple[tuple[Load, str], ...] = (
    ("heavy", f"findings of weight {HEAVY} or more were kept"),
    ("some", "lighter findings were kept"),
    ("quiet", "nothing was kept"),
)
_HEADS = ("file", "commits", "complexity", "lines", "findings kept", "weight")


def hotspots(draft: Draft) -> Markup:
    """Give the chart of the measured files with all that it says, in words too."""
    found = cloud(draft.measures, draft.kept, draft.hotspots)
    if not found.bubbles:
        return element("p", NO_MEASURES)
    summary = f"{len(found.bubbles)} files by {AXES[found.across]} and by complexity; the table below has the numbers"
    return join(
        element("p", *_explained(found, is_git=draft.inventory.is_git)),
        element(
            "figure",
            chart(found, WIDE, summary),
            chart(found, NARROW, summary),
            element("figcaption", element("ul", *_legend(), class_="legend")),
        ),
        element("details", element("summary", "The numbers behind the chart"), _numbers(found)),
    )


def _explained(found: Cloud, *, is_git: bool) -> Iterable[str]:
    size = "its lines" if found.across == "commits" else "the weight of its findings"
    yield f"Each bubble is a file that ships; its area is {size}. Both axes are logarithmic. "
    yield "A number is the place of a file in the list above."
    if found.across == "lines":
        why = "The history was not counted" if is_git else "This is no git repository"
        yield f" {why}, so files go to the right by their lines instead of by how often they were changed."
    if found.measured > len(found.bubbles):
        yield f" {len(found.bubbles)} of {found.measured} files are drawn: those to mend first, and the longest."


def _legend() -> Iterable[Markup]:
    for load, said in _LOADS:
        circle = element("circle", cx=9, cy=9, r=7, class_=f"bubble {load}")
        yield element("li", element("svg", circle, viewBox="0 0 18 18", aria_hidden="true", class_="key"), said)


def _numbers(found: Cloud) -> Markup:
    has_commits = found.across == "commits"
    heads = tuple(head for head in _HEADS if has_commits or head != "commits")
    rows = [row(*_cells(item, has_commits=has_commits), heads=heads) for item in found.bubbles]
    return table("Files of the chart, those to mend first before the longest", heads, rows, class_="stacked figures")


def _cells(item: Bubble, *, has_commits: bool) -> Iterable[Markup]:
    rank = f"{item.rank}. " if item.rank else ""
    yield join(rank, code(item.path, _LONGEST))
    counted = (item.commits,) if has_commits else ()
    for number in (*counted, item.complexity, item.lines, item.findings, item.weight):
        yield element("span", str(number))
