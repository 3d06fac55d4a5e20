"""The form of a type as plain data: what its JSON looks like, to be stored and held against another build's."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import inspect

from remit.contracts.message import digest_of, encode, schema_of

if TYPE_CHECKING:
    from collections.abc import Mapping

ScalarName = Literal[
    "null", "bool", "int", "float", "text", "bytes", "datetime", "date", "time", "timedelta", "uuid", "decimal"
]


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="is"):
    """One part of a form; what is not said holds nothing."""


class Anything(_Part, frozen=True, kw_only=True, tag="any"):
    """Any JSON value."""


class Scalar(_Part, frozen=True, kw_only=True, tag="scalar"):
    """One value, and the limits it is held to."""

    name: ScalarName
    ge: int | float | None = None
    gt: int | float | None = None
    le: int | float | None = None
    lt: int | float | None = None
    multiple_of: int | float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    tz: bool | None = None


class Choice(_Part, frozen=True, kw_only=True, tag="choice"):
    """One of these values: a literal, or an enumeration."""

    values: tuple[str | int, ...]


class Items(_Part, frozen=True, kw_only=True, tag="items"):
    """A list whose items are of one form."""

    each: Form
    min_length: int | None = None
    max_length: int | None = None
    unique: bool = False


class Fixed(_Part, frozen=True, kw_only=True, tag="fixed"):
    """A list of so many items, each of a form of its own."""

    items: tuple[Form, ...]


class Entries(_Part, frozen=True, kw_only=True, tag="entries"):
    """An object whose names are data."""

    key: Form
    value: Form
    min_length: int | None = None
    max_length: int | None = None


class Ref(_Part, frozen=True, kw_only=True, tag="record"):
    """An object with named fields: a record by its name."""

    name: str


class AnyOf(_Part, frozen=True, kw_only=True, tag="any_of"):
    """One of several forms."""

    options: tuple[Form, ...]


class Opaque(_Part, frozen=True, kw_only=True, tag="opaque"):
    """What is not looked into: the same as another only if nothing of it changed."""

    name: str
    digest: str


Form = Anything | Scalar | Choice | Items | Fixed | Entries | Ref | AnyOf | Opaque


class FieldForm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A field of a record, by its name on the wire."""

    name: str
    form: Form
    required: bool = False
    default: str = ""
    """The JSON of its default; empty for none, and for one that has no JSON."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An object with named fields."""

    fields: tuple[FieldForm, ...] = ()
    tag: str = ""
    tag_field: str = ""
    closed: bool = False
    """Unknown fields are refused."""


Records = dict[str, Record]


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """A type as plain data: its form, and the records that it names."""

    root: Form
    records: Records


def describe(kind: object) -> Described:
    """Give the form of a type: a message, or anything that a message may hold.

    Raises:
        ContractInvalidError: a part of it has no form in JSON.
    """
    describer = Describer()
    root = describer.add(kind)
    return Described(root=root, records=describer.records)


class Describer:
    """Gives the forms of types; types that share a record share its description."""

    def __init__(self) -> None:
        self.records: Records = {}
        self._names: dict[object, str] = {}

    def add(self, kind: object) -> Form:
        """Give the form of a type; its records are in `records` from now on.

        Raises:
            ContractInvalidError: a part of it has no form in JSON.
        """
        from remit.contracts.errors import ContractInvalidError  # errors build on messages

        try:
            return self._form(inspect.type_info(kind))
        except (TypeError, NotImplementedError) as error:
            raise ContractInvalidError("this type has no form in JSON", where=str(kind), got=str(error)) from error

    def _form(self, about: inspect.Type) -> Form:
        match about:
            case inspect.Metadata(type=inner):
                return self._form(inner)
            case inspect.AnyType() | inspect.RawType() | inspect.CustomType(cls=builtins.object):
                return Anything()
            case inspect.LiteralType(values=values):
                return _literal(values)
            case inspect.EnumType(cls=cls):
                return _choice([item.value for item in cls])
            case inspect.UnionType(types=types):
                return _any_of([self._form(item) for item in types])
            case inspect.StructType(array_like=False) | inspect.DataclassType() | inspect.TypedDictType():
                return self._record(about)
            case inspect.TupleType(item_types=types):
                return Fixed(items=tuple(self._form(item) for item in types))
            case inspect.DictType():
                key, value = self._form(about.key_type), self._form(about.value_type)
                return Entries(key=key, value=value, min_length=about.min_length, max_length=about.max_length)
            case inspect.CollectionType():
                unique = isinstance(about, inspect.SetType | inspect.FrozenSetType)
                item = self._form(about.item_type)
                return Items(each=item, min_length=about.min_length, max_length=about.max_length, unique=unique)
            case _:
                return _scalar(about)

    def _record(self, about: inspect.StructType | inspect.DataclassType | inspect.TypedDictType) -> Ref:
        if about.cls in self._names:
            return Ref(name=self._names[about.cls])
        tag = str(getattr(about, "tag", None) or "")
        name = self._free(tag or about.cls.__name__)
        self._names[about.cls] = name
        self.records[name] = Record()  # holds the place: a record may hold itself
        self.records[name] = Record(
            fields=tuple(self._field(item) for item in about.fields),
            tag=tag,
            tag_field=str(getattr(about, "tag_field", None) or "") if tag else "",
            closed=bool(getattr(about, "forbid_unknown_fields", False)),
        )
        return Ref(name=name)

    def _field(self, about: inspect.Field) -> FieldForm:
        form = self._form(about.type)
        return FieldForm(name=about.encode_name, form=form, required=about.required, default=_default(about))

    def _free(self, name: str) -> str:
        number, found = 1, name
        while found in self.records:
            number += 1
            found = f"{name}#{number}"
        return found


