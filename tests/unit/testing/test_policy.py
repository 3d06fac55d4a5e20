"""A policy that would surprise the arbiter is found by a handful of values."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit import policy
from remit.contracts.policy import MISSING, UNDECIDED, Policy
from remit.testing import check_policy
from tests.property.contracts import JSON

NUMBERS = [0, 1, -3, 2.5, 1.0, None]
LISTS: list[list[object]] = [[], [1], [1, 2], [3, 1], ["a"]]
REASONS = [None, {"sources": ["a"], "score": 1}, {"sources": ["b"], "score": 2}, {"sources": ["a", "b"], "score": 0}]


@pytest.mark.parametrize(
    ("given_policy", "values"),
    [
        (policy.maximum(), NUMBERS),
        (policy.minimum(), NUMBERS),
        (policy.counter(), [0, 1, 5]),
        (policy.union(), LISTS),
        (policy.append(), LISTS),
        (policy.evidence(), REASONS),
        (policy.reject(), NUMBERS),
        (policy.escalate(), NUMBERS),
        (policy.write_once(), NUMBERS),
        (policy.last_writer(), [*NUMBERS, MISSING]),
        (policy.owner("boss"), NUMBERS),
        (policy.owner("boss", otherwise=policy.last_writer()), NUMBERS),
        (policy.owner("boss", otherwise=policy.maximum()), NUMBERS),
        (policy.arbitrate("judge", otherwise=policy.maximum()), NUMBERS),
    ],
    ids=lambda item: item.name if isinstance(item, Policy) else "",
)
def test_the_policies_that_come_along_hold(given_policy: Policy, values: list[object]) -> None:
    check_policy(given_policy, values, bases=[MISSING, *values])


@settings(max_examples=25, deadline=None)
@given(values=st.lists(JSON, max_size=4), base=JSON)
def test_the_longest_spelling_holds_for_any_values(values: list[object], base: object) -> None:
    check_policy(policy.custom("longest", longest), values, bases=[MISSING, base])


def longest(_base: object, one: object, other: object) -> object:
    return max(one, other, key=lambda side: (len(str(side)), str(side)))


def mean(_base: object, one: object, other: object) -> object:
    return (one + other) / 2  # type: ignore[operator]  # numbers only, which is what the test is about


def first(_base: object, one: object, _other: object) -> object:
    return one


def even(_base: object, one: object, other: object) -> object:
    return one if one == 2 else UNDECIDED if other == 2 else 1


def total(_base: object, one: object, other: object) -> object:
    return [*one, *other]  # type: ignore[misc]  # as above


def nothing(_base: object, _one: object, _other: object) -> object:
    return object()


def undecided(_base: object, _one: object, _other: object) -> object:
    return UNDECIDED


@pytest.mark.parametrize(
    ("function", "values", "law"),
    [
        (mean, [0, 4], r"\(idempotent\).* 0, 4 give"),
        (total, [[1], [2]], r"\(order\).* \[1\], \[2\] give"),
        (first, [3, 12, 1], r"\(order\).* 1, 3 give"),
        (even, [2, 1, 4], r"\(order\).* 1, 2 give UNDECIDED, and 2 the other"),
        (mean, [1, "a"], r"\(total\).*TypeError"),
        (nothing, [1, 2], r"\(total\)"),
    ],
)
def test_a_policy_that_breaks_a_law_is_named_with_its_values(function: object, values: list[object], law: str) -> None:
    with pytest.raises(AssertionError, match=f"policy mine is not what it must be {law}"):
        check_policy(policy.custom("mine", function), values)  # type: ignore[arg-type]  # a function of three


def test_a_policy_that_depends_on_who_meets_first_is_found() -> None:
    beats = {("paper", "rock"): "paper", ("rock", "scissors"): "rock", ("paper", "scissors"): "scissors"}

    def winner(_base: object, one: object, other: object) -> object:
        pair = (min(str(one), str(other)), max(str(one), str(other)))
        return beats.get(pair, one)

    with pytest.raises(AssertionError, match=r"\(grouping\).*'rock', 'paper', 'scissors' give"):
        check_policy(policy.custom("mine", winner), ["rock", "paper", "scissors"])


def test_a_policy_may_leave_it_to_the_next_rung() -> None:
    check_policy(policy.custom("never", undecided), [1, 2, 3])
    check_policy(policy.custom("never", undecided, otherwise=policy.maximum()), [1, 2, 3])


def test_a_policy_that_may_give_the_base_back_lets_the_third_win_unseen() -> None:
    def stays(base: object, _one: object, _other: object) -> object:
        return base

    check_policy(policy.custom("mine", stays), [1])
    with pytest.raises(AssertionError, match=r"\((idempotent|grouping)\): from base 0"):
        check_policy(policy.custom("mine", stays), [1, 2, 3], bases=[0])


def test_a_rung_behind_is_held_to_the_same() -> None:
    rule = policy.owner("boss", otherwise=policy.custom("mine", first))

    with pytest.raises(AssertionError, match=r"policy owner is not what it must be \(order\)"):
        check_policy(rule, [1, 2])
