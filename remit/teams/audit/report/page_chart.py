"""The chart of the page: one bubble for a file, drawn twice, for wide screens and for narrow ones."""

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import msgspec

from remit.teams.audit.report.bubble import Across, Bubble, Cloud
from remit.teams.audit.report.label import Box, Label, Spot, placed
from remit.teams.audit.report.page_markup import Markup, clipped, element, visible

AXES: dict[Across, str] = {"commits": "commits that changed the file", "lines": "lines of the file"}
_STEPS = (1, 2, 5)
_GLYPH = 0.62
"""Width of a character, in parts of the size of the writing. A label is drawn in exactly the width it was given."""
_ASCENT = 0.76
"""How far below the top of its box a label's line of writing lies, in parts of the box."""
_UNRANKED = 1000
_LONGEST = 80
"""Of a path that a bubble says, in characters."""


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """The measures of one drawing."""

    name: str
    width: int
    height: int
    left: int
    bottom: int
    font: int
    named: int
    """Bubbles that have a label."""
    longest: int
    """Characters of a label."""
    small: float
    large: float
    """Radii of the smallest bubble and of the largest one."""

    @property
    def plot(self) -> Box:
        """The rectangle in which the bubbles lie."""
        return Box(self.left, 8, self.width - 8, self.height - self.bottom)


WIDE = Frame(name="wide", width=1040, height=500, left=56, bottom=52, font=14, named=12, longest=28, small=4, large=30)
NARROW = Frame(
    name="narrow", width=360, height=440, left=36, bottom=44, font=12, named=5, longest=18, small=3, large=15
)


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """From numbers to places: logarithmic, because most files are small and few are very large."""

    low: int
    high: int
    start: float
    end: float

    def at(self, value: int) -> float:
        """Give the place of a number."""
        low, high = math.log1p(self.low), math.log1p(self.high)
        share = (math.log1p(value) - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, apart: float) -> list[int]:
        """Give round numbers whose places are so far apart at least; the ends where there are too few of them."""
        chosen: list[int] = []
        for value in (step * 10**power for power in range(10) for step in _STEPS):
            if self.low <= value <= self.high and all(abs(self.at(value) - self.at(one)) >= apart for one in chosen):
                chosen.append(value)
        return chosen if len(chosen) > 1 else sorted({self.low, self.high})


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """A bubble with its place."""

    bubble: Bubble
    label: str
    x: float
    y: float
    radius: float

    @property
    def box(self) -> Box:
        """The rectangle around it."""
        return Box(self.x - self.radius, self.y - self.radius, self.x + self.radius, self.y + self.radius)


def chart(cloud: Cloud, frame: Frame, summary: str) -> Markup:
    """Draw a cloud; `summary` is what somebody hears who does not see it."""
    scales = _scales(cloud, frame)
    drawn = _drawn(cloud, frame, scales)
    named = sorted((item for item in drawn if item.bubble.findings), key=_urgency)[: frame.named]
    spots, points = [_spot(item, frame) for item in named], [item.box for item in drawn]
    labels = placed(spots, frame.plot, height=frame.font + 4, points=points)
    pairs = [(item, label) for item, label in zip(named, labels, strict=True) if label is not None]
    return element(
        "svg",
        *_axes(frame, scales, AXES[cloud.across]),
        *(_circle(item) for item in sorted(drawn, key=_size)),
        *(_lead(item, label) for item, label in pairs if label.is_led),
        *(_name(item, label, frame) for item, label in pairs),
        viewBox=f"0 0 {frame.width} {frame.height}",
        role="img",
        aria_label=summary,
        class_=f"chart {frame.name}",
    )


def tip(bubble: Bubble) -> str:
    """Say what is known about a file."""
    said = [
        f"{clipped(visible(bubble.path), _LONGEST)}: complexity {bubble.complexity}",
        _counted(bubble.lines, "line"),
    ]
    said += [_counted(bubble.commits, "commit")] if bubble.commits else []
    said += [
        f"{_counted(bubble.findings, 'finding')} kept of weight {bubble.weight}" if bubble.findings else "nothing kept"
    ]
    return ", ".join(said) + (f"; number {bubble.rank} to mend first" if bubble.rank else "")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


# --- places ---


def _scales(cloud: Cloud, frame: Frame) -> tuple[Scale, Scale]:
    plot, edge = frame.plot, frame.large + 2
    across = [_across(item, cloud) for item in cloud.bubbles]
    up = [item.complexity for item in cloud.bubbles]
    return (
        Scale(low=min(across), high=max(across), start=plot.left + edge, end=plot.right - edge),
        Scale(low=min(up), high=max(up), start=plot.bottom - edge, end=plot.top + edge),
    )


def _across(bubble: Bubble, cloud: Cloud) -> int:
    return bubble.commits if cloud.across == "commits" else bubble.lines


def _area(bubble: Bubble, cloud: Cloud) -> int:
    """Give what the area of a bubble tells: its lines, or its weight where the place tells the lines already."""
    return bubble.lines if cloud.across == "commits" else bubble.weight


