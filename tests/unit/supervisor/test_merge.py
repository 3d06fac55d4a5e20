"""The three-way merge, by its vectors: what becomes of base, what stands, and what is proposed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from remit.contracts import policy
from remit.contracts.document import Entries, Fields, Leaf, Node
from remit.contracts.errors import GrantDeniedError, StateInvalidError
from remit.contracts.policy import MISSING, UNDECIDED, Policy
from remit.supervisor.merge import Author, Merge, Ruling, changed, put_at, value_at

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def by(role: str, minute: int = 0) -> Author:
    return Author(role, f"{role}-1", "r1", f"s-{role}", "0", proposed_at=NOON + timedelta(minutes=minute))


def owned(*who: object) -> dict[str, Author]:
    """Give who says what stands, by role."""
    author = by(*who)  # type: ignore[arg-type]  # as `by` takes them
    return {author.role: author}


def first(_base: object, one: object, _other: object) -> object:
    return one


def undecided(_base: object, _one: object, _other: object) -> object:
    return UNDECIDED


def grown(_base: object, one: object, _other: object) -> object:
    assert isinstance(one, list)
    one.append("more")
    return one


PLAIN = Leaf(policy.reject())
TITLE = Leaf(policy.reject(), default="")
NOTE = Fields({"title": TITLE, "risk": Leaf(policy.maximum(), default=0)}, {"title": "", "risk": 0})
FINDING = Fields({"id": PLAIN, "risk": Leaf(policy.maximum(), default=0), "note": PLAIN}, {"risk": 0})
FINDINGS = Leaf(policy.union(by="id"), item=FINDING)
OWNED = policy.owner("boss", otherwise=policy.minimum())


class Case(NamedTuple):
    """A clerk's proposal meets what a packer made of the same base."""

    node: Node
    base: object
    current: object
    proposed: object
    result: object
    conflicts: tuple[str, ...] = ()
    """`<path>=<rule>`; of one that nobody decided with its reason instead."""


