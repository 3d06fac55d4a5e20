"""Any instance of any contract, made from its types."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import msgspec
from msgspec import inspect

import remit.contracts
from remit.contracts.message import Message, raw

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def every_contract() -> list[type[Message]]:
    """Give every message of the package, those that other messages hold included."""
    for module in pkgutil.iter_modules(remit.contracts.__path__):
        importlib.import_module(f"remit.contracts.{module.name}")
    own = [kind for kind in _below(Message) if kind.__module__.startswith("remit.contracts.")]
    return sorted(own, key=lambda kind: kind.__name__)


def _below(kind: type[Message]) -> Iterator[type[Message]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def instances(kind: type[msgspec.Struct]) -> st.SearchStrategy[msgspec.Struct]:
    """Give a strategy for a contract, and for what it holds."""
    about = inspect.type_info(kind)
    assert isinstance(about, inspect.StructType)
    required = {field.name: _value(field.type) for field in about.fields if field.required}
    optional = {field.name: _value(field.type) for field in about.fields if not field.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda values: kind(**values))


def _value(about: inspect.Type) -> st.SearchStrategy[object]:  # noqa: C901, PLR0912  # one arm per type that a contract may hold
    match about:
        case inspect.AnyType():
            return JSON
        case inspect.StrType():
            return st.text(max_size=20)
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType(ge=least):
            return st.integers(-(2**63) if least is None else least, 2**63 - 1)
        case inspect.FloatType(gt=above, ge=least, le=most):
            low = least if above is None else above
            return st.floats(low, most, exclude_min=above is not None, allow_nan=False, allow_infinity=False)
        case inspect.NoneType():
            return st.none()
        case inspect.DateTimeType():
            return st.integers(0, 10**9).map(lambda s: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=s))
        case inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case inspect.RawType():
            return JSON.map(raw)
        case inspect.StructType(cls=cls):
            return st.deferred(lambda: instances(cls))
        case inspect.CustomType(cls=cls) if cls is object:
            return JSON
        case inspect.TupleType(item_types=items):
            return st.tuples(*(_value(item) for item in items))
        case inspect.VarTupleType(item_type=item):
            return st.lists(_value(item), max_size=2).map(tuple)
        case inspect.UnionType(types=types):
            return st.one_of([_value(item) for item in types])
        case _:
            raise AssertionError(f"a contract holds {about}")


def same(one: object, other: object) -> bool:
    """Say whether two messages are the same on the wire."""
    return type(one) is type(other) and msgspec.json.encode(one) == msgspec.json.encode(other)
