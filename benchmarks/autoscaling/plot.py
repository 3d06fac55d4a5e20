"""Lines over time as an SVG, one panel below the other; nothing but the standard library."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, PANEL, GAP, LEFT, TOP = 860, 120, 34, 70, 44
_COLOURS: Final = ("#1f6feb", "#d1242f", "#8b949e")


@dataclass(frozen=True)
class Panel:
    """One panel: its title, and its lines by name, each with a value for every moment."""

    title: str
    lines: dict[str, Sequence[float]]


def svg(title: str, at_s: Sequence[float], panels: Sequence[Panel]) -> str:
    """Give the whole picture."""
    height = TOP + len(panels) * (PANEL + GAP) + 10
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'font-family="sans-serif" font-size="12" role="img"><title>{escape(title)}</title>'
        ),
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{LEFT}" y="20" font-size="15" fill="#1f2328">{escape(title)}</text>',
    ]
    for index, panel in enumerate(panels):
        parts += _panel(panel, at_s, TOP + index * (PANEL + GAP), is_last=index == len(panels) - 1)
    return "\n".join([*parts, "</svg>\n"])


def _panel(panel: Panel, at_s: Sequence[float], top: float, *, is_last: bool) -> list[str]:
    most = max((max(values, default=0.0) for values in panel.lines.values()), default=0.0) or 1.0
    end = max(at_s[-1], 1.0)
    inner = WIDTH - LEFT - 20
    parts = [f'<text x="{LEFT}" y="{top - 6}" fill="#57606a">{escape(panel.title)}</text>']
    for share in (0.0, 0.5, 1.0):
        y = top + PANEL * (1 - share)
        parts.append(f'<line x1="{LEFT}" x2="{LEFT + inner}" y1="{y}" y2="{y}" stroke="#d0d7de"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end" fill="#57606a">{most * share:g}</text>')
    for number, (name, values) in enumerate(panel.lines.items()):
        points = [
            (LEFT + inner * at / end, top + PANEL * (1 - value / most)) for at, value in zip(at_s, values, strict=True)
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{line}"/>')
        x = LEFT + inner - 110 * (len(panel.lines) - number)
        parts.append(f'<text x="{x}" y="{top - 6}" fill="{colour}">{escape(name)}</text>')
    if is_last:
        for share in range(5):
            x = LEFT + inner * share / 4
            said = f"{end * share / 4:.0f} s"
            parts.append(f'<text x="{x}" y="{top + PANEL + 18}" text-anchor="middle" fill="#57606a">{said}</text>')
    return parts