M = MISSING
NO_CONFLICT = {
    "nobody changed it": Case(PLAIN, 1, 1, 1, 1),
    "they changed it": Case(PLAIN, 1, 2, 1, 2),
    "we changed it": Case(PLAIN, 1, 1, 2, 2),
    "both made the same of it": Case(PLAIN, 1, 2, 2, 2),
    "both made it": Case(PLAIN, M, 2, 2, 2),
    "we made it": Case(PLAIN, M, M, 2, 2),
    "they took it out": Case(PLAIN, 1, M, 1, M),
    "we took it out": Case(PLAIN, 1, 1, M, M),
    "both took it out": Case(PLAIN, 1, M, M, M),
    "null is a value": Case(PLAIN, None, None, 1, 1),
    "we wrote null": Case(PLAIN, M, M, None, None),
    "other fields": Case(
        NOTE, {"title": "a", "risk": 1}, {"title": "b", "risk": 1}, {"title": "a", "risk": 5}, {"title": "b", "risk": 5}
    ),
    "a field that came later is at its default": Case(
        NOTE,
        {"title": "a"},
        {"title": "b"},
        {"title": "a", "risk": 0},
        {
            "risk": 0,
            "title": "b",
        },
    ),
    "a document that both made": Case(
        NOTE, M, {"title": "a", "risk": 0}, {"title": "", "risk": 3}, {"title": "a", "risk": 3}
    ),
    "other entries": Case(Entries(PLAIN), {"a": 1}, {"a": 1, "b": 2}, {"a": 1, "c": 3}, {"a": 1, "b": 2, "c": 3}),
    "an entry here, another one there": Case(Entries(PLAIN), {"a": 1, "b": 2}, {"a": 1}, {"a": 9, "b": 2}, {"a": 9}),
    "deep": Case(
        Entries(Entries(PLAIN)), {"a": {"x": 1, "y": 1}}, {"a": {"x": 2, "y": 1}}, {"a": {"x": 1}}, {"a": {"x": 2}}
    ),
    "an entry that both took out": Case(Entries(PLAIN), {"a": 1, "b": 1}, {"b": 1}, {"b": 1}, {"b": 1}),
    "an entry that we took out": Case(
        Entries(NOTE), {"a": {"title": "x", "risk": 0}}, {"a": {"title": "x", "risk": 0}}, {}, {}
    ),
    "a list in another order": Case(Leaf(policy.union()), ["a", "b"], ["a", "b", "c"], ["b", "a"], ["a", "b", "c"]),
    "a counter that is taken out": Case(Leaf(policy.counter()), 5, 5, M, M),
    "a first list is put in order": Case(Leaf(policy.append()), M, M, [3, 1, 2, 1], [1, 1, 2, 3]),
    "a first set has each item once": Case(Leaf(policy.union()), M, M, [3, 1, 1], [1, 3]),
}
DECIDED = {
    "max": Case(Leaf(policy.maximum()), 0, 5, 3, 5, ("=max",)),
    "min": Case(Leaf(policy.minimum()), 0, 5, 3, 3, ("=min",)),
    "null is smaller": Case(Leaf(policy.maximum()), 0, None, -3, -3, ("=max",)),
    "null is larger": Case(Leaf(policy.minimum()), 0, None, 9, 9, ("=min",)),
    "equal numbers": Case(Leaf(policy.maximum()), 0, 1.0, 1, 1.0, ("=max",)),
    "counter": Case(Leaf(policy.counter()), 10, 12, 11, 13, ("=counter",)),
    "counter, the same on both sides": Case(Leaf(policy.counter()), 10, 11, 11, 12, ("=counter",)),
    "counter from nothing": Case(Leaf(policy.counter()), M, 2, 3, 5, ("=counter",)),
    "append": Case(Leaf(policy.append()), ["b"], ["a", "b"], ["b", "c"], ["a", "b", "c"], ("=append",)),
    "append, the same on both sides": Case(Leaf(policy.append()), [], ["a"], ["a"], ["a", "a"], ("=append",)),
    "append by number": Case(
        Leaf(policy.append(by="n")),
        [],
        [{"n": 10}],
        [{"n": 9}, {"x": 1}],
        [{"x": 1}, {"n": 9}, {"n": 10}],
        ("=append",),
    ),
    "union": Case(Leaf(policy.union()), ["a", "b"], ["b", "c"], ["a", "b", "d"], ["b", "c", "d"], ("=union",)),
    "a number and its text": Case(Leaf(policy.union()), [], [1], ["1"], [1, "1"], ("=union",)),
    "union with null": Case(Leaf(policy.union()), ["a"], None, ["a", "b"], ["b"], ("=union",)),
    "items": Case(
        FINDINGS,
        [{"id": "f1", "risk": 1}],
        [{"id": "f1", "risk": 5}],
        [{"id": "f1", "risk": 3}, {"id": "f2"}],
        [{"id": "f1", "risk": 5}, {"id": "f2", "risk": 0}],
        ("/id=f1/risk=max", "=union"),
    ),
    "evidence": Case(
        Leaf(policy.evidence()),
        M,
        {"sources": ["a"], "score": 9},
        {"sources": ["a", "b"]},
        {"sources": ["a", "b"]},
        ("=evidence",),
    ),
    "evidence counts a source once": Case(
        Leaf(policy.evidence()),
        M,
        {"sources": ["a", "a"]},
        {"sources": ["a"], "score": 1},
        {"sources": ["a"], "score": 1},
        ("=evidence",),
    ),
    "custom": Case(Leaf(policy.custom("first", first)), 0, 2, 1, 1, ("=first",)),
    "the next rung": Case(Leaf(policy.custom("no", undecided, otherwise=policy.maximum())), 0, 2, 1, 2, ("=max",)),
}
LOST = {
    "reject": Case(PLAIN, 1, 2, 3, 2, ("=stale_version",)),
    "both made another one": Case(PLAIN, M, 2, 3, 2, ("=stale_version",)),
    "null against missing": Case(PLAIN, 1, None, M, None, ("=stale_version",)),
    "we edit what they took out": Case(Entries(PLAIN), {"a": 1}, {}, {"a": 2}, {}, ("/a=stale_version",)),
    "we take out what they edited": Case(Entries(PLAIN), {"a": 1}, {"a": 2}, {}, {"a": 2}, ("/a=stale_version",)),
    "we edit an object that they took out": Case(
        Entries(NOTE), {"a": {"title": "x"}}, {}, {"a": {"title": "y", "risk": 0}}, {}, ("/a=stale_version",)
    ),
    "an object against null": Case(
        Entries(NOTE), {}, {"a": None}, {"a": {"title": "x"}}, {"a": None}, ("/a=stale_version",)
    ),
    "in the order of paths": Case(
        Entries(PLAIN),
        {"b": 1, "a/b": 1, "a-": 1},
        {"b": 2, "a/b": 2, "a-": 2},
        {"b": 3, "a/b": 3, "a-": 3},
        {"b": 2, "a/b": 2, "a-": 2},
        ("/a-=stale_version", "/a~1b=stale_version", "/b=stale_version"),
    ),
    "written once": Case(Leaf(policy.write_once(), default=""), "a", "a", "b", "a", ("=written_once",)),
    "written once, from before": Case(Leaf(policy.write_once(), default=""), "", "a", "b", "a", ("=written_once",)),
    "append-only": Case(Leaf(policy.append()), ["a", "b"], ["a", "b"], ["a"], ["a", "b"], ("=taken_out",)),
    "a counter that they took out": Case(Leaf(policy.counter()), 5, M, 6, M, ("=stale_version",)),
    "two versions of one item": Case(
        FINDINGS, [], [], [{"id": "f", "risk": 1}, {"id": "f", "risk": 2}], [], ("=wrong_type",)
    ),
    "no list": Case(Leaf(policy.union()), [], ["a"], "b", ["a"], ("=wrong_type",)),
    "no number": Case(Leaf(policy.maximum()), 0, 3, "b", 3, ("=wrong_type",)),
    "true is no number": Case(Leaf(policy.counter()), 0, 3, True, 3, ("=wrong_type",)),  # noqa: FBT003  # a value
    "a field of an item": Case(
        FINDINGS,
        [{"id": 7, "note": "a"}],
        [{"id": 7, "note": "b"}],
        [{"id": 7, "note": "c"}, {"id": "7", "note": "d"}],
        [{"id": 7, "note": "b"}],
        ("/id=7/note=stale_version",),
    ),
    "undecided": Case(Leaf(policy.custom("no", undecided)), 0, 2, 1, 2, ("=undecided",)),
    "the last rung": Case(
        Leaf(policy.custom("no", undecided, otherwise=policy.reject())), 0, 2, 1, 2, ("=stale_version",)
    ),
}
OPENED = {
    "a role": Case(Leaf(policy.arbitrate("judge")), 0, 2, 1, 2, ("=arbitrate",)),
    "a person": Case(Leaf(policy.escalate()), 0, 2, 1, 2, ("=escalate",)),
    "as the last rung": Case(
        Leaf(policy.custom("no", undecided, otherwise=policy.escalate())), 0, 2, 1, 2, ("=escalate",)
    ),
}


