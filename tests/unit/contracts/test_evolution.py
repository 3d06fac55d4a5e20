"""What changed between two forms of a message, said so that an author knows what to do."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from remit.contracts.comparison import compare, evolution_of
from remit.contracts.form import Described, describe
from remit.contracts.message import Message, encode
from tests.property.contracts import every_contract

if TYPE_CHECKING:
    from remit.contracts.evolution import Change, Compatibility

TAG = "shop.order.v1"


class Line(Message, frozen=True, kw_only=True, tag="shop.line.v1"):
    name: str


class NewLine(Message, frozen=True, kw_only=True, tag="shop.line.v1"):
    name: str
    count: int


class Gift(Message, frozen=True, kw_only=True, tag="shop.gift.v1"):
    name: str


class Tree(Message, frozen=True, kw_only=True, tag="shop.tree.v1"):
    name: str
    below: tuple[Tree, ...] = ()


class Size(Enum):
    S = "s"
    L = "l"


class MoreSizes(Enum):
    S = "s"
    M = "m"
    L = "l"


class Step(IntEnum):
    ONE = 1
    TWO = 2


def message(*fields: tuple[str, object] | tuple[str, object, object], tag: str = TAG, **more: bool) -> type[Message]:
    return msgspec.defstruct("Order", fields, bases=(Message,), tag=tag, frozen=True, kw_only=True, **more)  # type: ignore[return-value, arg-type]  # made at run time


def holding(kind: object) -> type[Message]:
    return message(("x", kind))


def one(old: object, new: object) -> Change:
    (change,) = evolution_of(old, new).changes
    return change


# --- fields -----------------------------------------------------------------------------------------


def test_a_field_with_a_default_is_compatible() -> None:
    change = one(message(), message(("note", str, "")))

    assert (change.what, change.path, change.kind, change.new) == ("field added", "$.note", "compatible", 'text = ""')


def test_a_field_without_a_default_is_missing_in_what_was_written() -> None:
    change = one(message(), message(("note", str)))

    assert (change.what, change.kind) == ("field added", "writers")
    assert change.why == "what was written before lacks it"
    assert change.fix.startswith("give it a default")


@pytest.mark.parametrize(("field", "kind"), [(("note", str, ""), "compatible"), (("note", str), "readers")])
def test_a_field_may_go_unless_an_older_reader_needs_it(field: tuple[str, object], kind: Compatibility) -> None:
    change = one(message(field), message())

    assert (change.what, change.kind, change.warning) == ("field removed", kind, "what it says is lost to new readers")


def test_a_field_that_goes_where_unknown_ones_are_refused_breaks_readers() -> None:
    changes = evolution_of(message(("note", str, "")), message(forbid_unknown_fields=True)).changes

    assert [(change.what, change.kind) for change in changes] == [
        ("unknown fields", "compatible"),
        ("field removed", "writers"),
    ]


def test_a_field_that_comes_where_unknown_ones_were_refused_breaks_older_readers() -> None:
    old, new = message(forbid_unknown_fields=True), message(("note", str, ""), forbid_unknown_fields=True)

    assert one(old, new).kind == "readers"


def test_a_renamed_field_is_told_how_to_keep_its_name() -> None:
    changes = evolution_of(message(("customer", str)), message(("client", str))).changes

    assert [change.what for change in changes] == ["field removed", "field added"]
    assert changes[0].fix == 'renamed to client? keep the name on the wire: msgspec.field(name="customer")'


def test_a_field_that_keeps_its_name_on_the_wire_has_not_changed() -> None:
    assert evolution_of(message(("a", str)), message(("b", str, msgspec.field(name="a")))).changes == ()


def test_a_field_becomes_required_or_optional() -> None:
    optional, required = message(("note", str, "")), message(("note", str))

    assert (one(optional, required).what, one(optional, required).kind) == ("now required", "writers")
    assert (one(required, optional).what, one(required, optional).kind) == ("now optional", "readers")


def test_another_default_reads_differently_and_fails_nobody() -> None:
    change = one(message(("n", int, 1)), message(("n", int, 2)))

    assert (change.what, change.old, change.new, change.kind) == ("default", "1", "2", "compatible")
    assert change.warning == "where it was left out, it reads differently now"


def test_another_tag_needs_an_upcast() -> None:
    change = one(message(), message(tag="shop.order.v2"))

    assert (change.what, change.kind) == ("tag", "breaking")
    assert change.fix == 'bring it forward: upcast={"shop.order.v1": function}'


def test_the_name_of_a_class_is_not_on_the_wire() -> None:
    other = msgspec.defstruct("Other", [], bases=(Message,), tag=TAG, frozen=True, kw_only=True)

    assert evolution_of(message(), other).changes == ()


# --- types ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (int, float, "readers"),
        (float, int, "writers"),
        (int, int | None, "readers"),
        (int | None, int, "writers"),
        (str, int, "breaking"),
        (str, Literal["a", "b"], "writers"),
        (Literal["a"], Literal["a", "b"], "readers"),
        (Literal["a", "c"], Literal["a", "b"], "breaking"),
        (Size, MoreSizes, "readers"),
        (Size, Literal["l", "s"], "compatible"),
        (Step, int, "readers"),
        (Literal["a", "b"] | None, Literal["a"] | None, "writers"),
        (tuple[int, ...], tuple[float, ...], "readers"),
        (tuple[int, ...], tuple[int, int], "writers"),
        (tuple[int, ...], int, "breaking"),
        (dict[str, int], dict[str, int | None], "readers"),
        (object, str, "writers"),
        (msgspec.Raw, object, "compatible"),
        (Line, Line | Gift, "readers"),
        (Line | Gift | None, Gift | None, "writers"),
        (Line, NewLine, "writers"),
        (tuple[Line, ...], tuple[NewLine, ...], "writers"),
        (Annotated[int, Meta(ge=0)], Annotated[int, Meta(ge=-1)], "readers"),
        (Annotated[int, Meta(ge=0)], Annotated[int, Meta(gt=-1)], "compatible"),
        (int, Annotated[int, Meta(le=9)], "writers"),
        (Annotated[str, Meta(pattern="^a")], str, "readers"),
        (Annotated[str, Meta(pattern="^a")], Annotated[str, Meta(pattern="^b")], "breaking"),
        (Annotated[str, Meta(max_length=9)], Annotated[str, Meta(max_length=8)], "writers"),
        (Literal["ab"], Annotated[str, Meta(min_length=2)], "readers"),
        (Annotated[tuple[int, ...], Meta(min_length=1)], tuple[int, ...], "readers"),
    ],
)
def test_a_type_is_widened_or_narrowed(old: object, new: object, kind: Compatibility) -> None:
    evolution = evolution_of(holding(old), holding(new))

    assert evolution.kind == kind
    assert all(change.path.startswith("$.x") for change in evolution.changes)
    assert all(change.fix for change in evolution.changes if change.kind != "compatible")


def test_a_change_deep_inside_is_said_where_it_is() -> None:
    change = one(message(("lines", tuple[Line, ...])), message(("lines", tuple[NewLine, ...])))

    assert (change.path, change.what) == ("$.lines[...].count", "field added")


def test_what_leaves_its_type_out_is_warned_when_there_is_a_choice() -> None:
    assert one(holding(Line), holding(Line | Gift)).warning == "a writer that left `type` out must write it now"


def test_a_type_that_holds_itself_is_compared_once() -> None:
    taller = msgspec.defstruct(
        "Tree",
        [("name", str), ("below", tuple[Tree, ...], ()), ("height", int)],
        bases=(Message,),
        tag="shop.tree.v1",
        kw_only=True,
    )

    assert evolution_of(Tree, Tree).changes == ()
    assert [change.path for change in evolution_of(Tree, taller).changes] == ["$.height"]


# --- descriptions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", every_contract(), ids=lambda kind: kind.__name__)
def test_every_contract_has_a_description_that_can_be_stored_and_read_back(kind: type[Message]) -> None:
    stored = msgspec.json.decode(encode(describe(kind)), type=Described)

    assert stored == describe(kind)
    assert compare(stored, describe(kind)).changes == ()
