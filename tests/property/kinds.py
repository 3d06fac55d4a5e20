"""Any type that a message may hold, as a tree that can be changed a little; its values, and other trees near it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal, Union, cast
from uuid import UUID

import hypothesis.strategies as st
import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

Limits = tuple[int | None, int | None]


@dataclass(frozen=True)
class Kind:
    """One node: what it is, what it is limited to, and its parts."""

    name: str
    limits: Limits = (None, None)
    pattern: str | None = None
    values: tuple[str | int, ...] = ()
    parts: tuple[Kind, ...] = ()
    names: tuple[str, ...] = ()
    optional: frozenset[str] = frozenset()
    tag: str = ""
    flag: bool = False
    """A number's limits are outside itself; a record is closed."""


SIMPLE: Final[Mapping[str, type]] = {
    "any": object,
    "null": type(None),
    "bool": bool,
    "int": int,
    "float": float,
    "text": str,
    "datetime": datetime,
    "uuid": UUID,
}
FIELDS: Final = ("a", "b", "type")
EDGES = st.tuples(*[st.none() | st.integers(-1, 2)] * 2)
SIZES = st.tuples(*[st.none() | st.integers(0, 2)] * 2)
PATTERNS = st.sampled_from([None, "^x", "y$"])
CHOICES = st.lists(st.sampled_from(["x", "xy", 1, 2]), min_size=1, max_size=3, unique=True).map(tuple)
TAGS = st.sampled_from(["", "t.one.v1", "t.two.v1"])
LEAVES = st.one_of(
    st.builds(Kind, st.sampled_from(["any", "null", "bool", "datetime", "uuid"])),
    st.builds(Kind, st.sampled_from(["int", "float"]), EDGES, flag=st.booleans()),
    st.builds(Kind, st.just("text"), SIZES, PATTERNS),
    st.builds(Kind, st.just("literal"), values=CHOICES),
)


@st.composite
def records(draw: st.DrawFn, inner: st.SearchStrategy[Kind]) -> Kind:
    names = tuple(draw(st.lists(st.sampled_from(FIELDS), max_size=3, unique=True)))
    parts = tuple(draw(inner) for _ in names)
    optional = frozenset(name for name in names if draw(st.booleans()))
    return Kind(
        "record", parts=parts, names=names, optional=optional, tag=draw(TAGS), flag=draw(st.sampled_from([False, True]))
    )


def branches(inner: st.SearchStrategy[Kind]) -> st.SearchStrategy[Kind]:
    return st.one_of(
        st.builds(Kind, st.sampled_from(["list", "set", "dict"]), SIZES, parts=st.tuples(inner)),
        st.builds(Kind, st.just("fixed"), parts=st.lists(inner, min_size=1, max_size=2).map(tuple)),
        st.builds(Kind, st.just("union"), parts=st.lists(inner, min_size=2, max_size=3).map(tuple)),
        records(inner),
    )


KINDS = st.recursive(LEAVES, branches, max_leaves=4)


def is_type(kind: Kind) -> bool:
    """Say whether msgspec takes a tree as a type; asking it has ended the process."""
    if kind.tag and "type" in kind.names:
        return False
    if kind.name == "set" and kind.parts[0].name not in {"bool", "int", "text", "literal"}:
        return False
    if kind.name == "union":
        # msgspec 0.22.0 ends the process on a pattern, or on limits, beside a list or a fixed tuple in one union.
        if any(part.name in {"fixed", "any"} or part.pattern for part in _options(kind)):
            return False
        places = [place for part in _options(kind) for place in _places(part)]
        tags = [part.tag for part in _options(kind) if part.name == "record"]
        if len(places) != len(set(places)) or (len(tags) > 1 and "" in tags) or ("object" in places and any(tags)):
            return False
    return all(map(is_type, kind.parts))


TYPES = (records(LEAVES) | KINDS).filter(is_type)
"""Trees that are types, half of them messages."""


def _options(kind: Kind) -> list[Kind]:
    return [option for part in kind.parts for option in _options(part)] if kind.name == "union" else [kind]


def _places(kind: Kind) -> list[str]:
    match kind.name:
        case "text" | "datetime" | "uuid":
            return ["text"]
        case "literal":
            return [*{"text" if isinstance(value, str) else "int" for value in kind.values}]
        case "list" | "set" | "fixed":
            return ["array"]
        case "dict":
            return ["object"]
        case "record":
            return [kind.tag or "object"]
        case _:
            return [kind.name]


# --- types -----------------------------------------------------------------------------------------


def type_of(kind: Kind) -> object:
    """Give the type that a tree stands for."""
    parts = [type_of(part) for part in kind.parts]
    match kind.name:
        case "int" | "float":
            keys = ("gt", "lt") if kind.flag else ("ge", "le")
            return _limited(SIMPLE[kind.name], dict(zip(keys, kind.limits, strict=True)))
        case "text":
            return _limited(str, _sizes(kind) | {"pattern": kind.pattern})
        case "literal":
            return Literal[kind.values]
        case "list":
            return _limited(tuple[parts[0], ...], _sizes(kind))  # type: ignore[valid-type]  # made at run time
        case "set":
            return _limited(frozenset[parts[0]], _sizes(kind))  # type: ignore[valid-type]  # as above
        case "dict":
            return _limited(dict[str, parts[0]], _sizes(kind))  # type: ignore[valid-type]  # as above
        case "fixed":
            return tuple[tuple(parts)]  # type: ignore[misc]  # as above
        case "union":
            return Union[tuple(parts)]  # noqa: UP007  # as above
        case "record":
            return _struct(kind, parts)
        case _:
            return SIMPLE[kind.name]


