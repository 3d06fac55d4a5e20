"""The tables of docs/operations.md are what the code asks of NATS."""

from __future__ import annotations

import re

import pytest

from remit.bus import topology
from tests import tables
from tests.page import ROOT, Page


def test_the_tables_of_the_page_are_those_of_the_code() -> None:
    page = tables.PAGE.read_text(encoding="utf-8")

    assert tables.written(page) == page, "run `python -m tests.tables`"


def test_every_stream_has_a_row() -> None:
    rows = tables.streams()

    assert [spec.name for spec in topology.STREAMS if f"| `{spec.name}` |" not in rows] == []


def test_a_page_without_a_place_for_a_table_is_noticed() -> None:
    with pytest.raises(ValueError, match="streams"):
        tables.written("")


def test_what_the_failure_table_refers_to_exists_and_a_row_without_says_that_it_was_not_measured() -> None:
    rows = Page("docs/operations.md").rows("What dies")
    tests = {path.name for path in (ROOT / "tests").rglob("test_*.py")}

    assert len(rows) >= 15
    for dies, what, how_long, todo, shown in rows:
        assert set(re.findall(r"`(test_\w+\.py)`", shown)) <= tests, dies
        assert all((ROOT / name).exists() for name in re.findall(r"`(benchmarks/\w+)`", shown)), dies
        assert what, dies
        assert todo, dies
        assert shown or "not measured" in how_long + what + todo or dies.endswith(", leaked"), dies
