"""The person at the terminal leaves files out of a report, before they approve what remains of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import click

from remit.cli import preview
from remit.words import plain

if TYPE_CHECKING:
    from remit.contracts.review import ReviewOpened

_NUMBERS: Final = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_ASKED: Final = "leave out (numbers, as in 2 5-7; nothing goes back)"


def asked(opened: ReviewOpened) -> str:
    """Give the reason of a rejection by which the report is asked about again without some files; empty if not."""
    from remit.teams.audit.report.edit import Edit, reason_of
    from remit.teams.audit.roles.editor import REPORT

    names = [name for name in preview.names(opened) if name != REPORT]
    if not names:
        click.echo("there is nothing to leave out")
        return ""
    for number, name in enumerate(names, 1):
        click.echo(f"  {number:>3}  {plain(name)}")
    while True:
        said = click.prompt(_ASKED, default="", show_default=False)
        chosen = numbers(said, len(names))
        if chosen is not None:
            return reason_of(Edit(leave_out=tuple(names[number - 1] for number in chosen))) if chosen else ""
        click.echo(f"numbers from 1 to {len(names)}")


def numbers(text: str, most: int) -> list[int] | None:
    """Give the numbers that a text names, sorted; None if it says anything else than numbers up to the last one."""
    found: set[int] = set()
    for word in text.replace(",", " ").split():
        said = _NUMBERS.fullmatch(word)
        if said is None:
            return None
        first, last = int(said[1]), int(said[2] or said[1])
        if not 1 <= first <= last <= most:
            return None
        found |= {*range(first, last + 1)}
    return sorted(found)
