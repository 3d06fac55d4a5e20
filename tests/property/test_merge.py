"""Changes that start from one document: whoever comes first, the same document, or the same conflict."""

from __future__ import annotations

from itertools import permutations
from typing import Annotated, cast

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import assume, given, settings

from remit.contracts import policy
from remit.contracts.document import Entries, Leaf, Node, StateContract
from remit.contracts.message import Message
from remit.contracts.plain import names_in, order_of, same
from remit.contracts.policy import MISSING
from remit.supervisor.merge import Merge
from tests.property.contracts import JSON
from tests.property.meeting import (
    BY_AUTHOR,
    CLERK,
    COUNTING,
    DECIDING,
    EVERY,
    ROLES,
    TYPED,
    Said,
    document,
    entries_of,
    met,
)

WORDS = st.text(st.sampled_from("ab/~-=0"), max_size=3)
TREES = st.dictionaries(WORDS, st.dictionaries(WORDS, st.integers(0, 3), max_size=3), max_size=3)

SETS: st.SearchStrategy[list[object]] = st.lists(JSON, max_size=4, unique_by=order_of)


class Finding(Message, tag="meeting.finding.v1", kw_only=True):
    """An item of which each field has a policy of its own."""

    id: int
    level: Annotated[int, policy.maximum()] = 0
    seen: Annotated[int, policy.counter()] = 0
    tags: Annotated[tuple[str, ...], policy.union()] = ()
    verdict: Annotated[int, policy.last_writer()] = 0
    note: Annotated[int, policy.owner("boss", otherwise=policy.minimum())] = 0


class Verdict(Message, tag="meeting.verdict.v1", kw_only=True):
    """A field with an owner, beside one that is anybody's."""

    word: Annotated[int, policy.owner("first")] = 0
    note: int = 0


FINDINGS = StateContract(
    template="doc",
    kind=cast("type[object]", dict[str, Annotated[tuple[Finding, ...], policy.union(by="id")]]),
)


def sayings(values: st.SearchStrategy[object], count: int) -> st.SearchStrategy[list[Said]]:
    """Give a strategy for proposals of one entry, by any roles and at any times."""
    one = st.tuples(values, st.sampled_from(ROLES), st.integers(0, 3))
    return st.lists(one, min_size=count, max_size=count).map(
        lambda drawn: [Said(n, document(value), role, minute) for n, (value, role, minute) in enumerate(drawn)]
    )


def findings(who: int, *, kept: tuple[object, ...] = (None, None)) -> st.SearchStrategy[tuple[object, ...]]:
    """Give a strategy for two items, or fewer; what depends on its author nobody else says."""
    own = st.sampled_from([0, who])
    fields: dict[str, st.SearchStrategy[object]] = {
        "level": st.integers(0, 3),
        "seen": st.integers(0, 3),
        "tags": st.lists(st.sampled_from("abc"), max_size=2),
        "verdict": own,
        "note": own,
    }
    return st.tuples(
        *(st.just(item) | st.fixed_dictionaries({"id": st.just(n), **fields}) for n, item in enumerate(kept))
    )


def merged(node: Node, *sides: object) -> tuple[object, Merge]:
    """Give what a clerk makes of base, current and proposed, and what came of it."""
    work = Merge(CLERK)
    base, current, proposed = sides
    return work.run(node, base, current, proposed), work


# --- orders --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_two_who_start_from_one_document_meet_in_both_orders_alike(name: str, data: st.DataObject) -> None:
    rule, values = EVERY[name]
    contract = entries_of(rule)
    base = data.draw(st.just(MISSING) | values.map(document))
    one, other = data.draw(sayings(values, 2))

    forth, back = met(contract, base, [one, other]), met(contract, base, [other, one])

    if not all(met(contract, base, [alone]).committed[0] for alone in (one, other)):
        assert forth.stands == back.stands
        return
    assert forth.conflicts[1] == back.conflicts[1]
    assert forth.committed == back.committed
    if forth.committed[1]:
        assert forth.stands == back.stands


