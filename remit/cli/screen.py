"""A run on the screen: a live tree of roles on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

import click

from remit.contracts.step import RunStep
from remit.words import clock, line, message_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.tree import Tree

    from remit.bus.journal import Entry
    from remit.cli.say import Output
    from remit.progress import Progress, RoleLine

_PER_SECOND: Final = 5
_SAID: Final = (
    "planned",
    "completed",
    "failed",
    "timed_out",
    "review_opened",
    "review_decided",
    "parked",
    "plan_refused",
    "checkpointed",
    "rollback_begun",
    "rolled_back",
    "paused",
    "resumed",
    "forked",
    "finished",
)


class Screen(Protocol):
    """Where progress is shown."""

    def tell(self, entry: Entry) -> None:
        """Show that something happened."""


class Silence:
    """For programs: nothing but the result."""

    def tell(self, entry: Entry) -> None:
        """Show nothing."""


class Lines:
    """One line per event that a person would want to know, on standard error."""

    def tell(self, entry: Entry) -> None:
        """Say the event, if it is one of the run's course and not of its details."""
        began = isinstance(message := message_of(entry), RunStep) and message.epoch > 1
        if began or entry.subject.endswith(_SAID):
            click.echo(f"{clock(entry.stored_at)}  {line(entry)}", err=True)


def lines(output: Output) -> Screen:
    """Give lines for people, and silence for programs."""
    return Lines() if output == "table" else Silence()


class _Drawn:
    """The tree, drawn anew several times a second from what is known then."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._began = time.monotonic()

    def tell(self, entry: Entry) -> None:
        """Show nothing now: the next picture shows it."""

    def __rich__(self) -> Tree:
        from rich.tree import Tree

        history = self._progress.history
        tree = Tree(f"run {history.run_id}, {time.monotonic() - self._began:.0f} s")
        for item in self._progress.roles():
            tree.add(_said(item))
        if conflicts := self._progress.conflicts():
            decided = ", ".join(f"{rule} {count}" for rule, count in sorted(conflicts.items()))
            tree.add(f"[dim]state[/] {self._progress.keys()} keys, conflicts decided: {decided}")
        return tree


def _said(item: RoleLine) -> str:
    mark = "[green]done[/]" if item.is_over else "[yellow]waits[/]" if item.waits else "[cyan]works[/]"
    failed = f", [red]{item.failed} failed[/]" if item.failed else ""
    return f"{mark} {item.role} {item.done}/{item.sent}{failed} [dim]{_escaped(item.text)}[/]"


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


@contextmanager
def shown(progress: Progress, output: Output) -> Iterator[Screen]:
    """Show a run while this lasts."""
    if output != "table" or not sys.stderr.isatty():
        yield lines(output)
    else:
        from rich.console import Console
        from rich.live import Live

        drawn = _Drawn(progress)
        with Live(drawn, console=Console(stderr=True), refresh_per_second=_PER_SECOND):
            yield drawn
