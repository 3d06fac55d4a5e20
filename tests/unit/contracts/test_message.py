"""The codec: strict, and it says where."""

from __future__ import annotations

import msgspec
import pytest

from remit.contracts.errors import ContractInvalidError, MalformedMessageError
from remit.contracts.message import Message, canonical, convert, decode, digest_of, encode, raw, tag_of
from remit.contracts.task import TaskRequest
from tests.property.contracts import every_contract


class Leaf(Message, frozen=True, kw_only=True, tag="tree.leaf.v1"):
    name: str
    size: int = 0


class Tree(Message, frozen=True, kw_only=True, tag="tree.tree.v1"):
    leaves: tuple[Leaf, ...] = ()
    extra: msgspec.Raw = msgspec.Raw(b"{}")


def refusal(body: bytes, kind: type[Message] = Tree) -> MalformedMessageError:
    with pytest.raises(MalformedMessageError) as caught:
        decode(kind, body)
    return caught.value


def test_a_wrong_type_deep_in_a_message_says_its_path_what_was_expected_and_what_came() -> None:
    error = refusal(b'{"leaves":[{"name":"a"},{"name":"b","size":"big"}]}')

    assert (error.where, error.expected, error.got) == ("$.leaves[1].size", "int", "str")


@pytest.mark.parametrize(
    ("body", "where", "what"),
    [
        (b"", "$", "truncated"),
        (b'{"leaves":[{"na', "$", "truncated"),
        (b"no json", "$", "JSON is malformed"),
        (b"{} {}", "$", "JSON is malformed"),
        (b'{"leaves":[{}]}', "$.leaves[0]", "missing required field `name`"),
        (b'{"type":"tree.leaf.v1"}', "$.type", "invalid value"),
        (b'{"leaves":[{"name":"\xe4"}]}', "byte 20", "UTF-8"),
        (b'{"unknown":"\xff"}', "byte 12", "UTF-8"),
        (b'{"extra":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "$", "nested too deep"),
    ],
)
def test_malformed_bytes_are_refused_with_their_place(body: bytes, where: str, what: str) -> None:
    error = refusal(body)

    assert error.where == where
    assert what in error.message


def test_nothing_is_converted_silently() -> None:
    for body in (b'{"leaves":[{"name":7}]}', b'{"leaves":[{"name":"a","size":1.5}]}', b'{"leaves":null}'):
        assert refusal(body).code == "RM-201"


def test_an_unknown_field_is_ignored_and_a_tag_may_be_left_out() -> None:
    assert decode(Leaf, b'{"name":"a","colour":"red"}') == Leaf(name="a")


def test_embedded_json_is_passed_on_as_it_came() -> None:
    body = b'{"type":"tree.tree.v1","leaves":[],"extra":{"b" : 1,  "a":[]}}'

    assert bytes(decode(Tree, body).extra) == b'{"b" : 1,  "a":[]}'
    assert encode(decode(Tree, body)) == body


def test_values_are_converted_as_strictly_as_bytes_are_read() -> None:
    assert convert(Tree, {"leaves": [{"name": "a"}]}) == Tree(leaves=(Leaf(name="a"),))
    with pytest.raises(MalformedMessageError, match="leaves"):
        convert(Tree, {"leaves": [{"name": 1}]})


def test_a_task_asks_for_a_time_that_can_pass() -> None:
    assert refusal(b'{"goal":"x","wall_clock_s":0}', TaskRequest).where == "$.wall_clock_s"


def test_a_canonical_spelling_has_one_form() -> None:
    assert canonical({"b": [1, 2.5], "a": {"d": None, "c": "ü"}}) == '{"a":{"c":"ü","d":null},"b":[1,2.5]}'.encode()
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 1.0})
    assert digest_of([]).startswith("sha256:")


def test_a_value_is_embedded_as_its_json() -> None:
    assert bytes(raw({"a": (1, None)})) == b'{"a":[1,null]}'


# --- tags -------------------------------------------------------------------------------------------


def test_every_contract_of_the_package_has_a_tag_of_its_own() -> None:
    tags = [tag_of(kind) for kind in every_contract()]

    assert len(tags) > 50
    assert sorted(set(tags)) == sorted(tags)


def test_every_contract_is_frozen_and_holds_no_list_and_no_dictionary() -> None:
    for kind in every_contract():
        assert kind.__struct_config__.frozen, kind
        for field in msgspec.structs.fields(kind):
            assert not str(field.type).startswith(("list", "dict", "set")), f"{kind.__name__}.{field.name}"


@pytest.mark.parametrize("tag", ["", "ticket", "support.ticket", "support.ticket.v0", "Support.ticket.v1", "a.b.v1\n"])
def test_a_tag_that_is_none_is_refused_with_an_example(tag: str) -> None:
    kind = msgspec.defstruct("Ticket", [], bases=(Message,), tag=tag or None, tag_field="type", frozen=True)

    with pytest.raises(ContractInvalidError, match="no contract") as caught:
        tag_of(kind)

    assert "v1" in caught.value.fix


def test_what_is_no_message_is_no_contract() -> None:
    for kind in (int, msgspec.Struct, Message):
        with pytest.raises(ContractInvalidError):
            tag_of(kind)