@pytest.mark.parametrize("name", DECIDING)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_three_who_start_from_one_document_make_the_same_of_it_in_all_six_orders(
    name: str, data: st.DataObject
) -> None:
    rule, values = DECIDING[name]
    contract = entries_of(rule)
    base = data.draw(st.just(MISSING) | values.map(document))
    said = data.draw(sayings(values, 3))

    found = {met(contract, base, order).stands for order in permutations(said)}

    assert len(found) == 1


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_items_with_a_policy_for_each_field_come_out_the_same_in_every_order(data: st.DataObject) -> None:
    base = data.draw(findings(0))
    said = [
        Said(who, document([item for item in data.draw(findings(who, kept=base)) if item is not None]), role, minute)
        for who, role, minute in zip((1, 2, 3), ROLES, data.draw(st.permutations(range(3))), strict=True)
    ]
    start = document([item for item in base if item is not None])

    found = {met(FINDINGS, start, order).stands for order in permutations(said)}
    forth, back = met(FINDINGS, start, said[:2]), met(FINDINGS, start, said[1::-1])

    assert len(found) == 1
    assert forth.conflicts[1] == back.conflicts[1]


@pytest.mark.parametrize("name", [name for name in DECIDING if name not in COUNTING | BY_AUTHOR])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_proposed_twice_counts_once(name: str, data: st.DataObject) -> None:
    rule, values = DECIDING[name]
    contract = entries_of(rule)
    base = data.draw(values.map(document))
    one, other = data.draw(sayings(values, 2))
    again = Said(7, one.value, one.role, one.minute)

    assert met(contract, base, [one, other, again]).stands == met(contract, base, [one, other]).stands


def test_who_writes_against_an_owners_word_is_rejected_unless_the_owner_spoke_again_first() -> None:
    """The one limit: the owner's field comes out alike, what the other one wrote beside it does not."""
    contract = StateContract(template="doc", kind=Verdict)
    base, against, again = (
        {"type": "meeting.verdict.v1", "word": word, "note": note} for word, note in ((1, 0), (2, 7), (3, 0))
    )
    other, owner = Said(1, against, "clerk"), Said(2, again, "first")

    forth, back = met(contract, base, [other, owner]), met(contract, base, [owner, other])

    assert (forth.committed, forth.stands) == ((False, True), b'{"note":0,"type":"meeting.verdict.v1","word":3}')
    assert (back.committed, back.stands) == ((True, True), b'{"note":7,"type":"meeting.verdict.v1","word":3}')


# --- what is no conflict -------------------------------------------------------------------------


@pytest.mark.parametrize("name", TYPED)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_change_on_one_side_alone_wins(name: str, data: st.DataObject) -> None:
    rule, values = EVERY[name]
    base, one = data.draw(values), data.draw(values)
    contract = entries_of(rule)
    change, nothing = Said(1, document(one)), Said(2, document(base))
    assume(met(contract, MISSING, [nothing]).committed[0])
    assume(met(contract, document(base), [change]).committed[0])

    alone = met(contract, document(base), [change])
    first, second = (met(contract, document(base), order) for order in ([change, nothing], [nothing, change]))

    assert {alone.stands, first.stands, second.stands} == {alone.stands}
    assert {*first.conflicts, *second.conflicts} == {b"[]"}


@pytest.mark.parametrize("name", [name for name in TYPED if name not in COUNTING])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_same_change_on_both_sides_is_no_conflict(name: str, data: st.DataObject) -> None:
    rule, values = EVERY[name]
    contract = entries_of(rule)
    start, value = document(data.draw(values)), document(data.draw(values))
    assume(met(contract, start, [Said(1, value)]).committed[0])

    both = met(contract, start, [Said(1, value), Said(2, value)])

    assert both.conflicts == (b"[]", b"[]")
    assert both.stands == met(contract, start, [Said(1, value)]).stands


@settings(max_examples=40, deadline=None)
@given(base=TREES, one=TREES, other=TREES)
def test_objects_are_merged_entry_by_entry_and_only_what_both_changed_meets(
    base: dict[str, dict[str, int]], one: dict[str, dict[str, int]], other: dict[str, dict[str, int]]
) -> None:
    result, work = merged(Entries(Entries(Leaf(policy.maximum()))), base, one, other)

    assert isinstance(result, dict)
    conflicts = {item.path.split("/")[1] for item in work.lost}
    for name in base.keys() & one.keys() & other.keys() - conflicts:
        expected = {inner: most(base[name], one[name], other[name], inner) for inner in {*one[name], *other[name]}}
        assert result[name] == {inner: value for inner, value in expected.items() if value is not None}