def _sizes(kind: Kind) -> dict[str, object]:
    return dict(zip(("min_length", "max_length"), kind.limits, strict=True))


def _limited(kind: object, limits: Mapping[str, object]) -> object:
    said = {name: value for name, value in limits.items() if value is not None}
    return Annotated[kind, msgspec.Meta(**said)] if said else kind  # type: ignore[call-overload]  # as above


def _struct(kind: Kind, parts: list[object]) -> type[msgspec.Struct]:
    fields: list[object] = []
    for name, part in zip(kind.names, parts, strict=True):
        if name in kind.optional:  # left out when it is not set, as writers in other languages do
            part = Union[part, msgspec.UnsetType]  # noqa: PLW2901, UP007  # as above
            fields.append((f"f_{name}", part, msgspec.field(name=name, default=msgspec.UNSET)))
        else:
            fields.append((f"f_{name}", part, msgspec.field(name=name)))
    more = {"tag": kind.tag, "tag_field": "type"} if kind.tag else {}
    return msgspec.defstruct(
        "Made",
        cast("list[str]", fields),
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=kind.flag,
        **more,  # type: ignore[arg-type]  # as above
    )


# --- values ----------------------------------------------------------------------------------------

NUMBERS = st.integers(-3, 4)
POINTS = st.sampled_from([-1.5, -1.0, 0.0, 0.5, 1.0, 2.0, 2.5])
TEXTS = st.sampled_from(["", "x", "y", "xy", "xyy", "z"])
ANY: st.SearchStrategy[object] = st.none() | st.booleans() | NUMBERS | TEXTS | st.just([]) | st.just({})


def value_of(kind: Kind) -> st.SearchStrategy[object]:
    """Give a strategy for JSON values of a tree; some are none of it, and are told by their decoder."""
    parts = [value_of(part) for part in kind.parts]
    match kind.name:
        case "list" | "set":
            return st.lists(parts[0], max_size=3)
        case "dict":
            return st.dictionaries(st.sampled_from(["a", "b", "c"]), parts[0], max_size=3)
        case "fixed":
            return st.tuples(*parts).map(list)
        case "union":
            return st.one_of(parts)
        case "record":
            return _object(kind, parts)
        case "literal":
            return st.sampled_from(kind.values)
        case _:
            return PLAIN[kind.name]


PLAIN: Final[Mapping[str, st.SearchStrategy[object]]] = {
    "any": ANY,
    "null": st.none(),
    "bool": st.booleans(),
    "int": NUMBERS,
    "float": POINTS,
    "text": TEXTS,
    "datetime": st.sampled_from(["2026-01-01T00:00:00", "2026-01-01T00:00:00Z"]),
    "uuid": st.just("00000000-0000-0000-0000-000000000001"),
}


def _object(kind: Kind, parts: list[st.SearchStrategy[object]]) -> st.SearchStrategy[object]:
    fields = dict(zip(kind.names, parts, strict=True))
    must = {name: part for name, part in fields.items() if name not in kind.optional}
    may = {name: part for name, part in fields.items() if name in kind.optional}
    tag = {"type": st.just(kind.tag)} if kind.tag else {}
    return st.fixed_dictionaries(must | tag, optional=may)


# --- trees near a tree -------------------------------------------------------------------------------


@st.composite
def near(draw: st.DrawFn, kind: Kind) -> Kind:
    """Give a tree with one or two things changed, as an author changes a message."""
    changed = kind
    for _ in range(draw(st.integers(1, 2))):
        changed = draw(_changed(changed))
    return changed


def _changed(kind: Kind) -> st.SearchStrategy[Kind]:
    ways: list[st.SearchStrategy[Kind]] = [KINDS, st.builds(lambda other: Kind("union", parts=(kind, other)), KINDS)]
    if kind.parts:
        indexes = st.integers(0, len(kind.parts) - 1)
        ways += [indexes.flatmap(lambda index: _inside(kind, index))] * 4
    match kind.name:
        case "int" | "float":
            ways += [st.builds(replace, st.just(kind), limits=EDGES), st.just(replace(kind, name="float"))]
        case "text" | "list" | "set" | "dict":
            ways.append(st.builds(replace, st.just(kind), limits=SIZES, pattern=PATTERNS))
        case "literal":
            ways.append(st.builds(replace, st.just(kind), values=CHOICES))
        case "union":
            ways.append(st.just(kind.parts[0]))
        case "record":
            ways += [
                st.builds(replace, st.just(kind), optional=st.frozensets(st.sampled_from(FIELDS))),
                st.builds(replace, st.just(kind), tag=TAGS),
                *[st.just(replace(kind, parts=kind.parts[:-1], names=kind.names[:-1]))] * 2,
                *[st.builds(_with_field, st.just(kind), st.sampled_from(FIELDS), LEAVES)] * 4,
                st.builds(replace, st.just(kind), flag=st.booleans()),
            ]
    return st.one_of(ways)


def _with_field(kind: Kind, name: str, part: Kind) -> Kind:
    if name in kind.names:
        return kind
    return replace(kind, parts=(*kind.parts, part), names=(*kind.names, name))


def _inside(kind: Kind, index: int) -> st.SearchStrategy[Kind]:
    return _changed(kind.parts[index]).map(
        lambda part: replace(kind, parts=(*kind.parts[:index], part, *kind.parts[index + 1 :]))
    )
