"""Examples are made from the schema, and the contract takes them."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from remit import Message
from remit.contracts.message import convert
from remit.example import example_of
from remit.schema import PUBLIC, schema


class Item(msgspec.Struct):
    name: str
    count: int = 1


class Order(Message, tag="example.order.v1"):
    customer: str
    kind: Literal["new", "old"]
    count: int
    price: float
    urgent: bool
    items: tuple[Item, ...]
    first: Item
    note: str | None
    tag_line: str = "optional"


class Empty(Message, tag="example.empty.v1"):
    note: str = ""


def test_an_example_has_every_required_field_and_no_other() -> None:
    assert example_of(Order) == {
        "customer": "customer",
        "kind": "new",
        "count": 1,
        "price": 1,
        "urgent": False,
        "items": [],
        "first": {"name": "name"},
        "note": "note",
    }


def test_the_contract_takes_its_example() -> None:
    assert convert(Order, example_of(Order)).customer == "customer"


def test_a_message_without_required_fields_has_an_empty_example() -> None:
    assert example_of(Empty) == {}


@pytest.mark.parametrize("tag", sorted(PUBLIC))
def test_what_clients_meet_has_a_schema_though_it_embeds_json(tag: str) -> None:
    rules = schema(PUBLIC[tag])

    assert rules["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert PUBLIC[tag].__name__ in str(rules["$ref"])
