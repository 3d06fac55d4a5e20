"""Queues have their turn one after the other, and one without room is passed over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from remit.supervisor.turns import Turns

Name = st.sampled_from(["a", "b", "c"])


def all_of(turns: Turns[int]) -> list[tuple[str, int]]:
    found = []
    while (item := turns.take(lambda _name: True)) is not None:
        found.append(item)
    return found


def test_a_single_item_does_not_wait_for_the_queue_of_another_name() -> None:
    turns: Turns[int] = Turns()
    for number in range(1000):
        turns.put("flood", number)
    turns.put("other", 0)

    assert [turns.take(lambda _name: True) for _ in range(2)] == [("flood", 0), ("other", 0)]


def test_a_queue_without_room_is_passed_over_and_keeps_its_items() -> None:
    turns: Turns[int] = Turns()
    turns.put("full", 1)
    turns.put("free", 2)

    taken = [turns.take(lambda name: name == "free") for _ in range(2)]

    assert taken == [("free", 2), None]
    assert list(turns) == [1]


@given(st.lists(st.tuples(Name, st.integers())))
def test_each_name_keeps_its_order_and_nobody_is_more_than_a_turn_behind(items: list[tuple[str, int]]) -> None:
    turns: Turns[int] = Turns()
    for name, item in items:
        turns.put(name, item)

    taken = all_of(turns)

    for name in "abc":
        assert [item for of, item in taken if of == name] == [item for of, item in items if of == name]
    for index, (name, _item) in enumerate(taken):
        waiting = {of for of, _item in taken[index + 1 :]}
        last = max((at for at, (of, _item) in enumerate(taken[:index]) if of == name), default=-1)
        between = {of for of, _item in taken[last + 1 : index]}
        assert last == -1 or waiting - {name} <= between
