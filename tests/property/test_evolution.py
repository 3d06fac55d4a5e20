"""A change that is called compatible is: what the one side encodes, the other decodes."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.contracts.comparison import compare
from remit.contracts.errors import MalformedMessageError
from remit.contracts.form import Described, describe
from remit.contracts.message import decode_any, encode
from remit.contracts.reading import Reading
from tests.property.kinds import TYPES, Kind, is_type, near, type_of, value_of


def check(old: Kind, new: Kind, value: object) -> None:
    """What a writer of the old type makes of a value, the new type reads; a value that is none of it says nothing."""
    try:
        body = encode(decode_any(type_of(old), encode(value)))
    except MalformedMessageError:
        return
    decode_any(type_of(new), body)


@settings(max_examples=300)
@given(data=st.data(), old=TYPES)
def test_who_is_said_to_read_the_other_does(data: st.DataObject, old: Kind) -> None:
    new = data.draw(near(old).filter(is_type))
    evolution = compare(describe(type_of(old)), describe(type_of(new)))

    for _ in range(5):
        if evolution.readers:
            check(old, new, data.draw(value_of(old)))
        if evolution.writers:
            check(new, old, data.draw(value_of(new)))


@settings(max_examples=300)
@given(data=st.data(), kind=TYPES)
def test_the_changes_add_up_to_what_is_proved_of_the_whole(data: st.DataObject, kind: Kind) -> None:
    before, after = describe(type_of(kind)), describe(type_of(data.draw(near(kind).filter(is_type))))

    evolution = compare(before, after)

    assert not evolution.readers or Reading(after.records, before.records).reads(after.root, before.root)
    assert not evolution.writers or Reading(before.records, after.records).reads(before.root, after.root)


@settings(max_examples=100)
@given(kind=TYPES)
def test_nothing_changes_from_a_type_to_itself_and_a_description_is_read_back(kind: Kind) -> None:
    about = describe(type_of(kind))
    again = msgspec.json.decode(encode(about), type=Described)

    assert again == about
    assert compare(again, about).changes == ()
