"""What a wish for a run will do, said to a person before it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.cli import say
from remit.words import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remit.forecast import Effect, Forecast, Restored

_MOST = 40
"""Lines of one part; programs get all."""


def text(forecast: Forecast) -> str:
    """Say a forecast: what happens, what is repeated, undone and restored, and what was done already."""
    lines = [say.heading(f"{forecast.verb} {forecast.run}: {plain(forecast.says)}")]
    for title, items in _parts(forecast):
        shown = items[:_MOST]
        lines += [f"  {title:<12}{plain(item)}" for item in shown[:1]]
        lines += [f"  {'':<12}{plain(item)}" for item in shown[1:]]
        lines += [f"  {'':<12}… and {len(items) - _MOST} more: --output json has all"] if len(items) > _MOST else []
    return "\n".join(lines)


def _parts(forecast: Forecast) -> Iterator[tuple[str, Sequence[str]]]:
    yield "shares", forecast.shared
    yield "undoes", [f"step {item.step}, by role {item.role}" for item in forecast.undoes]
    yield "restores", [_restored(forecast.run, item) for item in forecast.restores]
    yield "stays", [f"{item.what}: {item.why}" for item in forecast.lasting]
    again = [f"{item.step} (role {item.role}): {item.why}" for item in forecast.repeats]
    yield "runs again", again or (["no step"] if forecast.verb != "cancel" else [])
    yield "done", [_effect(item) for item in forecast.effects] or ["no call has changed the world yet"]
    yield "checkpoints", [", ".join(forecast.checkpoints)] if forecast.checkpoints else []
    yield "see also", forecast.hints


def _restored(run: str, item: Restored) -> str:
    where = "" if item.scope == run else f" of {item.scope}"
    to = (
        f"version {item.now} goes back to what version {item.to} says"
        if item.to
        else f"version {item.now} is taken out"
    )
    return f"state {item.key}{where}: {to}"


def _effect(item: Effect) -> str:
    how = " (perhaps)" if item.is_in_doubt else " (under way: it comes to its end)" if item.is_under_way else ""
    return f"{item.tool} by step {item.step} at {item.position}, key {item.intent}{how}: {item.fate}, {item.why}"
