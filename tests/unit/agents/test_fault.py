"""What a handler raises becomes data, and data becomes the error it was."""

import pickle

import pytest

from remit.agents.fault import WrongReplyError, fault_of, is_retryable, leaf_of, raise_fault
from remit.contracts.errors import (
    DeadlineError,
    Fault,
    GrantDeniedError,
    LeaseLostError,
    RefusedError,
    RemitError,
    ReplayMismatchError,
    ReviewRejectedError,
    ToolFailedError,
    ToolTimeoutError,
)


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def raised(error: Exception) -> Exception:
    """Give the error as it is when it was raised here."""
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


@pytest.mark.parametrize("kind", [GrantDeniedError, ToolTimeoutError, ReviewRejectedError, DeadlineError])
def test_a_fault_raises_the_error_it_was_made_of(kind: type[RemitError]) -> None:
    error = kind("no", where="$.a", expected="x", got="y", fix="z")

    with pytest.raises(kind) as caught:
        raise_fault(error.fault())

    assert caught.value.fault() == error.fault()


def test_a_code_of_a_newer_build_is_a_refusal_that_still_says_its_code() -> None:
    with pytest.raises(RefusedError, match="RM-299 not today"):
        raise_fault(Fault(code="RM-299", message="not today"))


def test_an_exception_says_its_class_its_text_and_the_line_of_the_handlers_own_file() -> None:
    def broken() -> None:
        raise KeyError("customer")

    with pytest.raises(KeyError) as caught:
        broken()

    fault = fault_of(caught.value, file=__file__)

    assert (fault.code, fault.message) == ("RM-511", "KeyError: 'customer'")
    assert fault.where == f"tests/unit/agents/test_fault.py:{broken.__code__.co_firstlineno + 1}"


def test_the_line_is_the_handlers_even_when_a_library_raised() -> None:
    with pytest.raises(pickle.UnpicklingError) as caught:
        pickle.loads(b"x")  # noqa: S301

    assert fault_of(caught.value, file="elsewhere.py").where == ""
    assert fault_of(caught.value, file=__file__).where.startswith("tests/unit/agents/test_fault.py:")


def test_an_error_of_ours_keeps_its_code_and_its_own_place() -> None:
    here = fault_of(raised(ToolFailedError("disk", where="line 3 of the tool")), file=__file__)
    nowhere = fault_of(raised(ToolFailedError("disk")), file=__file__)

    assert (here.code, here.where) == ("RM-500", "line 3 of the tool")
    assert nowhere.where.startswith("tests/unit/agents/test_fault.py:")


def test_a_handler_cannot_pretend_that_it_was_superseded() -> None:
    assert fault_of(LeaseLostError("mine"), file=__file__).code == "RM-511"


def test_an_exception_whose_text_cannot_be_made_is_told_all_the_same() -> None:
    assert fault_of(UnspeakableError(), file=__file__).message == "UnspeakableError: (its text raised RuntimeError)"


def test_a_long_text_is_cut() -> None:
    assert len(fault_of(ValueError("x" * 10_000), file=__file__).message) == 500


@pytest.mark.parametrize("error", [GrantDeniedError("no"), ReplayMismatchError("no"), WrongReplyError("no")])
def test_what_was_refused_is_not_tried_again(error: RemitError) -> None:
    assert not is_retryable(error)


@pytest.mark.parametrize("error", [ValueError("x"), ToolFailedError("x"), DeadlineError("x"), SystemExit(3)])
def test_what_failed_may_be_tried_again(error: BaseException) -> None:
    assert is_retryable(error)


def test_the_first_error_of_nested_groups_is_the_one_that_is_told() -> None:
    inner = ValueError("inner")

    assert leaf_of(ExceptionGroup("a", [ExceptionGroup("b", [inner]), KeyError("other")])) is inner
    assert leaf_of(inner) is inner
