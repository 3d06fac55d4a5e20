"""State contracts: keys that can be told apart, and documents that are what their type says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import pytest

from remit.contracts import policy
from remit.contracts.document import (
    DEPTH_LIMIT,
    Document,
    Entries,
    Fields,
    Leaf,
    StateContract,
    StateContracts,
    node_of,
    plain_of,
    same,
    scope_of,
)
from remit.contracts.errors import MalformedMessageError, RefusedError, StateInvalidError, TooLargeError
from remit.contracts.message import Message, encode, raw
from remit.contracts.policy import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Line(Message, tag="paper.line.v1", kw_only=True):
    text: str
    weight: Annotated[int, policy.maximum()] = 0
    replies: Annotated[tuple[Line, ...], policy.union(by="text")] = ()


class Paper(Message, tag="paper.paper.v3", kw_only=True):
    title: str
    first: Line = Line(text="")
    lines: Annotated[tuple[Line, ...], policy.union(by="text")] = ()
    notes: dict[str, Line] = {}  # noqa: RUF012  # msgspec gives each its own
    seal: Annotated[str, policy.write_once(), policy.writers("boss")] = ""
    mark: str | None = None
    anything: object = None
    left_out: int | msgspec.UnsetType = msgspec.UNSET


class Pair(msgspec.Struct, array_like=True):
    one: int
    two: int


PAPER = StateContract(template="paper.{path}", kind=Paper)
COMPLETE: dict[str, object] = {
    "anything": None,
    "first": {"replies": [], "text": "", "type": "paper.line.v1", "weight": 0},
    "lines": [],
    "mark": None,
    "notes": {},
    "seal": "",
    "title": "t",
    "type": "paper.paper.v3",
}


def refusal(contract: StateContract[object], data: bytes) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        contract.checked(data)
    return caught.value


def paper(**fields: object) -> bytes:
    return encode({"type": "paper.paper.v3", "title": "t", **fields})


def keyed(template: str) -> StateContract[object]:
    return StateContract(template=template, kind=object)


# --- keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "parameters", "key"),
    [
        ("report", {}, "report"),
        ("file.{path}", {"path": "src/a.b.py"}, "file.src/a.b.py"),
        ("note.{day}.{path}", {"path": "a.py", "day": "mo"}, "note.mo.a.py"),
        ("file.{path}.notes", {"path": "a"}, "file.a.notes"),
        ("file.{path}", {"path": "a\nb {path} \\1"}, "file.a\nb {path} \\1"),
    ],
)
def test_a_key_is_made_of_its_parameters_and_of_its_kind(template: str, parameters: dict[str, str], key: str) -> None:
    contract = keyed(template)

    assert contract.key(**parameters) == key
    assert contract.matches(key)


@pytest.mark.parametrize(
    ("template", "parameters"),
    [
        ("file.{path}", {}),
        ("file.{path}", {"path": ""}),
        ("file.{path}", {"file": "a"}),
        ("file.{path}", {"path": "a", "day": "mo"}),
        ("report", {"path": "a"}),
        ("note.{day}.{path}", {"day": "mo.1", "path": "a"}),
        ("file.{path}.notes", {"path": "a.py"}),
        ("span.{a}-{b}", {"a": "1", "b": "2-3"}),
    ],
)
def test_parameters_that_could_not_be_read_back_name_no_key(template: str, parameters: dict[str, str]) -> None:
    with pytest.raises(StateInvalidError, match="these do not name a key") as caught:
        keyed(template).key(**parameters)

    assert caught.value.where == template


@pytest.mark.parametrize(
    ("template", "key"),
    [
        ("report", "report.a"),
        ("report", "reports"),
        ("file.{path}", "file."),
        ("file.{path}", "file"),
        ("file.{path}", "profile.a"),
        ("note.{day}.{path}", "note.mo"),
        ("note.{day}.{path}", "note..a"),
        ("file.{path}.notes", "file.a.b.notes"),
        ("a+b.{x}", "aab.1"),
    ],
)
def test_a_key_of_another_kind_does_not_match(template: str, key: str) -> None:
    assert not keyed(template).matches(key)


@pytest.mark.parametrize(
    ("key", "template"),
    [
        ("report.summary", "report.summary"),
        ("report.a", "report.{section}"),
        ("report.a.b", "report.{section}"),
        ("report.a.notes", "report.{s}.notes"),
        ("anything", "{else}"),
    ],
)
def test_the_more_exact_template_has_the_key(key: str, template: str) -> None:
    templates = ["{else}", "report.{section}", "report.summary", "report.{s}.notes"]

    for order in (templates, templates[::-1]):
        assert StateContracts([keyed(item) for item in order]).of(key).template == template


def test_a_key_that_nobody_declares_is_told_with_those_that_are() -> None:
    contracts = StateContracts([keyed("report"), keyed("file.{path}")])

    with pytest.raises(StateInvalidError, match="no state contract covers the key 'note'") as caught:
        contracts.of("note")

    assert (caught.value.expected, contracts.find("note")) == ("file.{path}, report", None)


@pytest.mark.parametrize(("scope", "name"), [("run", "r1"), ("workflow", "workflow:audit"), ("team", "team")])
def test_a_scope_is_a_runs_a_workflows_or_the_teams(scope: Literal["run", "workflow", "team"], name: str) -> None:
    contract = StateContract(template="a", kind=int, scope=scope)

    assert scope_of(contract, run_id="r1", workflow="audit") == name


# --- documents -----------------------------------------------------------------------------------


def test_a_document_is_complete_with_its_defaults_and_as_json_decodes_it() -> None:
    assert PAPER.checked(paper()) == COMPLETE
    assert PAPER.checked(encode(Paper(title="t"))) == COMPLETE


def test_names_are_in_order_however_they_came() -> None:
    plain = PAPER.checked(b'{"title":"t","type":"paper.paper.v3","anything":{"b":1,"a":{"d":1,"c":2}}}')

    assert isinstance(plain, dict)
    assert list(plain) == sorted(plain)
    assert encode(plain["anything"]) == b'{"a":{"c":2,"d":1},"b":1}'


@pytest.mark.parametrize(
    ("data", "code", "where"),
    [
        (b"", "RM-201", "$"),
        (b"nothing", "RM-201", "$"),
        (b'{"type":"paper.paper.v3","title":', "RM-201", "$"),
        (paper() + b"1", "RM-201", "$"),
        (b'{"type":"paper.paper.v3","title":"\xff"}', "RM-201", "byte 34"),
        (b'{"type":"paper.paper.v3","title":"t","anything":NaN}', "RM-201", "$"),
        (b'{"type":"paper.paper.v3","title":"t","anything":1e999}', "RM-201", "$[...]"),
        (b'{"type":"paper.paper.v3","title":"t","anything":"\\ud800"}', "RM-201", "$"),
        (b"null", "RM-201", "$"),
        (b"[]", "RM-201", "$"),
        (b'{"type":"paper.paper.v3"}', "RM-201", "$"),
        (paper(title=7), "RM-201", "$.title"),
        (paper(first=None), "RM-201", "$.first"),
        (paper(lines={}), "RM-201", "$.lines"),
        (paper(lines=[{"text": 1}]), "RM-201", "$.lines[0].text"),
        (paper(notes={"a": {"text": True}}), "RM-201", "$.notes[...].text"),
        (paper(titel="t"), "RM-213", "/titel"),
        (paper(first={"text": "", "weigth": 1}), "RM-213", "/first/weigth"),
        (paper(notes={"a/b": {"text": "", "weigth": 1}}), "RM-213", "/notes/a~1b/weigth"),
        (paper(lines=[{"text": ""}, {"text": "", "weigth": 1}]), "RM-213", "/lines/1/weigth"),
        (paper(lines=[{"text": "", "replies": [{"text": "", "no": 1}]}]), "RM-213", "/lines/0/replies/0/no"),
        (b'{"title":"t"}', "RM-213", "/type"),
        (encode({"type": "paper.paper.v9", "title": "t"}), "RM-213", "/type"),
        (encode({"type": 3, "title": "t"}), "RM-213", "/type"),
    ],
)
def test_what_is_no_such_document_is_refused_with_its_place(data: bytes, code: str, where: str) -> None:
    error = refusal(PAPER, data)

    assert (error.code, error.where) == (code, where)


def test_a_misspelled_field_is_told_before_what_it_leaves_missing() -> None:
    error = refusal(PAPER, encode({"type": "paper.paper.v3", "titel": "t"}))

    assert (error.message, error.where) == ("the document has no such field", "/titel")
    assert "title" in error.expected


def test_of_a_name_that_comes_twice_the_last_counts() -> None:
    plain = PAPER.checked(b'{"type":"paper.paper.v3","title":"a","title":"b"}')

    assert isinstance(plain, dict)
    assert plain["title"] == "b"


def test_a_document_above_its_limit_is_refused_before_it_is_read() -> None:
    contract = StateContract(template="small", kind=str, limit_bytes=10)

    assert contract.checked(b'"12345678"') == "12345678"
    assert isinstance(refusal(contract, b'"1234567890'), TooLargeError)


def test_a_document_nested_too_deep_is_refused() -> None:
    contract = keyed("any")

    assert contract.checked(b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT)
    for depth in (DEPTH_LIMIT + 1, 100_000):
        error = refusal(contract, b"[" * depth + b"]" * depth)
        assert isinstance(error, MalformedMessageError)
        assert error.message == "nested too deep"


@pytest.mark.parametrize("value", [None, True, 0, -0.0, 2**70, "ä\u2028", [], {}, [1, [2]], {"": {"/": None}}])
def test_a_document_that_may_be_anything_is_kept_as_it_is(value: object) -> None:
    assert same(keyed("any").checked(raw(value)), value)


# --- older versions ------------------------------------------------------------------------------


def to_v2(old: Document) -> Document:
    return {"type": "paper.paper.v2", "headline": old["name"]}


def to_v3(old: Document) -> Document:
    return {"type": "paper.paper.v3", "title": old["headline"]}


def as_message(old: Document) -> Document:
    return Paper(title=str(old["headline"]))  # type: ignore[return-value]  # what a team may well give


def broken(old: Document) -> Document:
    return {"title": old["no such field"]}


def back(_old: Document) -> Document:
    return {"type": "paper.paper.v1"}


def no_tag(_old: Document) -> Document:
    return {"title": "t"}


def nothing(_old: Document) -> Document:
    return None  # type: ignore[return-value]  # as above


def wrong(_old: Document) -> Document:
    return {"type": "paper.paper.v3", "title": 7}


def no_json(_old: Document) -> Document:
    return {"type": "paper.paper.v3", "title": object()}


V1 = encode({"type": "paper.paper.v1", "name": "t"})
V2 = encode({"type": "paper.paper.v2", "headline": "t"})


def with_steps(**steps: Callable[[Document], Document]) -> StateContract[object]:
    return StateContract(
        template="paper", kind=Paper, upcast={f"paper.paper.{version}": step for version, step in steps.items()}
    )


def test_a_document_goes_through_every_version_up_to_today() -> None:
    contract = with_steps(v1=to_v2, v2=to_v3)

    assert contract.checked(V1) == contract.readable(V1) == contract.readable(V2) == COMPLETE


def test_a_step_may_give_the_message_itself() -> None:
    assert with_steps(v2=as_message).readable(V2) == COMPLETE


def test_what_is_of_today_is_read_as_it_stands() -> None:
    assert with_steps(v2=broken).readable(b'{"type":"paper.paper.v3","title":"t"}') == {
        "type": "paper.paper.v3",
        "title": "t",
    }


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ({}, "nothing leads from this version"),
        ({"v1": to_v2}, "nothing leads from this version"),
        ({"v1": to_v2, "v2": back}, "nothing leads from this version"),
        ({"v1": back}, "nothing leads from this version"),
        ({"v1": no_tag}, "nothing leads from this version"),
        ({"v1": broken}, "the upcast from paper.paper.v1 failed: KeyError"),
        ({"v1": no_json}, "the upcast from paper.paper.v1 failed: TypeError"),
        ({"v1": nothing}, "the upcast from paper.paper.v1 gave no object"),
        ({"v1": wrong}, "was not brought forward to its type"),
    ],
    ids=["none", "one is missing", "round", "in place", "no tag", "raises", "no JSON", "nothing", "wrong type"],
)
def test_a_stored_document_that_nobody_can_bring_forward_is_refused(
    steps: Mapping[str, Callable[[Document], Document]], said: str
) -> None:
    contract = with_steps(**steps)

    with pytest.raises(StateInvalidError, match=said):
        contract.readable(V1)
    assert isinstance(refusal(contract, V1), RefusedError)


# --- from types to parts -------------------------------------------------------------------------


def test_a_message_is_merged_by_field_a_mapping_by_entry_and_all_else_as_one_value() -> None:
    node = node_of(Paper)

    assert isinstance(node, Fields)
    assert {name: type(child) for name, child in node.fields.items()} == {
        "anything": Leaf,
        "first": Fields,
        "left_out": Leaf,
        "lines": Leaf,
        "mark": Leaf,
        "notes": Entries,
        "seal": Leaf,
        "title": Leaf,
        "type": Leaf,
    }
    assert node.fields["seal"] == Leaf(policy.write_once(), frozenset({"boss"}), default="")
    assert node.fields["title"] == Leaf(policy.reject())
    assert node.defaults.get("left_out", MISSING) is MISSING


def test_items_of_a_union_are_merged_by_their_type_and_a_type_within_itself_is_one_value() -> None:
    node = node_of(Paper)

    assert isinstance(node, Fields)
    lines = node.fields["lines"]
    assert isinstance(lines, Leaf)
    assert isinstance(lines.item, Fields)
    replies = lines.item.fields["replies"]
    assert isinstance(replies, Leaf)
    assert replies.item == Leaf(policy.reject())


@pytest.mark.parametrize("kind", [int, object, Pair, tuple[int, ...], Paper | None, dict[int, str], dict])
def test_what_has_no_named_parts_is_one_value(kind: object) -> None:
    assert node_of(kind) == Leaf(policy.reject())


def test_a_policy_for_the_document_makes_it_one_value() -> None:
    assert node_of(Paper, policy.last_writer()) == Leaf(policy.last_writer())


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        (1, 1, True),
        (1, True, False),
        (1, 1.0, False),
        (0.0, -0.0, False),
        (None, MISSING, False),
        ("", MISSING, False),
        ([1, 2], (1, 2), True),
        ({"a": 1, "b": [{}]}, {"b": [{}], "a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ([], {}, False),
        ("1", 1, False),
    ],
)
def test_values_are_the_same_if_their_json_is(one: object, other: object, *, are_same: bool) -> None:
    assert same(one, other) is same(other, one) is are_same


def test_a_plain_value_is_what_its_json_decodes_to() -> None:
    assert plain_of((1, Line(text="a"))) == [1, {"type": "paper.line.v1", "text": "a", "weight": 0, "replies": []}]