def _drawn(cloud: Cloud, frame: Frame, scales: tuple[Scale, Scale]) -> list[Drawn]:
    across, up = scales
    largest = max(1, *(_area(item, cloud) for item in cloud.bubbles))
    return [
        Drawn(
            bubble=item,
            label=label,
            x=across.at(_across(item, cloud)),
            y=up.at(item.complexity),
            radius=max(frame.small, frame.large * math.sqrt(_area(item, cloud) / largest)),
        )
        for item, label in zip(cloud.bubbles, _labels(cloud.bubbles, frame.longest), strict=True)
    ]


def _urgency(item: Drawn) -> tuple[int, int, float, str]:
    """Sort key: those to mend first in their order, then the heavier, then the nearer to the upper right corner."""
    return (item.bubble.rank or _UNRANKED, -item.bubble.weight, item.y - item.x, item.bubble.path)


def _size(item: Drawn) -> tuple[float, str]:
    """Sort key: a smaller bubble is drawn over a larger one."""
    return (-item.radius, item.bubble.path)


def _spot(item: Drawn, frame: Frame) -> Spot:
    cells = sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in item.label)
    return Spot(x=item.x, y=item.y, radius=item.radius, width=cells * frame.font * _GLYPH + 4)


def _labels(found: Sequence[Bubble], longest: int) -> list[str]:
    """Name files as shortly as they are told apart: by the folder too where a name is taken or says nothing."""
    names = [PurePosixPath(item.path).name for item in found]
    counts = Counter([*names, "__init__.py", "__init__.py"])
    labels = [
        "/".join(PurePosixPath(item.path).parts[-2:]) if counts[name] > 1 else name
        for item, name in zip(found, names, strict=True)
    ]
    shown = (clipped(visible(label), longest) for label in labels)
    return [f"{item.rank} {label}" if item.rank else label for item, label in zip(found, shown, strict=True)]


# --- strokes ---


def _circle(item: Drawn) -> Markup:
    return element(
        "circle",
        element("title", tip(item.bubble)),
        cx=_short(item.x),
        cy=_short(item.y),
        r=_short(item.radius),
        class_=f"bubble {item.bubble.load}" + (" first" if item.bubble.rank else ""),
    )


def _lead(item: Drawn, label: Label) -> Markup:
    """Draw a line from the edge of a bubble to the nearest point of its label."""
    x = min(max(item.x, label.box.left), label.box.right)
    y = min(max(item.y, label.box.top), label.box.bottom)
    share = item.radius / (math.hypot(x - item.x, y - item.y) or 1)
    start_x, start_y = item.x + (x - item.x) * share, item.y + (y - item.y) * share
    return element("line", x1=_short(start_x), y1=_short(start_y), x2=_short(x), y2=_short(y), class_="lead")


def _name(item: Drawn, label: Label, frame: Frame) -> Markup:
    box = label.box
    return element(
        "text",
        item.label,
        x=_short(box.left + 2),
        y=_short(box.top + _ASCENT * (box.bottom - box.top)),
        textLength=_short(box.right - box.left - 4),
        lengthAdjust="spacingAndGlyphs",
        font_size=frame.font,
        class_="name first" if item.bubble.rank else "name",
    )


def _axes(frame: Frame, scales: tuple[Scale, Scale], title: str) -> Iterable[Markup]:
    plot, (across, up) = frame.plot, scales
    for value in across.ticks(frame.font * 3):
        yield from _tick(frame, str(value), x=across.at(value))
    for value in up.ticks(frame.font * 2):
        yield from _tick(frame, str(value), y=up.at(value))
    middle = (plot.top + plot.bottom) / 2
    turned = f"rotate(-90 {frame.font} {_short(middle)})"
    yield _text("complexity →", x=frame.font, y=middle, size=frame.font, anchor="middle", transform=turned)
    center = (plot.left + plot.right) / 2
    yield _text(f"{title} →", x=center, y=frame.height - 6, size=frame.font, anchor="middle")


def _tick(frame: Frame, said: str, *, x: float | None = None, y: float | None = None) -> tuple[Markup, Markup]:
    """Draw one line of the grid, up if it has an x and across if it has a y, and its number."""
    plot = frame.plot
    x1, x2 = (plot.left, plot.right) if x is None else (x, x)
    y1, y2 = (plot.top, plot.bottom) if y is None else (y, y)
    line = element("line", x1=_short(x1), y1=_short(y1), x2=_short(x2), y2=_short(y2), class_="grid")
    if x is not None:
        return line, _text(said, x=x, y=plot.bottom + frame.font + 4, size=frame.font, anchor="middle")
    return line, _text(said, x=plot.left - 5, y=y2 + frame.font / 3, size=frame.font, anchor="end")


def _text(said: str, *, x: float, y: float, size: float, anchor: str, transform: str | None = None) -> Markup:
    return element(
        "text", said, x=_short(x), y=_short(y), font_size=_short(size), text_anchor=anchor, transform=transform
    )


def _short(value: float) -> str:
    """Write a length in tenths, the same on every machine."""
    return f"{value:.1f}".removesuffix(".0")
