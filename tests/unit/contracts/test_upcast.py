"""Messages of older versions are brought forward whole, or not at all."""

from __future__ import annotations

import pytest

from remit.contracts.errors import MalformedMessageError
from remit.contracts.message import Message, encode
from remit.contracts.upcast import Upcasts, chain, decode_forward, forwarded, next_tag


class Line(Message, frozen=True, kw_only=True, tag="shop.line.v2"):
    name: str
    count: int


class Order(Message, frozen=True, kw_only=True, tag="shop.order.v3"):
    client: str
    urgent: bool
    lines: tuple[Line, ...] = ()


def order_v2(plain: dict[str, object]) -> dict[str, object]:
    return {"type": "shop.order.v2", "client": plain["customer"], "lines": plain.get("lines", [])}


def order_v3(plain: dict[str, object]) -> dict[str, object]:
    return plain | {"type": "shop.order.v3", "urgent": False}


def line_v2(plain: dict[str, object]) -> dict[str, object]:
    return plain | {"type": "shop.line.v2", "count": 1}


UPCASTS: Upcasts = {"shop.order.v1": order_v2, "shop.order.v2": order_v3, "shop.line.v1": line_v2}
FIRST = encode({"type": "shop.order.v1", "customer": "ann"})


def refusal(data: bytes, upcasts: Upcasts, contract_tag: str = "") -> MalformedMessageError:
    with pytest.raises(MalformedMessageError) as caught:
        decode_forward(Order, data, contract_tag=contract_tag, upcasts=upcasts)
    return caught.value


def test_the_tags_of_a_chain_are_counted() -> None:
    assert chain("shop.order.v1", UPCASTS) == ("shop.order.v1", "shop.order.v2", "shop.order.v3")
    assert (next_tag("shop.order.v9"), next_tag("shop.order")) == ("shop.order.v10", "")


def test_an_older_message_goes_through_every_version_up_to_today_s() -> None:
    assert decode_forward(Order, FIRST, upcasts=UPCASTS) == Order(client="ann", urgent=False)


def test_a_message_that_does_not_say_its_version_has_that_of_its_contract() -> None:
    body = encode({"customer": "ann"})

    assert decode_forward(Order, body, contract_tag="shop.order.v1", upcasts=UPCASTS).client == "ann"
    assert refusal(body, UPCASTS).where == "$"


def test_older_messages_inside_are_brought_forward_too() -> None:
    line = {"type": "shop.line.v1", "name": "tea"}
    old = encode({"type": "shop.order.v1", "customer": "ann", "lines": [line]})
    mixed = encode({"type": "shop.order.v3", "client": "ann", "urgent": True, "lines": [line]})

    for body in (old, mixed):
        assert decode_forward(Order, body, upcasts=UPCASTS).lines == (Line(name="tea", count=1),)


def test_a_message_of_today_is_left_as_it_came() -> None:
    body = b'{"client": "ann",  "urgent":true}'

    assert forwarded(Order, body, upcasts=UPCASTS) is body


def test_without_upcasts_an_older_version_is_refused_as_ever() -> None:
    assert refusal(FIRST, {}).where == "$.type"


def test_an_upcast_that_raises_is_told_with_its_tag_and_its_place() -> None:
    error = refusal(encode({"type": "shop.order.v1"}), UPCASTS)

    assert error.message == "the upcast from shop.order.v1 failed: KeyError: 'customer'"
    assert (error.code, error.where, error.expected) == ("RM-201", "$", "an object with type shop.order.v2")


@pytest.mark.parametrize(
    "made", [None, [], {}, {"type": "shop.order.v1"}, {"type": "shop.order.v3"}, {"type": object()}]
)
def test_an_upcast_gives_the_next_version_and_nothing_else(made: object) -> None:
    error = refusal(FIRST, {"shop.order.v1": lambda _plain: made})  # type: ignore[dict-item, return-value]  # on purpose

    assert "shop.order.v1" in error.message
    assert error.expected == "an object with type shop.order.v2"


def test_what_comes_forward_and_does_not_fit_is_refused_with_its_place() -> None:
    error = refusal(FIRST, {**UPCASTS, "shop.order.v2": lambda plain: plain | {"type": "shop.order.v3", "urgent": 1}})

    assert (error.where, error.expected, error.got) == ("$.urgent", "bool", "int")


def test_a_place_inside_is_told() -> None:
    line = {"type": "shop.line.v1", "name": "tea"}
    body = encode({"client": "ann", "urgent": True, "lines": [line]})

    assert refusal(body, {"shop.line.v1": lambda _plain: {}}).where == "$.lines[0]"


def test_what_is_nested_too_deep_is_refused() -> None:
    deep = b'{"lines":' + b"[" * 900 + b"]" * 900 + b"}"

    assert refusal(deep, UPCASTS).code == "RM-201"
