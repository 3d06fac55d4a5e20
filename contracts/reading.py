"""Whether one form reads all that another writes: a proof from their descriptions, on the safe side. Pure.

A value meets its reader by what it is in JSON: null, a bool, an integer, a number with a point, a text, an array, an
object. So both sides are spread over these seven, and every option of the writer needs an option of the reader there.
Two things are taken on the safe side. A field with a default may be missing, since a writer in another language leaves
it out; and a `float` may come without a point. The one thing taken the other way is the tag: our own writers always
write it, and who leaves it out is warned where it begins to count.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from remit.contracts.form import (
    AnyOf,
    Anything,
    Choice,
    Entries,
    FieldForm,
    Fixed,
    Form,
    Items,
    Record,
    Ref,
    Scalar,
)
from remit.contracts.upcast import chain

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from remit.contracts.form import Records

Wire = Literal["null", "bool", "int", "float", "text", "array", "object", "opaque"]
_PLAIN: Final[Mapping[str, Wire]] = {"null": "null", "bool": "bool", "int": "int", "float": "float"}
_NUMBERS: Final[tuple[Wire, ...]] = ("int", "float")
_EVERY: Final[tuple[Wire, ...]] = ("null", "bool", "int", "float", "text", "array", "object", "opaque")


class Reading:
    """The records of both sides, and what is being proved: a record that holds itself is proved once.

    `upcasts` are the tags that the reader's side brings forward.
    """

    def __init__(self, reader: Records, writer: Records, *, upcasts: Collection[str] = ()) -> None:
        self._upcasts = upcasts
        self._reader = reader
        self._writer = writer
        self._open: set[tuple[str, str, bool]] = set()

    def reads(self, reader: Form, writer: Form) -> bool:
        """Say whether every value that the writer's form has is one of the reader's."""
        if isinstance(reader, Anything):
            return True
        readers = spread(reader)
        needs_tag = len(readers.get("object", ())) > 1
        return all(
            any(self._one(option, form, wire, needs_tag=needs_tag) for option in readers.get(wire, ()))
            for wire, forms in spread(writer).items()
            for form in forms
        )

    def _one(self, reader: Form, writer: Form, wire: Wire, *, needs_tag: bool) -> bool:
        match wire:
            case "null" | "bool":
                return not isinstance(writer, Anything)
            case "array":
                return self._array(reader, writer)
            case "object":
                return self._object(reader, writer, needs_tag=needs_tag)
            case "opaque":
                return reader == writer
            case "text":
                return _text_reads(reader, writer)
            case "int" | "float":
                return _number_reads(reader, writer)

    # --- arrays and objects ----------------------------------------------------------------------

    def _array(self, reader: Form, writer: Form) -> bool:
        match reader, writer:
            case Items(), Items():
                return _lengths_fit(reader, writer) and self.reads(reader.each, writer.each)
            case Items(), Fixed(items=items):
                size = Items(each=reader.each, min_length=len(items), max_length=len(items))
                return _lengths_fit(reader, size) and all(self.reads(reader.each, item) for item in items)
            case Fixed(items=wanted), Fixed(items=items):
                return len(wanted) == len(items) and all(map(self.reads, wanted, items))
            case Fixed(items=wanted), Items():
                is_so_long = writer.min_length == writer.max_length == len(wanted)
                return is_so_long and not writer.unique and all(self.reads(item, writer.each) for item in wanted)
            case _:
                return False

    def _object(self, reader: Form, writer: Form, *, needs_tag: bool) -> bool:
        match reader, writer:
            case Ref(), Ref():
                return self._record(reader, writer, needs_tag=needs_tag)
            case Entries(), Entries():
                keys = reader.key == writer.key or reader.key == Scalar(name="text")
                return keys and _lengths_fit(reader, writer) and self.reads(reader.value, writer.value)
            case Entries(min_length=None, max_length=None), Ref(name=name):
                fields = fields_of(self._writer[name])
                names = Choice(values=tuple(fields))
                keys = self.reads(reader.key, names) if fields else True
                return keys and all(self.reads(reader.value, field.form) for field in fields.values())
            case _:
                return False

    def _record(self, reader: Ref, writer: Ref, *, needs_tag: bool) -> bool:
        pair = (reader.name, writer.name, needs_tag)
        tag = self._writer[writer.name].tag
        if pair in self._open or self._reader[reader.name].tag in chain(tag, self._upcasts)[1:]:
            return True
        self._open.add(pair)
        try:
            return self._fields(self._reader[reader.name], self._writer[writer.name], needs_tag=needs_tag)
        finally:
            self._open.discard(pair)

    def _fields(self, reader: Record, writer: Record, *, needs_tag: bool) -> bool:
        written = fields_of(writer)
        wanted = fields_of(reader, needs_tag=needs_tag)
        if reader.closed and not written.keys() <= wanted.keys():
            return False
        for name, field in wanted.items():
            other = written.get(name)
            if field.required and (other is None or not other.required):
                return False
            if other is not None and not self.reads(field.form, other.form):
                return False
        return True


def fields_of(record: Record, *, needs_tag: bool = True) -> dict[str, FieldForm]:
    """Give the fields of a record by name, its tag among them: writers write it, readers need it in a union only."""
    fields = {field.name: field for field in record.fields}
    if record.tag:
        only = Choice(values=(record.tag,))
        fields[record.tag_field] = FieldForm(name=record.tag_field, form=only, required=needs_tag)
    return fields


def spread(form: Form) -> dict[Wire, list[Form]]:
    """Give what a form has for each kind of JSON value."""
    options = form.options if isinstance(form, AnyOf) else (form,)
    found: dict[Wire, list[Form]] = {}
    for option in options:
        for wire in wires_of(option):
            found.setdefault(wire, []).append(option)
    if any(not _is_point(option) for option in found.get("int", ())):  # whole numbers go to whoever wants whole ones
        found["int"] = [option for option in found["int"] if not _is_point(option)]
    return found


def wires_of(form: Form) -> tuple[Wire, ...]:
    """Give the kinds of JSON value that an option has."""
    match form:
        case Anything():
            return _EVERY
        case Scalar(name="float"):
            return _NUMBERS
        case Scalar(name="decimal"):
            return ("text", *_NUMBERS)
        case Scalar(name=name):
            return (_PLAIN.get(name, "text"),)
        case Choice(values=values):
            return ("text",) if isinstance(values[0], str) else ("int",)
        case Items() | Fixed():
            return ("array",)
        case Entries() | Ref():
            return ("object",)
        case _:
            return ("opaque",)


def _is_point(form: Form) -> bool:
    return isinstance(form, Scalar) and form.name in {"float", "decimal"}


# --- texts -----------------------------------------------------------------------------------------


def _text_reads(reader: Form, writer: Form) -> bool:
    match reader, writer:
        case Choice(values=known), Choice(values=values):
            return set(values) <= set(known)
        case Scalar(name="text"), Choice(values=values):
            return all(_is_held(reader, value) for value in values if isinstance(value, str))
        case Scalar(name="text"), Scalar(name="text"):
            return reader.pattern in {None, writer.pattern} and _lengths_fit(reader, writer)
        case Scalar(name="text"), Scalar():
            return reader == Scalar(name="text")
        case Scalar(name="bytes"), Scalar(name="bytes"):
            return _lengths_fit(reader, writer)
        case Scalar(), Scalar():
            return reader.name == writer.name and reader.tz in {None, writer.tz}
        case _:
            return False


def _is_held(reader: Scalar, value: str) -> bool:
    long_enough = (reader.min_length or 0) <= len(value)
    short_enough = reader.max_length is None or len(value) <= reader.max_length
    return long_enough and short_enough and (reader.pattern is None or re.search(reader.pattern, value) is not None)


def _lengths_fit(reader: Scalar | Items | Entries, writer: Scalar | Items | Entries) -> bool:
    least, most = reader.min_length or 0, reader.max_length
    if least > (writer.min_length or 0):
        return False
    drops_items = getattr(reader, "unique", False) and not getattr(writer, "unique", False)
    if drops_items and least > 0:  # what comes twice counts once
        return False
    return most is None or (writer.max_length is not None and writer.max_length <= most)


# --- numbers ---------------------------------------------------------------------------------------


def _number_reads(reader: Form, writer: Form) -> bool:
    match reader, writer:
        case Choice(values=known), Choice(values=values):
            return set(values) <= set(known)
        case Scalar(), Choice(values=values):
            return all(_is_within(reader, value) for value in values if isinstance(value, int))
        case Scalar(name="decimal"), Scalar():
            return True
        case Scalar(), Scalar():
            return writer.name != "decimal" and _limits_fit(reader, writer)
        case _:
            return False


def _is_within(reader: Scalar, value: int) -> bool:
    return _limits_fit(reader, Scalar(name="int", ge=value, le=value, multiple_of=value or None)) or (
        value == 0 and _limits_fit(reader, Scalar(name="int", ge=0, le=0, multiple_of=reader.multiple_of))
    )


def _limits_fit(reader: Scalar, writer: Scalar) -> bool:
    return (
        _bound_fits(_lower(reader), _lower(writer))
        and _bound_fits(_upper(reader), _upper(writer))
        and _is_multiple(reader.multiple_of, writer.multiple_of)
    )


Bound = tuple[float, bool]
"""A limit, and whether it is outside itself; upper ones are negated, so that both are compared alike."""


def _lower(form: Scalar) -> Bound | None:
    return _bound(form.ge, form.gt, is_whole=form.name == "int")


def _upper(form: Scalar) -> Bound | None:
    at, beyond = (None if limit is None else -limit for limit in (form.le, form.lt))
    return _bound(at, beyond, is_whole=form.name == "int")


def _bound(at: float | None, beyond: float | None, *, is_whole: bool) -> Bound | None:
    if beyond is None:
        return None if at is None else (at, False)
    return (beyond + 1, False) if is_whole else (beyond, True)


def _bound_fits(reader: Bound | None, writer: Bound | None) -> bool:
    return reader is None or (writer is not None and writer >= reader)


def _is_multiple(reader: float | None, writer: float | None) -> bool:
    if reader is None or reader == writer:
        return True
    whole = isinstance(reader, int) and isinstance(writer, int)
    return whole and writer is not None and writer % reader == 0


def options_of(form: Form) -> Sequence[Form]:
    """Give the options of a union, or the form alone."""
    return form.options if isinstance(form, AnyOf) else (form,)