def vectors(cases: dict[str, Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases.values(), ids=cases.keys())


def merged(case: Case) -> tuple[object, Merge]:
    work = Merge(by("clerk"))
    return work.run(case.node, case.base, case.current, case.proposed), work


@vectors(NO_CONFLICT)
def test_what_only_one_side_changed_or_both_alike_is_no_conflict(case: Case) -> None:
    result, work = merged(case)

    assert result == case.result
    assert (work.decided, work.opened, work.lost) == ([], [], [])


@vectors(DECIDED)
def test_what_both_sides_changed_is_decided_by_the_policy_of_the_part(case: Case) -> None:
    result, work = merged(case)

    assert result == case.result
    assert tuple(f"{item.path}={item.policy.name}" for item in work.decided) == case.conflicts
    assert (work.opened, work.lost) == ([], [])


@vectors(LOST)
def test_what_nobody_decides_is_named_and_changes_nothing(case: Case) -> None:
    result, work = merged(case)

    assert result == case.result
    assert tuple(f"{item.path}={item.reason}" for item in work.lost) == case.conflicts
    assert (work.opened, work.decided) == ([], [])


@vectors(OPENED)
def test_what_a_role_or_a_person_must_decide_waits_and_changes_nothing(case: Case) -> None:
    result, work = merged(case)

    assert result == case.result
    assert tuple(f"{item.path}={item.policy.name}" for item in work.opened) == case.conflicts
    assert (work.lost, work.decided) == ([], [])


# --- who may write -------------------------------------------------------------------------------

SECRET = Fields(
    {"title": TITLE, "secret": Leaf(policy.reject(), frozenset({"boss"}), default="")}, {"title": "", "secret": ""}
)


@pytest.mark.parametrize(
    ("node", "base", "proposed", "where"),
    [
        (SECRET, {"title": "", "secret": ""}, {"title": "", "secret": "x"}, "/secret"),
        (Entries(SECRET), {}, {"a": {"secret": "x"}}, "/a/secret"),
        (Entries(SECRET), {"a": {"title": "t", "secret": "x"}}, {}, "/a/secret"),
        (Leaf(policy.union(by="title"), item=SECRET), [{"title": "t", "secret": "x"}], [], "/title=t/secret"),
    ],
    ids=["changed", "made", "taken out with its entry", "taken out with its item"],
)
def test_a_field_of_another_role_is_refused(node: Node, base: object, proposed: object, where: str) -> None:
    with pytest.raises(GrantDeniedError) as caught:
        Merge(by("clerk")).run(node, base, base, proposed)

    assert (caught.value.where, caught.value.expected, caught.value.got) == (where, "boss", "clerk")


def test_an_entry_is_taken_out_by_anybody_while_nobody_wrote_what_is_not_theirs() -> None:
    before = {"a": {"title": "t", "secret": ""}}

    assert Merge(by("clerk")).run(Entries(SECRET), before, before, {}) == {}


@pytest.mark.parametrize(
    ("rule", "reason"),
    [(policy.write_once(), "written_once"), (policy.owner("boss"), "owned"), (policy.append(), "taken_out")],
    ids=lambda item: getattr(item, "name", ""),
)
def test_what_stands_for_good_is_not_taken_out_with_its_entry(rule: Policy, reason: str) -> None:
    before = {"a": {"it": ["x"]}}
    work = Merge(by("clerk"), origins={"/a/it": owned("boss")})

    work.run(Entries(Fields({"it": Leaf(rule)})), before, before, {})

    assert [(item.path, item.reason) for item in work.lost] == [("/a/it", reason)]


# --- who wrote, and when -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrote", "proposes", "current", "result", "rule"),
    [
        ("packer", "boss", 2, 3, "owner"),
        ("boss", "clerk", 2, 2, "owner"),
        ("boss", "boss", 2, 2, "min"),
        ("packer", "clerk", 2, 2, "min"),
        ("packer", "clerk", 4, 3, "min"),
    ],
)
def test_an_owners_word_stands_and_others_meet_under_the_next_rung(
    wrote: str, proposes: str, current: int, result: int, rule: str
) -> None:
    work = Merge(by(proposes), origins={"": owned(wrote)})

    assert work.run(Leaf(OWNED), 1, current, 3) == result
    (decided,) = work.decided
    assert (decided.policy.name, decided.rungs) == (rule, () if rule == "owner" else ("owner",))