_SCALARS: Final[Mapping[type[inspect.Type], ScalarName]] = {
    inspect.NoneType: "null",
    inspect.BoolType: "bool",
    inspect.IntType: "int",
    inspect.FloatType: "float",
    inspect.StrType: "text",
    inspect.BytesType: "bytes",
    inspect.DateTimeType: "datetime",
    inspect.DateType: "date",
    inspect.TimeType: "time",
    inspect.TimeDeltaType: "timedelta",
    inspect.UUIDType: "uuid",
    inspect.DecimalType: "decimal",
}
_LIMITS: Final = ("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length", "pattern", "tz")


def _scalar(about: inspect.Type) -> Form:
    name = _SCALARS.get(type(about))
    if name is not None:
        return Scalar(name=name, **{item: getattr(about, item, None) for item in _LIMITS})
    cls: object = getattr(about, "cls", type(about))
    shown = getattr(cls, "__name__", str(cls))
    return Opaque(name=shown, digest=digest_of(schema_of(cls)) if isinstance(cls, type) else "")


def _literal(values: tuple[object, ...]) -> Form:
    null = [Scalar(name="null")] if None in values else []
    texts = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if isinstance(value, int)]
    return _any_of([*null, *(_choice(some) for some in (texts, numbers) if some)])


def _choice(values: list[str] | list[int]) -> Choice:
    return Choice(values=tuple(sorted(values)))


def _any_of(options: list[Form]) -> Form:
    flat = [part for item in options for part in (item.options if isinstance(item, AnyOf) else (item,))]
    if any(isinstance(part, Anything) for part in flat):
        return Anything()
    return flat[0] if len(flat) == 1 else AnyOf(options=tuple(flat))


def _default(about: inspect.Field) -> str:
    made = about.default
    if made is msgspec.NODEFAULT:
        if about.default_factory is msgspec.NODEFAULT:
            return ""
        made = about.default_factory()
    if made is msgspec.UNSET:
        return ""
    try:
        return encode(made).decode()
    except (TypeError, ValueError, msgspec.MsgspecError):
        return ""


def shown(form: Form) -> str:
    """Give a form in a few words, as a person would write the type."""
    match form:
        case Anything():
            return "anything"
        case Scalar(name=name):
            limits = [f"{limit}={value!r}" for limit in _LIMITS if (value := getattr(form, limit)) is not None]
            return f"{name}({', '.join(limits)})" if limits else name
        case Choice(values=values):
            return " | ".join(map(repr, values))
        case Items(each=each):
            return f"{'set' if form.unique else 'list'} of {shown(each)}{_lengths(form)}"
        case Fixed(items=items):
            return f"({', '.join(map(shown, items))})"
        case Entries(key=key, value=value):
            return f"{shown(key)} to {shown(value)}{_lengths(form)}"
        case Ref(name=name) | Opaque(name=name):
            return name
        case AnyOf(options=options):
            return " | ".join(map(shown, options))


def _lengths(form: Items | Entries) -> str:
    if form.min_length is None and form.max_length is None:
        return ""
    most = "" if form.max_length is None else form.max_length
    return f", {form.min_length or 0}..{most} of them"


__all__ = [
    "AnyOf",
    "Anything",
    "Choice",
    "Described",
    "Describer",
    "Entries",
    "FieldForm",
    "Fixed",
    "Form",
    "Items",
    "Opaque",
    "Record",
    "Records",
    "Ref",
    "Scalar",
    "describe",
    "shown",
]
