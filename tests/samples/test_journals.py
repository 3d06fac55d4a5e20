"""The journal of a run that an older build wrote is folded by today's code to what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.bus.stream import Entry
from tests.samples.journals import RUNS
from tests.samples.stored import JOURNALS, Line, RunSummary, summary

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD = "run: .venv/bin/python -m tests.samples.record"
STORED = sorted(path.stem for path in JOURNALS.glob("*.jsonl"))


def entries(name: str) -> Iterator[Entry]:
    for text in (JOURNALS / f"{name}.jsonl").read_bytes().splitlines():
        line = msgspec.json.decode(text, type=Line)
        yield Entry(line.subject, line.seq, bytes(line.data), stored_at=line.stored_at)


def test_every_run_that_there_is_a_function_for_has_a_stored_journal() -> None:
    assert sorted(RUNS.keys() - set(STORED)) == [], RECORD


@pytest.mark.parametrize("name", STORED)
def test_a_stored_journal_is_folded_to_what_it_was(name: str) -> None:
    told = msgspec.json.decode((JOURNALS / f"{name}.summary.json").read_bytes(), type=dict[str, RunSummary])

    assert summary(entries(name)) == told
    assert told, "no run stands in it"


def test_the_stored_journals_hold_every_way_that_a_step_ends() -> None:
    steps = [step for name in STORED for run in summary(entries(name)).values() for step in run.steps.values()]

    assert {step[0] for step in steps} >= {"completed", "failed"}