def test_who_saw_an_owners_word_cannot_write_against_it() -> None:
    work = Merge(by("clerk"), origins={"": owned("boss")})

    assert work.run(Leaf(OWNED), 1, 1, 3) == 1
    assert [item.reason for item in work.lost] == ["owned"]


@pytest.mark.parametrize(("wrote", "proposed", "result"), [(1, 2, 3), (2, 1, 2), (1, 1, 2)])
def test_the_last_writer_is_the_last_by_the_writers_own_clocks(wrote: int, proposed: int, result: int) -> None:
    work = Merge(by("clerk", proposed), origins={"": owned("packer", wrote)})

    assert work.run(Leaf(policy.last_writer()), 1, 2, 3) == result


# --- roles and persons ---------------------------------------------------------------------------


def test_a_ruling_decides_its_field_and_says_so() -> None:
    ruling = Ruling(7, "arbitrate", "judge-1", "because", ("no",))
    work = Merge(by("clerk"), rulings={"/a": ruling})

    assert work.run(Entries(Leaf(policy.arbitrate("judge"))), {"a": 1}, {"a": 2}, {"a": 3}) == {"a": 7}
    (decided,) = work.decided
    assert (decided.policy.name, decided.rungs, decided.result) == ("arbitrate", ("no",), 7)


def test_each_role_that_gave_no_ruling_is_passed_over() -> None:
    ladder = policy.arbitrate("judge", otherwise=policy.arbitrate("elder", otherwise=policy.escalate()))

    asked = []
    for failed in range(3):
        work = Merge(by("clerk"), failed={"": failed})
        work.run(Leaf(ladder), 1, 2, 3)
        asked += [(item.policy.role, item.rungs) for item in work.opened]

    assert asked == [("judge", ()), ("elder", ("arbitrate",)), ("", ("arbitrate", "arbitrate"))]


# --- policies of a team's own --------------------------------------------------------------------


def broken(_base: object, _one: object, _other: object) -> object:
    raise LookupError("no such thing")


@pytest.mark.parametrize(
    "result",
    [broken, float("nan"), [float("inf")], {"a": MISSING}, object()],
    ids=["raises", "nan", "inf", "missing", "object"],
)
def test_a_policy_that_gives_no_value_is_refused_with_its_place(result: object) -> None:
    rule = policy.custom("mine", broken if result is broken else lambda *_: result)

    with pytest.raises(StateInvalidError, match="the policy mine failed") as caught:
        Merge(by("clerk")).run(Entries(Leaf(rule)), {"a": 1}, {"a": 2}, {"a": 3})

    assert caught.value.where == "/a"


