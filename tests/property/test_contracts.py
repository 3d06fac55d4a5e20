"""What is written is read again, whatever it holds."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remit.contracts.errors import MalformedMessageError
from remit.contracts.message import canonical, decode, decode_any, digest_of, encode
from tests.property.contracts import JSON, every_contract, instances, same

if TYPE_CHECKING:
    from remit.contracts.message import Message


@pytest.mark.parametrize("kind", every_contract(), ids=lambda kind: kind.__name__)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_contract_is_read_as_it_was_written(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(instances(kind))

    assert same(message, decode(kind, encode(message)))


@settings(max_examples=50, deadline=None)
@given(kind=st.sampled_from(every_contract()), junk=st.binary(max_size=60) | JSON.map(msgspec.json.encode))
def test_bytes_that_are_no_message_are_refused_and_nothing_else_is_raised(kind: type[Message], junk: bytes) -> None:
    with contextlib.suppress(MalformedMessageError):
        assert isinstance(decode(kind, junk), kind)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_message_that_was_cut_is_refused(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(every_contract()))
    body = encode(data.draw(instances(kind)))
    cut = data.draw(st.integers(0, len(body) - 1))

    with pytest.raises(MalformedMessageError):
        decode(kind, body[:cut])


@settings(max_examples=50, deadline=None)
@given(value=JSON)
def test_a_digest_names_the_value_and_not_its_spelling(value: object) -> None:
    spelled = msgspec.json.format(encode(value), indent=3)

    assert canonical(decode_any(object, spelled)) == canonical(value)


@settings(max_examples=50, deadline=None)
@given(one=st.dictionaries(st.text(), JSON, max_size=5))
def test_the_order_of_keys_does_not_change_a_digest(one: dict[str, object]) -> None:
    other = dict(reversed(one.items()))

    assert digest_of(one) == digest_of(other)
