"""Errors: five decisions, one code each, the same words wherever they are read."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import pytest

from remit.contracts import errors
from remit.contracts.errors import Fault, MalformedMessageError, RemitError, sentence
from remit.contracts.message import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator


def every(kind: type[RemitError] = RemitError) -> Iterator[type[RemitError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from every(child)


OURS = [kind for kind in every() if kind.__module__ == errors.__name__]


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in OURS]

    assert len(set(codes)) == len(codes)
    assert all(code.startswith("RM-") and code[3:].isdecimal() for code in codes)


@pytest.mark.parametrize(
    ("base", "hundreds"),
    [
        (errors.RetryableError, "1"),
        (errors.RefusedError, "2"),
        (errors.SupersededError, "3"),
        (errors.StoppedError, "4"),
    ],
)
def test_the_code_says_what_happens_next(base: type[RemitError], hundreds: str) -> None:
    assert {kind.code[3] for kind in every(base) if kind in OURS} == {hundreds}


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_an_error_survives_a_process_boundary(kind: type[RemitError]) -> None:
    error = kind("it broke", where="$.a", expected="int", got="str", fix="mend it")

    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301  # our own bytes
        assert type(again) is kind
        assert again.fault() == error.fault()
        assert str(again) == str(error)


def test_an_error_is_said_in_one_line() -> None:
    error = MalformedMessageError("it does not fit", where="$.a", expected="int", got="str", fix="mend it")

    assert str(error) == "RM-201 it does not fit; at $.a; expected int, got str; next: mend it"
    assert sentence(Fault(code="RM-1", message="so")) == "RM-1 so"
    assert sentence(Fault(code="RM-1", message="so", got="7")) == "RM-1 so; got 7"


def test_a_fault_travels_as_a_message() -> None:
    fault = MalformedMessageError("ä", where="$").fault()

    assert decode(Fault, encode(fault)) == fault
