"""State contracts: which keys there are, of what type, who may write them, and how each part is merged."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, Generic, Literal, TypeVar

import msgspec

from remit.contracts.errors import MalformedMessageError, StateInvalidError, TooLargeError
from remit.contracts.message import Message, convert, decode_any, tag_of
from remit.contracts.part import Entries, Fields, Leaf, Node, node_of
from remit.contracts.plain import order_of, plain_of, pointer, same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from remit.contracts.policy import Policy

__all__ = [
    "LIMIT_BYTES",
    "MOST_BYTES",
    "TEAM_SCOPE",
    "WORKFLOW_PREFIX",
    "Document",
    "Entries",
    "Fields",
    "Leaf",
    "Node",
    "Scope",
    "StateContract",
    "StateContracts",
    "node_of",
    "order_of",
    "plain_of",
    "pointer",
    "same",
    "scope_of",
]

T_co = TypeVar("T_co", covariant=True)

Scope = Literal["run", "workflow", "team"]
"""Whose state it is: one run's, that of all runs of a workflow, or the team's; the last two outlive runs."""
TEAM_SCOPE = "team"
WORKFLOW_PREFIX: Final = "workflow:"
LIMIT_BYTES: Final = 512 * 1024
MOST_BYTES: Final = 3 * 1024 * 1024
"""What fits into a request, beside its envelope."""
DEPTH_LIMIT: Final = 100
"""Levels of a document: whoever walks through one must come back."""

_PARAMETER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_TAG_FIELD = "type"
_CONTAINERS: Final = frozenset({dict, list})

Document = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class StateContract(Generic[T_co]):
    """One kind of state document: `state("file.{path}", FileNote)`."""

    template: str
    kind: type[T_co]
    scope: Scope = "run"
    policy: Policy | None = None
    """For a document that is one value; the fields of a message say their own."""
    writers: tuple[str, ...] = ()
    """Roles that may write it; empty: all of the team."""
    limit_bytes: int = LIMIT_BYTES
    upcast: Mapping[str, Callable[[Document], Document]] = field(default_factory=dict)
    """By the tag of an older version: gives the document as the next one, its new tag included."""

    # --- keys ------------------------------------------------------------------------------------

    def key(self, **parameters: str) -> str:
        """Give the key of one document: the one from which these parameters, and no others, can be read back.

        Raises:
            StateInvalidError: a parameter is missing, empty or unknown, or holds a dot that only the last one may.
        """
        if set(self.parameters) == set(parameters):
            key = _PARAMETER.sub(lambda hit: parameters[hit[1]], self.template)
            read = self._pattern.fullmatch(key)
            if read is not None and read.groups() == tuple(parameters[name] for name in self.parameters):
                return key
        raise StateInvalidError(
            f"these do not name a key of {self.template}",
            where=self.template,
            expected=", ".join(self.parameters) or "no parameter",
            got=", ".join(f"{name}={value!r}" for name, value in parameters.items()) or "none",
        )

    def matches(self, key: str) -> bool:
        """Say whether a key is of this kind."""
        return self._pattern.fullmatch(key) is not None

    @cached_property
    def prefix(self) -> str:
        """What all keys of this kind begin with."""
        return self.texts[0]

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of the key's parameters, in order."""
        return tuple(_PARAMETER.findall(self.template))

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """What stands before, between and behind the parameters."""
        return tuple(_PARAMETER.split(self.template)[::2])

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = _PARAMETER.split(self.template)
        last = len(parts) - 2 if parts[-1] == "" else 0  # a last parameter takes all that is left, dots included
        spelled = [
            ("(.+)" if index == last else "([^.]+)") if index % 2 else re.escape(part)
            for index, part in enumerate(parts)
        ]
        return re.compile("".join(spelled), re.DOTALL)

    # --- form ------------------------------------------------------------------------------------

    @cached_property
    def node(self) -> Node:
        """How a document of this kind is merged, part by part."""
        return node_of(self.kind, self.policy)

    @cached_property
    def schema(self) -> str:
        """The tag of the document's type; empty for a type without one, whose form cannot change."""
        return tag_of(self.kind) if _is_message(self.kind) else ""

    # --- values ----------------------------------------------------------------------------------

    def checked(self, data: bytes | msgspec.Raw) -> object:
        """Give a proposed value as plain JSON data, complete with its defaults.

        Raises:
            TooLargeError: it is above the document's limit.
            MalformedMessageError: it is no JSON, nested too deep, or not of the document's type.
            StateInvalidError: it has a field that the document has not, or is of an older version nobody can read.
        """
        if (size := len(bytes(data))) > self.limit_bytes:
            raise TooLargeError(
                f"the value is too large for {self.template}",
                expected=f"at most {self.limit_bytes} bytes",
                got=str(size),
                fix="keep it behind a tool and put its name and digest into the state",
            )
        plain = decode_any(object, data)
        _refuse_deep(plain)
        plain = self.upcasted(plain)
        _refuse_unknown(self.node, plain, "")
        complete = plain_of(convert(self.kind, plain))
        if complete != plain:
            _refuse_lost(plain, complete, "")
        return complete

    def upcasted(self, plain: object) -> object:
        """Give a stored document in the newest version of its form.

        Raises:
            StateInvalidError: nothing leads from its version to this one.
        """
        seen = set[str]()
        while self.schema and isinstance(plain, dict) and (tag := str(plain.get(_TAG_FIELD))) != self.schema:
            step = self.upcast.get(tag)
            if step is None or tag in seen:
                raise StateInvalidError(
                    f"nothing leads from this version of {self.template} to the one in use",
                    where=f"/{_TAG_FIELD}",
                    expected=" or ".join([self.schema, *sorted(self.upcast)]),
                    got=tag,
                    fix="state(…, upcast={tag: function})",
                )
            seen.add(tag)
            plain = _next_form(step, plain, tag=tag)
        return plain

    def readable(self, data: bytes | msgspec.Raw) -> object:
        """Give a stored value as plain data of today's form: older versions are brought forward.

        Raises:
            StateInvalidError: it cannot be brought forward.
        """
        plain = msgspec.json.decode(bytes(data))
        if not self.schema or (isinstance(plain, dict) and plain.get(_TAG_FIELD) == self.schema):
            return plain
        try:
            return plain_of(convert(self.kind, self.upcasted(plain)))
        except MalformedMessageError as error:
            raise StateInvalidError(
                f"the older version of {self.template} was not brought forward to its type",
                where=error.where,
                expected=error.expected,
                got=error.got,
            ) from error


