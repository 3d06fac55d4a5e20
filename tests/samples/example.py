"""Wire samples of a message, made from its form alone: one with no more than it must have, one with all it may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remit.contracts.form import (
    AnyOf,
    Anything,
    Choice,
    Described,
    Entries,
    FieldForm,
    Fixed,
    Form,
    Items,
    Opaque,
    Record,
    Ref,
    Scalar,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DEEPEST: Final = 12
PLAIN: Final[Mapping[str, object]] = {
    "null": None,
    "bool": True,
    "int": 7,
    "float": 1.5,
    "text": "text",
    "bytes": "Ynl0ZXM=",
    "datetime": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "timedelta": "PT1S",
    "uuid": "00000000-0000-0000-0000-000000000001",
    "decimal": "1.5",
}


def samples_of(about: Described) -> list[object]:
    """Give the samples, as plain data."""
    made = [_Maker(about, is_full=is_full).value(about.root, 0) for is_full in (False, True)]
    return made if made[0] != made[1] else made[:1]


class _Maker:
    def __init__(self, about: Described, *, is_full: bool) -> None:
        self._records = about.records
        self._is_full = is_full

    def value(self, form: Form, depth: int) -> object:
        match form:
            case Anything():
                return {"any": [1, "thing"]} if self._is_full else None
            case Scalar():
                return _plain(form)
            case Choice(values=values):
                return values[-1] if self._is_full else values[0]
            case Items(each=each):
                wanted = form.min_length or (1 if self._is_full and depth < DEEPEST else 0)
                return [self.value(each, depth + 1) for _ in range(wanted)]
            case Fixed(items=items):
                return [self.value(item, depth + 1) for item in items]
            case Entries(value=value):
                return {"key": self.value(value, depth + 1)} if self._is_full and depth < DEEPEST else {}
            case AnyOf(options=options):
                null = Scalar(name="null")
                others = [option for option in options if option != null]
                is_null = null in options and (not self._is_full or depth >= DEEPEST)
                return None if is_null else self.value(others[-1], depth + 1)
            case Ref(name=name):
                return self._record(self._records[name], depth)
            case Opaque():
                raise AssertionError(form)

    def _record(self, record: Record, depth: int) -> dict[str, object]:
        fields: Iterable[FieldForm] = record.fields
        if not self._is_full or depth >= DEEPEST:
            fields = [field for field in record.fields if field.required]
        tag = {record.tag_field: record.tag} if record.tag else {}
        return tag | {field.name: self.value(field.form, depth + 1) for field in fields}


def _plain(form: Scalar) -> object:
    least = form.ge if form.ge is not None else form.gt
    if form.name in {"int", "float"} and least is not None:
        return type(PLAIN[form.name])(least + 1)  # type: ignore[call-arg]  # int or float, as the name says
    if form.name in {"int", "float"} and (most := form.le if form.le is not None else form.lt) is not None:
        return type(PLAIN[form.name])(most - 1)  # type: ignore[call-arg]  # as above
    return PLAIN[form.name]
