"""What is stored of released versions: the form and wire samples of every contract, and the journals of whole runs."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from remit.contracts.form import Described, describe
from remit.contracts.message import Message, tag_of
from remit.supervisor.fold import Fold
from remit.teams import audit
from tests.property.contracts import every_contract
from tests.samples.example import samples_of
from tests.teams import shop

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from remit.bus.stream import Entry
    from remit.supervisor.run_state import RunState


HERE: Final = Path(__file__).parent
CONTRACTS: Final = HERE / "contracts"
JOURNALS: Final = HERE / "journals"


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one contract as it was when it was stored."""

    form: Described
    samples: tuple[msgspec.Raw, ...]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a stored journal."""

    seq: int
    subject: str
    stored_at: datetime
    data: msgspec.Raw


def every_message() -> dict[str, type[Message]]:
    """Give every contract that goes over the wire, by its tag: those of the package, and of the shipped team."""
    for module in pkgutil.iter_modules(audit.__path__):
        importlib.import_module(f"{audit.__name__}.{module.name}")
    shipped = [kind for kind in _below(Message) if kind.__module__.startswith(f"{audit.__name__}.")]
    return {tag_of(kind): kind for kind in sorted([*every_contract(), *shipped], key=tag_of)}


def _below(kind: type[Message]) -> Iterator[type[Message]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def sample_of(kind: type[Message]) -> Sample:
    """Give a contract as it is now."""
    about = describe(kind)
    return Sample(form=about, samples=tuple(msgspec.Raw(msgspec.json.encode(item)) for item in samples_of(about)))


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What one run came to."""

    workflow: str
    outcome: str
    result: object
    steps: dict[str, tuple[str, object]]
    """By name: its status, and its reply."""


def summary(entries: Iterable[Entry]) -> dict[str, RunSummary]:
    """Give what a journal's fold comes to: of every run its steps, what they replied, and its outcome."""
    fold, runs = Fold(shop(), keeps_finished=True), dict[str, "RunState"]()
    for entry in entries:
        fold.apply(entry)
        runs |= fold.runs
    return {name: _run(run, fold) for name, run in sorted(runs.items())}


def _run(run: RunState, fold: Fold) -> RunSummary:
    finished = fold.finished.get(run.run_id)
    return RunSummary(
        workflow=run.started.workflow,
        outcome=finished.outcome if finished else "",
        result=msgspec.json.decode(finished.result) if finished else None,
        steps={name: (step.status, msgspec.json.decode(step.reply)) for name, step in sorted(run.steps.items())},
    )
