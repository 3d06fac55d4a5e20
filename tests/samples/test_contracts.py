"""Every released version of a contract can still be read: its samples decode, and its form is no narrower today."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.contracts.comparison import compare
from remit.contracts.form import describe
from remit.contracts.upcast import chain, decode_forward
from remit.teams.audit.team import team
from tests.samples.stored import CONTRACTS, Sample, every_message, sample_of

if TYPE_CHECKING:
    from remit.contracts.message import Message

WRITE = "run: .venv/bin/python -m tests.samples.write"
NEVER = f"a version that was never released may still change: remove its file in tests/samples/contracts, and {WRITE}"
STORED = sorted(path.stem for path in CONTRACTS.glob("*.json"))


def stored(tag: str) -> Sample:
    return msgspec.json.decode((CONTRACTS / f"{tag}.json").read_bytes(), type=Sample)


def today(tag: str) -> type[Message]:
    """Give the message that reads a version today: its own, or the one that it is brought forward to."""
    known, last = every_message(), chain(tag, team.upcast)[-1]
    assert last in known, f"{tag} was released, and nothing reads it any more; bring it forward, or keep it. {NEVER}"
    return known[last]


def test_every_contract_has_a_sample() -> None:
    missing = sorted(every_message().keys() - set(STORED))

    assert missing == [], WRITE


@pytest.mark.parametrize("tag", STORED)
def test_every_sample_of_a_released_version_is_read_today(tag: str) -> None:
    for body in stored(tag).samples:
        assert isinstance(decode_forward(today(tag), body, upcasts=team.upcast), today(tag))


@pytest.mark.parametrize("tag", STORED)
def test_today_s_contract_reads_all_that_the_released_one_wrote(tag: str) -> None:
    evolution = compare(stored(tag).form, describe(today(tag)), upcasts=team.upcast)

    assert [(item.path, item.what, item.why, item.fix) for item in evolution.changes if not item.readers] == [], NEVER


@pytest.mark.parametrize("tag", every_message())
def test_samples_of_today_are_what_their_contract_reads(tag: str) -> None:
    for body in sample_of(every_message()[tag]).samples:
        decode_forward(every_message()[tag], body)
