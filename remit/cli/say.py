"""What commands print: aligned columns for people, JSON or one object per line for programs; nothing else."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Final, Literal

import click
import msgspec

from remit.words import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Output = Literal["table", "json", "jsonl"]
OUTPUTS: Final[tuple[Output, ...]] = ("table", "json", "jsonl")
_GAP: Final = "  "


def rows(items: Sequence[Mapping[str, object]], output: Output, *, columns: Sequence[str], empty: str) -> None:
    """Print a list: the named columns as a table, or every item whole."""
    if output == "table":
        click.echo("\n".join(_table(items, columns)) if items else empty)
    elif output == "json":
        click.echo(_json(list(items), indent=2))
    else:
        for item in items:
            click.echo(_json(item))


def one(item: Mapping[str, object], output: Output, *, text: str) -> None:
    """Print one thing: as text for people, or whole."""
    click.echo(text if output == "table" else _json(item, indent=2 if output == "json" else 0))


def pairs(items: Sequence[tuple[str, object]]) -> str:
    """Give names and values, the values under one another."""
    width = max(len(name) for name, _ in items)
    return "\n".join(f"{name:<{width}}{_GAP}{plain(_cell(value))}" for name, value in items)


def heading(text: str) -> str:
    """Give a line that stands out on a terminal."""
    return click.style(text, bold=True)


def data(item: object) -> dict[str, object]:
    """Give a message or a dataclass as plain JSON values."""
    return msgspec.json.decode(msgspec.json.encode(item), type=dict[str, object])  # by way of JSON: it may embed some


def _table(items: Sequence[Mapping[str, object]], columns: Sequence[str]) -> list[str]:
    cells = [[plain(_cell(item.get(name, ""))) for name in columns] for item in items]
    widths = [max(len(name), *(len(row[index]) for row in cells)) for index, name in enumerate(columns)]
    head = _GAP.join(f"{name.upper().replace('_', ' '):<{width}}" for name, width in zip(columns, widths, strict=True))
    lines = [_GAP.join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in cells]
    most = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    return [heading(_cut(head, most)), *(_cut(line, most) for line in lines)]


def _cut(line: str, most: int) -> str:
    said = line.rstrip()
    return said if not most or len(said) <= most else said[: most - 1] + "…"


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(_cell(item) for item in value)
        case _:
            return str(value)


def _json(item: object, *, indent: int = 0) -> str:
    encoded = msgspec.json.encode(item, order="sorted")
    return (msgspec.json.format(encoded, indent=indent) if indent else encoded).decode()
