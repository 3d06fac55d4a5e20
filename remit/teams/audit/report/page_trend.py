"""The trend of the page: the score of one audit after the other as a line, and the same as a table."""

from collections.abc import Sequence

from remit.teams.audit.report.page_markup import Markup, code, element, join, row, table
from remit.teams.audit.report.trend import TrendPoint

POINTS = 30
"""The latest; more are no line that anybody reads."""
_WIDTH, _HEIGHT, _EDGE = 260, 96, 26
_SPAN = 10
"""Points of score that the drawing is high at least, so that a small change looks small."""
_HEADS = ("commit", "date", "score", "findings kept")


def sparkline(points: Sequence[TrendPoint], score: int) -> Markup:
    """Draw the scores of the audits up to this one; where there were none before, this one alone."""
    latest = points[-POINTS:]
    scores = [point.score for point in latest] or [score]
    places = _places(scores)
    line = element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places), class_="line")
    first = [_number(scores[0], places[0])] if len(scores) > 1 else []
    return element(
        "svg",
        *([line] if len(scores) > 1 else []),
        *(_dot(place, said) for place, said in zip(places, scores, strict=True)),
        *first,
        _number(scores[-1], places[-1], class_="last"),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=f"Score of each audit: {', '.join(map(str, scores))}",
        class_="spark",
    )


def is_trend(points: Sequence[TrendPoint]) -> bool:
    """Say whether there was an audit before this one."""
    return len(points) > 1


def change(points: Sequence[TrendPoint]) -> Markup:
    """Say how the score went since the audit before, which there is."""
    before, now = points[-2:]
    by = now.score - before.score
    went = f"{by:+} since" if by else "As at"
    audits = element("a", f"{len(points)} audits on record", href="#trend")
    return join(f"{went} the audit of ", code(before.commit[:10]), "; ", audits, ".")


def earlier(points: Sequence[TrendPoint]) -> Markup:
    """Give the audits on record as a table, the latest first."""
    rows = [
        row(
            code(point.commit[:10]),
            _plain(point.committed_at[:10]),
            *map(_plain, (point.score, point.kept)),
            heads=_HEADS,
        )
        for point in reversed(points[-POINTS:])
    ]
    return table("Audits on record, the latest first", _HEADS, rows)


def _plain(value: object) -> Markup:
    return element("span", str(value))


def _places(scores: Sequence[int]) -> list[tuple[float, float]]:
    middle = (min(scores) + max(scores)) / 2
    span = max(_SPAN, max(scores) - min(scores))
    low = middle - span / 2
    step = (_WIDTH - 2 * _EDGE) / max(1, len(scores) - 1)
    start = _EDGE if len(scores) > 1 else _WIDTH / 2
    return [
        (start + index * step, _HEIGHT - _EDGE - (said - low) / span * (_HEIGHT - 2 * _EDGE))
        for index, said in enumerate(scores)
    ]


def _dot(place: tuple[float, float], said: int) -> Markup:
    x, y = place
    return element("circle", element("title", str(said)), cx=f"{x:.1f}", cy=f"{y:.1f}", r="3.5", class_="dot")


def _number(said: int, place: tuple[float, float], class_: str | None = None) -> Markup:
    x, y = place
    return element("text", str(said), x=f"{x:.1f}", y=f"{y - 9:.1f}", text_anchor="middle", class_=class_)