def most(base: dict[str, int], stands: dict[str, int], wished: dict[str, int], name: str) -> int | None:
    """Give what the side says that changed a number, or the larger one where both did."""
    sides = [side.get(name) for side in (stands, wished) if side.get(name) != base.get(name)]
    return max((side for side in sides if side is not None), default=None) if sides else base.get(name)


# --- what is one ---------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(base=TREES, one=TREES, other=TREES)
def test_conflicts_come_in_the_order_of_their_paths_and_none_is_passed_over(
    base: dict[str, dict[str, int]], one: dict[str, dict[str, int]], other: dict[str, dict[str, int]]
) -> None:
    result, work = merged(Entries(Leaf(policy.reject())), base, one, other)

    met_at = [names_in(item.path)[0] for item in work.lost]
    wanted = [
        name
        for name in sorted({*base, *one, *other})
        if len({order_of(side.get(name, MISSING)) for side in (base, one, other)}) == 3
    ]
    assert met_at == wanted
    assert isinstance(result, dict)
    assert all(result.get(name) == one.get(name) for name in met_at)


@settings(max_examples=40, deadline=None)
@given(base=JSON, value=JSON)
def test_an_entry_edited_here_and_taken_out_there_is_a_conflict(base: object, value: object) -> None:
    assume(not same(base, value))
    contract = StateContract(template="doc", kind=cast("type[object]", dict[str, object]))
    edit, removal = Said(1, {"a": value}), Said(2, {})

    forth, back = (met(contract, {"a": base}, order) for order in ([edit, removal], [removal, edit]))

    assert forth.committed == back.committed == (True, False)
    assert forth.conflicts[1] == back.conflicts[1] != b"[]"


@settings(max_examples=40, deadline=None)
@given(base=JSON)
def test_to_take_out_is_not_to_write_null(base: object) -> None:
    assume(base is not None)
    contract = StateContract(template="doc", kind=cast("type[object]", dict[str, object]))
    null, removal = Said(1, {"a": None}), Said(2, {})

    assert met(contract, {"a": base}, [null]).stands == b'{"a":null}'
    assert met(contract, {"a": base}, [removal]).stands == b"{}"
    assert met(contract, {"a": base}, [null, removal]).committed == (True, False)


# --- lists and numbers ---------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(base=SETS, data=st.data())
def test_a_union_loses_nothing_but_what_one_side_took_out(base: list[object], data: st.DataObject) -> None:
    kept = st.lists(st.sampled_from(base), max_size=4) if base else st.just([])
    said = [Said(n, document([*data.draw(kept), *data.draw(SETS)])) for n in range(2)]

    result = msgspec.json.decode(met(entries_of(policy.union()), document(base), said).stands)["value"]

    items = [base, *(cast("dict[str, list[object]]", item.value)["value"] for item in said)]
    was, one, other = ({*map(order_of, each)} for each in items)
    assert {*map(order_of, result)} == (one & other) | ((one | other) - was)
    assert len({*map(order_of, result)}) == len(result)


@settings(max_examples=40, deadline=None)
@given(base=st.lists(JSON, max_size=3), added=st.lists(st.lists(JSON, max_size=3), min_size=1, max_size=4))
def test_to_append_keeps_all_that_anybody_added_as_often_as_it_was(
    base: list[object], added: list[list[object]]
) -> None:
    said = [Said(n, document([*base, *items])) for n, items in enumerate(added)]

    result = msgspec.json.decode(met(entries_of(policy.append()), document(base), said).stands)

    expected = [*base, *(item for items in added for item in items)]
    assert sorted(map(order_of, result["value"])) == sorted(map(order_of, expected))


@settings(max_examples=40, deadline=None)
@given(base=st.integers(-(2**70), 2**70), added=st.lists(st.integers(-(2**70), 2**70), min_size=1, max_size=5))
def test_a_counter_adds_up_exactly(base: int, added: list[int]) -> None:
    said = [Said(n, document(base + more)) for n, more in enumerate(added)]

    result = msgspec.json.decode(met(entries_of(policy.counter()), document(base), said).stands)

    assert result == {"value": base + sum(added)}