class StateContracts:
    """All state contracts of a team, found by key."""

    def __init__(self, contracts: Sequence[StateContract[object]] = ()) -> None:
        self._contracts = tuple(sorted(contracts, key=_exactness))

    def __iter__(self) -> Iterator[StateContract[object]]:
        return iter(self._contracts)

    def find(self, key: str) -> StateContract[object] | None:
        """Give the contract of a key, or None."""
        return next((item for item in self._contracts if item.matches(key)), None)

    def of(self, key: str) -> StateContract[object]:
        """Give the contract of a key.

        Raises:
            StateInvalidError: the team declares no such key.
        """
        if (found := self.find(key)) is None:
            raise StateInvalidError(
                f"no state contract covers the key {key[:80]!r}",
                where="$.key",
                expected=", ".join(sorted(item.template for item in self._contracts)) or "no state at all",
                got=key[:80],
                fix="Team(…, state=[state(TEMPLATE, TYPE)])",
            )
        return found


def scope_of(contract: StateContract[object], *, run_id: str, workflow: str) -> str:
    """Give the scope in which a run sees the documents of a contract."""
    match contract.scope:
        case "run":
            return run_id
        case "workflow":
            return WORKFLOW_PREFIX + workflow
        case "team":
            return TEAM_SCOPE


def _exactness(contract: StateContract[object]) -> tuple[int, int, str]:
    """The longest fixed beginning is first, then the most fixed text: `a.{x}.notes` before `a.{rest}`."""
    return -len(contract.prefix), -sum(map(len, contract.texts)), contract.template


def _is_message(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Message)


def _next_form(step: Callable[[Document], Document], plain: Document, *, tag: str) -> Document:
    where, expected = f"/{_TAG_FIELD}", "the document as the next version of its type"
    try:
        made = plain_of(step(plain))
    except Exception as error:
        raise StateInvalidError(
            f"the upcast from {tag} failed: {type(error).__name__}: {error}", where=where, expected=expected
        ) from error
    if not isinstance(made, dict):
        raise StateInvalidError(
            f"the upcast from {tag} gave no object", where=where, expected=expected, got=type(made).__name__
        )
    return made


def _refuse_deep(plain: object) -> None:
    level: list[object] = [[plain]]
    for _ in range(DEPTH_LIMIT + 2):
        if not level:
            return
        level = [child for item in level for child in _children(item) if type(child) in _CONTAINERS]
    raise MalformedMessageError("nested too deep", where="$", expected=f"at most {DEPTH_LIMIT} levels")


def _children(item: object) -> Iterable[object]:
    if isinstance(item, dict):
        return item.values()
    return item if isinstance(item, list) else ()


def _refuse_unknown(node: Node, plain: object, path: str) -> None:
    """Said of fields that are merged one by one before their types are looked at: a misspelled name is told as such."""
    if isinstance(node, Leaf) or not isinstance(plain, dict):
        return
    if isinstance(node, Entries):
        for name, value in plain.items():
            _refuse_unknown(node.each, value, pointer(path, name))
        return
    for name in plain:
        if name not in node.fields:
            raise _unknown(pointer(path, name), name, known=node.fields)
    for name, child in node.fields.items():
        if not isinstance(child, Leaf):
            _refuse_unknown(child, plain.get(name), pointer(path, name))


def _refuse_lost(plain: object, complete: object, path: str) -> None:
    """What a type does not know gets lost on the way through it, wherever it stands."""
    if isinstance(plain, dict) and isinstance(complete, dict):
        for name, value in plain.items():
            if name not in complete:
                raise _unknown(pointer(path, name), name, known=complete)
            _refuse_lost(value, complete[name], pointer(path, name))
    elif isinstance(plain, list) and isinstance(complete, list):
        for index, (item, kept) in enumerate(zip(plain, complete, strict=False)):
            _refuse_lost(item, kept, pointer(path, str(index)))


def _unknown(where: str, name: str, *, known: Iterable[str]) -> StateInvalidError:
    return StateInvalidError(
        "the document has no such field",
        where=where,
        expected=", ".join(sorted(set(known) - {_TAG_FIELD})),
        got=name,
    )
