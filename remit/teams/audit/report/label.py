"""Labels beside points: each where it covers no other label, by the same rule every time.

A label is set one after the other, the most important first. Around its point there are places at growing distances;
of those inside the plot and on nothing that is taken, the best is near and covers few points. A label for which there
is no place is left out: the table beside the chart names every point.
"""

from collections.abc import Sequence

import msgspec

_AWAY = (4, 14, 26, 42, 62)
"""Distances from the edge of a point, in units of the drawing."""
_NEAR = 10
"""From this distance on a line leads from the point to its label."""
_COVERED = 12
"""As bad as to cover one point is to be so much farther away."""


class Box(msgspec.Struct, frozen=True):
    """A rectangle of a drawing."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        """Say whether two rectangles have a part in common."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def holds(self, other: "Box") -> bool:
        """Say whether another rectangle lies inside this one."""
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """A point that wants a label."""

    x: float
    y: float
    radius: float
    width: float
    """Of its label."""


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """Where a label stands."""

    box: Box
    is_led: bool
    """Whether it is so far away that a line leads to it."""


def placed(spots: Sequence[Spot], plot: Box, *, height: float, points: Sequence[Box]) -> list[Label | None]:
    """Give a place for the label of every spot, or None where there is none; `points` had better not be covered."""
    taken, labels = list[Box](), list[Label | None]()
    for spot in spots:
        label = _place(spot, plot, height=height, points=points, taken=taken)
        labels.append(label)
        if label is not None:
            taken.append(label.box)
    return labels


def _place(spot: Spot, plot: Box, *, height: float, points: Sequence[Box], taken: Sequence[Box]) -> Label | None:
    best, least = None, float("inf")
    for away in _AWAY:
        for box in _around(spot, away, height):
            if plot.holds(box) and not any(box.meets(other) for other in taken):
                cost = away + _COVERED * sum(box.meets(point) for point in points)
                if cost < least:
                    best, least = Label(box=box, is_led=away >= _NEAR), cost
    return best


def _around(spot: Spot, away: float, height: float) -> list[Box]:
    """Give the places at one distance, in the order in which they are tried."""
    reach, half = spot.radius + away, height / 2
    aslant = reach * 0.75
    corners = [
        (spot.x + reach, spot.y - half),
        (spot.x - reach - spot.width, spot.y - half),
        (spot.x - spot.width / 2, spot.y - reach - height),
        (spot.x - spot.width / 2, spot.y + reach),
        (spot.x + aslant, spot.y - aslant - height),
        (spot.x + aslant, spot.y + aslant),
        (spot.x - aslant - spot.width, spot.y - aslant - height),
        (spot.x - aslant - spot.width, spot.y + aslant),
    ]
    return [Box(left, top, left + spot.width, top + height) for left, top in corners]