def test_a_policy_may_take_a_part_out_and_give_any_form_of_a_value() -> None:
    gone, pair = (policy.custom("mine", lambda *_, it=it: it) for it in (MISSING, (1, 2)))

    assert Merge(by("clerk")).run(Entries(Leaf(gone)), {"a": 1}, {"a": 2}, {"a": 3}) == {}
    assert Merge(by("clerk")).run(Leaf(pair), 1, 2, 3) == [1, 2]


def test_a_policy_cannot_change_what_stands() -> None:
    current = ["a"]

    result = Merge(by("clerk")).run(Leaf(policy.custom("grown", grown)), [], current, ["b"])

    assert (result, current) == (["a", "more"], ["a"])


# --- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "before", "after", "paths"),
    [
        (NOTE, {"title": "a", "risk": 1}, {"title": "b", "risk": 1}, ["/title"]),
        (NOTE, MISSING, {"title": "a", "risk": 0}, ["/title"]),
        (NOTE, MISSING, {"title": "", "risk": 0}, [""]),
        (NOTE, {"title": "a"}, {"title": "a", "risk": 0}, []),
        (NOTE, {"title": "a"}, MISSING, [""]),
        (Entries(NOTE), {}, {"a/b": {"title": "", "risk": 0}}, ["/a~1b"]),
        (Entries(NOTE), {"a": {"title": "x"}, "b": {}}, {"b": {"title": "y"}}, ["/a", "/b/title"]),
        (
            FINDINGS,
            [{"id": "a"}, {"id": "1"}],
            [{"id": "a", "risk": 2}, {"id": "1"}, {"id": 1}],
            ["/id=1/id", "/id=a/risk"],
        ),
        (FINDINGS, [{"id": "1"}], [], ['/id="1"']),
        (Leaf(policy.union()), ["a"], ["a", "b"], [""]),
        (PLAIN, 1, True, [""]),
        (PLAIN, 1, 1.0, [""]),
        (PLAIN, 0.0, -0.0, [""]),
        (PLAIN, (1, 2), [1, 2], []),
    ],
)
def test_what_changed_is_named_by_its_paths(node: Node, before: object, after: object, paths: list[str]) -> None:
    assert changed(node, before, after) == paths


def test_of_very_many_changes_the_whole_is_named_unless_it_matters_who_wrote_each() -> None:
    many = {f"e{number:04}": number for number in range(1001)}

    assert changed(Entries(PLAIN), {}, many) == [""]
    assert len(changed(Entries(Leaf(policy.last_writer())), {}, many)) == 1001


DOCUMENT = {"a/b": {"~": 1}, "found": [{"id": "f1", "risk": 1}, {"id": 2}, {"id": "2"}, "x", {"k": 1}], "null": None}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("", DOCUMENT),
        ("/a~1b/~0", 1),
        ("/null", None),
        ("/no", MISSING),
        ("/null/no", MISSING),
        ("/found/id=f1/risk", 1),
        ("/found/id=2", {"id": 2}),
        ('/found/id="2"', {"id": "2"}),
        ('/found/"x"', "x"),
        ('/found/{"k":1}', {"k": 1}),
        ("/found/id=f9", MISSING),
    ],
)
def test_a_path_names_one_part_of_a_document(path: str, value: object) -> None:
    assert value_at(DOCUMENT, path) == value


@pytest.mark.parametrize(
    ("path", "value", "document"),
    [
        ("", 1, 1),
        ("/a", 2, {"a": 2, "found": [{"id": 1, "risk": 1}]}),
        ("/b/c", 2, {"a": 1, "b": {"c": 2}, "found": [{"id": 1, "risk": 1}]}),
        ("/a", MISSING, {"found": [{"id": 1, "risk": 1}]}),
        ("/found/id=1/risk", 5, {"a": 1, "found": [{"id": 1, "risk": 5}]}),
        ("/found/id=1", MISSING, {"a": 1, "found": []}),
        ("/found/id=2", {"id": 2}, {"a": 1, "found": [{"id": 1, "risk": 1}, {"id": 2}]}),
    ],
)
def test_a_part_is_put_where_its_path_says(path: str, value: object, document: object) -> None:
    assert put_at({"a": 1, "found": [{"id": 1, "risk": 1}]}, path, value) == document
