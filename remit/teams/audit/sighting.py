"""What a tool saw, before anybody judged it: a rule's name, a place, a measure."""

from collections.abc import Iterable
from typing import Literal

import msgspec


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """One hit of one detector."""

    rule: str
    path: str
    line: int
    symbol: str = ""
    text: str = ""
    """The cited line, stripped and cut."""
    measure: int = 0
    detail: str = ""
    """What the detector knows beyond the line: the callee, the other copy, the cycle."""
    tool: str = "ast"


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """The digest of a file as it was read."""

    path: str
    digest: str


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was not looked at, and why."""

    what: str
    cause: str
    lines: int = 0
    """Lines of a file that was read and does not parse."""


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """A number about a whole file, whether anybody finds fault with it or not."""

    path: str
    name: Literal["complexity", "lines", "commits"]
    value: int


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """What one pass over a shard saw; of very many hits of one rule the first ones, and how many more there were."""

    files: int = 0
    lines: int = 0
    sightings: tuple[Sighting, ...] = ()
    blobs: tuple[Blob, ...] = ()
    """Of every file with a sighting."""
    skipped: tuple[Skipped, ...] = ()
    measures: tuple[Measure, ...] = ()


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that somebody wants looked at again."""

    fingerprint: str
    rule: str
    path: str
    line: int
    symbol: str
    snippet: str
    message: str


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a second look found: whether the finding holds, at which line, and why."""

    fingerprint: str
    holds: bool
    line: int
    reason: str
    is_minor: bool = False
    """It holds, and for this reason nobody needs to act on it soon."""


HITS_PER_RULE = 100
"""Of one rule in one pass; a shard with more is summed up, not listed."""


LONGEST = 400
"""Characters of a name or a detail."""
SIGHTINGS_BYTES, SKIPPED_BYTES = 256 * 1024, 96 * 1024
"""Of one pass, as JSON: with the rest of its answer they fit a message, whatever the files are called."""
_MORE = "more hits of"


def clipped(sightings: list[Sighting]) -> tuple[tuple[Sighting, ...], tuple[Skipped, ...]]:
    """Keep the first hits of every rule, and say how many were left out."""
    kept: list[Sighting] = []
    counts: dict[str, int] = {}
    left: dict[str, int] = {}
    size = 0
    for sighting in sorted(sightings, key=lambda item: (-item.measure, item.path, item.line, item.rule)):
        counts[sighting.rule] = counts.get(sighting.rule, 0) + 1
        found = _fit(sighting) if counts[sighting.rule] <= HITS_PER_RULE else None
        size += len(msgspec.json.encode(found)) if found is not None else 0
        if found is not None and size <= SIGHTINGS_BYTES:
            kept.append(found)
        else:
            left[sighting.rule] = left.get(sighting.rule, 0) + 1
    skipped = tuple(
        Skipped(what=f"{count} {_MORE} {rule}", cause=f"only the {HITS_PER_RULE} largest of a shard are judged")
        for rule, count in sorted(left.items())
    )
    return tuple(sorted(kept, key=lambda item: (item.path, item.line, item.rule))), skipped


def few(skipped: Iterable[Skipped], most_bytes: int = SKIPPED_BYTES) -> tuple[Skipped, ...]:
    """Give what was left out; of very much the first, and how much more there is."""
    items = tuple(skipped)
    for index, item in enumerate(items):
        most_bytes -= len(msgspec.json.encode(item))
        if most_bytes < 0:
            return (*items[:index], Skipped(what=f"{len(items) - index} more", cause="there are too many to name"))
    return items


def _fit(item: Sighting) -> Sighting:
    """Give a sighting that fits a message whatever the file holds: a name has no end, and a literal may be no text."""
    symbol, text, detail = (told(value) for value in (item.symbol, item.text, item.detail))
    if (symbol, text, detail) == (item.symbol, item.text, item.detail):
        return item
    return msgspec.structs.replace(item, symbol=symbol, text=text, detail=detail)


def told(value: str, limit: int = LONGEST) -> str:
    """Give a text that can be passed on: cut, and with halves of characters written as Python would."""
    cut = value if len(value) <= limit else f"{value[: limit - 1]}…"
    return cut.encode(errors="backslashreplace").decode()


def clipped_rule(item: Skipped) -> str:
    """Name the rule of which not every hit was judged; empty if something else was left out."""
    count, more, rule = item.what.partition(f" {_MORE} ")
    return rule if more and count.isdigit() else ""
