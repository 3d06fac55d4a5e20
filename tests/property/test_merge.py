"""Concurrent writes of one key: the same result in whatever order they come, and however often."""

from __future__ import annotations

from functools import reduce

import hypothesis.strategies as st
import msgspec
from hypothesis import given, settings

from remit.contracts.message import raw
from remit.contracts.proposal import StateField
from remit.supervisor.merge import decide
from tests.property.contracts import JSON

UNION = StateField(prefix="", rule="union")
BY_ID = StateField(prefix="", rule="union", by="id")
MAX = StateField(prefix="", rule="max")
ITEMS = st.lists(JSON | st.fixed_dictionaries({"id": st.integers(0, 3) | st.text(max_size=1), "say": JSON}), max_size=5)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)


def merged(field: StateField, *values: object) -> bytes:
    """Give what stands after all these writes."""

    def write(current: msgspec.Raw, proposed: msgspec.Raw) -> msgspec.Raw:
        verdict = decide(field, current=current, proposed=proposed)
        assert verdict.value is not None
        return verdict.value

    first, *others = map(raw, values)
    return bytes(reduce(write, others, first))


@settings(max_examples=40, deadline=None)
@given(one=ITEMS, other=ITEMS, field=st.sampled_from([UNION, BY_ID]))
def test_a_union_is_the_same_in_both_orders(one: list[object], other: list[object], field: StateField) -> None:
    assert merged(field, one, other) == merged(field, other, one)


@settings(max_examples=40, deadline=None)
@given(one=ITEMS, two=ITEMS, three=ITEMS, field=st.sampled_from([UNION, BY_ID]))
def test_a_union_does_not_depend_on_what_was_merged_first(
    one: list[object], two: list[object], three: list[object], field: StateField
) -> None:
    left = msgspec.json.decode(merged(field, one, two))
    right = msgspec.json.decode(merged(field, two, three))

    assert merged(field, left, three) == merged(field, one, right)


@settings(max_examples=40, deadline=None)
@given(one=ITEMS, other=ITEMS, field=st.sampled_from([UNION, BY_ID]))
def test_a_union_takes_the_same_write_twice_as_once(one: list[object], other: list[object], field: StateField) -> None:
    assert merged(field, one, other, other) == merged(field, one, other)


@settings(max_examples=40, deadline=None)
@given(one=ITEMS, other=ITEMS)
def test_a_union_loses_no_item(one: list[object], other: list[object]) -> None:
    found = msgspec.json.decode(merged(UNION, one, other))

    assert all(item in found for item in [*one, *other])


@settings(max_examples=40, deadline=None)
@given(numbers=st.lists(NUMBERS, min_size=2, max_size=4), data=st.data())
def test_a_maximum_is_the_same_in_every_order(numbers: list[float], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(numbers))

    assert merged(MAX, *numbers) == merged(MAX, *shuffled)
    assert merged(MAX, *numbers, numbers[-1]) == merged(MAX, *numbers)
    assert msgspec.json.decode(merged(MAX, *numbers)) == max(numbers)


@settings(max_examples=40, deadline=None)
@given(one=JSON, other=JSON, field=st.sampled_from([UNION, BY_ID, MAX]))
def test_values_of_the_wrong_type_are_rejected_in_both_orders(one: object, other: object, field: StateField) -> None:
    forth = decide(field, current=raw(one), proposed=raw(other))
    back = decide(field, current=raw(other), proposed=raw(one))

    assert (forth.value, forth.reason) == (back.value, back.reason)
