"""The parts of a shared document, made from its type: one value, an object by field, or a mapping by entry."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Union, get_args, get_origin, get_type_hints

import msgspec

from remit.contracts.plain import plain_of
from remit.contracts.policy import MISSING, Policy, PolicyName, Writers, ladder, reject


@dataclass(frozen=True)
class Leaf:
    """A part that is merged as one value."""

    policy: Policy
    writers: frozenset[str] = frozenset()
    """Roles that may write it; empty: every role that may write the document."""
    item: Node | None = None
    """How two versions of one item of a `union(by=…)` are merged."""
    default: object = MISSING
    """What it holds before anybody wrote it."""

    @cached_property
    def kinds(self) -> frozenset[PolicyName]:
        """Which policies may decide in it."""
        below = self.item.kinds if self.item is not None else frozenset[PolicyName]()
        return below | {rung.kind for rung in ladder(self.policy)}


@dataclass(frozen=True)
class Fields:
    """An object with named fields, merged field by field."""

    fields: Mapping[str, Node]
    defaults: Mapping[str, object] = field(default_factory=dict)
    """What a field holds before anybody wrote it; a field without a default is missing then."""

    @cached_property
    def kinds(self) -> frozenset[PolicyName]:
        """Which policies may decide in one of the fields."""
        return frozenset(kind for child in self.fields.values() for kind in child.kinds)


@dataclass(frozen=True)
class Entries:
    """An object with entries of one kind, merged entry by entry."""

    each: Node

    @property
    def kinds(self) -> frozenset[PolicyName]:
        """Which policies may decide in an entry."""
        return self.each.kinds


Node = Leaf | Fields | Entries


def node_of(kind: object, policy: Policy | None = None, writers: frozenset[str] = frozenset()) -> Node:
    """Give how a value of a type is merged: messages by field, mappings by entry, all else as one value.

    A policy that is given, or annotated, makes the whole value one part. So is a message inside a message of its type.
    """
    return _node(kind, policy, writers, inside=())


def arbiters_in(node: Node) -> frozenset[str]:
    """Give the roles that are asked about conflicts over a part."""
    match node:
        case Fields(fields=fields):
            return frozenset(role for child in fields.values() for role in arbiters_in(child))
        case Entries(each=each):
            return arbiters_in(each)
        case Leaf(policy=policy, item=item):
            own = frozenset(rung.role for rung in ladder(policy) if rung.kind == "arbitrate")
            return own | (arbiters_in(item) if item is not None else frozenset[str]())


def annotated(kind: object) -> tuple[object, tuple[Policy, ...], frozenset[str]]:
    """Give a type without what it is annotated with, its policies, and the roles that may write it."""
    if get_origin(kind) is not Annotated:
        return kind, (), frozenset()
    inner, *notes = get_args(kind)
    policies = tuple(note for note in notes if isinstance(note, Policy))
    roles = [role for note in notes if isinstance(note, Writers) for role in note.roles]
    return inner, policies, frozenset(roles)


def item_of(kind: object) -> object | None:
    """Give the type of a list's items: of `tuple[Note, ...]`, `list[Note]`, or one of them or null; else None."""
    for option in options_of(kind):
        inner: tuple[object, ...] = get_args(option)
        if inner and (get_origin(option) is list or (get_origin(option) is tuple and inner[1:] == (...,))):
            return inner[0]
    return None


def options_of(kind: object) -> tuple[object, ...]:
    """Give the types of which a value is one: those of a union, or the type alone."""
    return get_args(kind) if get_origin(kind) in {Union, types.UnionType} else (kind,)


def value_of_entries(kind: object) -> object | None:
    """Give the type of a mapping's entries, if its keys are text; else None."""
    inner: tuple[object, ...] = get_args(kind)
    return inner[1] if get_origin(kind) in {dict, Mapping} and inner[:1] == (str,) else None


def struct_of(kind: object) -> type[msgspec.Struct] | None:
    """Give a type that is an object with named fields; else None."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and not kind.__struct_config__.array_like:
        return kind
    return None


def _node(
    kind: object, policy: Policy | None = None, writers: frozenset[str] = frozenset(), *, inside: tuple[object, ...]
) -> Node:
    kind, noted, roles = annotated(kind)
    policy, writers = policy or next(reversed(noted), None), writers or roles
    if policy is not None or writers:
        chosen = policy or reject()
        item = item_of(kind) if chosen.kind == "union" and chosen.by else None
        return Leaf(chosen, writers, _node(item, inside=inside) if item is not None else None)
    if (struct := struct_of(kind)) is not None and struct not in inside:
        return _fields(struct, inside=(*inside, struct))
    if (each := value_of_entries(kind)) is not None:
        return Entries(_node(each, inside=inside))
    return Leaf(reject())


def _fields(kind: type[msgspec.Struct], *, inside: tuple[object, ...]) -> Fields:
    hints = get_type_hints(kind, include_extras=True)
    infos = msgspec.structs.fields(kind)
    nodes = {item.encode_name: _node(hints[item.name], inside=inside) for item in infos}
    unwritten = {item.encode_name: _default(item) for item in infos}
    config = kind.__struct_config__
    if config.tag is not None and config.tag_field is not None:
        nodes[config.tag_field], unwritten[config.tag_field] = Leaf(reject()), config.tag
    known = {name: value for name, value in unwritten.items() if value is not MISSING}
    return Fields({name: _with_default(node, unwritten[name]) for name, node in nodes.items()}, known)


def _with_default(node: Node, value: object) -> Node:
    return replace(node, default=value) if isinstance(node, Leaf) else node


def _default(item: msgspec.structs.FieldInfo) -> object:
    made = item.default
    if made is msgspec.NODEFAULT and item.default_factory is not msgspec.NODEFAULT:
        made = item.default_factory()
    return MISSING if made is msgspec.NODEFAULT or made is msgspec.UNSET else plain_of(made)
