"""State contracts that could not hold: unknown roles, policies that do not fit their type, keys that cannot be told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, get_args, get_type_hints

import msgspec

from remit.check.agreement import near
from remit.contracts.document import MOST_BYTES, StateContracts
from remit.contracts.errors import CharterInvalidError, ContractInvalidError, RemitError, TeamInvalidError
from remit.contracts.message import Message, tag_of
from remit.contracts.part import annotated, item_of, options_of, struct_of, value_of_entries
from remit.contracts.plain import pointer
from remit.contracts.policy import ladder
from remit.contracts.proposal import StateConflict, StateRuling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remit.check.case import Case
    from remit.contracts.document import StateContract
    from remit.contracts.policy import Policy

RESERVED: Final = "pool."
"""Beginning of the supervisor's own keys."""
_PARAMETER: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_TEMPLATE: Final = re.compile(r"[^{}]+(\{[a-z][a-z0-9_]*\}[^{}]+)*(\{[a-z][a-z0-9_]*\})?")


def state_mistakes(case: Case) -> Iterator[RemitError]:
    """Give what is wrong with the team's state contracts."""
    yield from _keys(case)
    yield from _tags(case)
    for contract in case.team.state:
        try:
            yield from _Document(case, contract).mistakes()
        except NameError as error:
            yield TeamInvalidError(
                f"state {contract.template}: a type of {contract.kind.__name__} is not there when the team runs",
                where=case.state(contract.template),
                got=str(error),
                fix="import it outside of TYPE_CHECKING, and define it at the top of the module",
            )
    yield from _criteria(case)


def _keys(case: Case) -> Iterator[RemitError]:
    seen: set[str] = set()
    for contract in case.team.state:
        template, where = contract.template, case.state(contract.template)
        names = _PARAMETER.findall(template)
        if not _TEMPLATE.fullmatch(template) or len(set(names)) < len(names):
            yield ContractInvalidError(
                f"{template!r} is no key of a state document",
                where=where,
                expected="a fixed beginning, then {name} parameters with fixed text between them: note.{day}.{path}",
                got=template,
            )
        if template.startswith(RESERVED):
            yield ContractInvalidError(
                f"keys that begin with {RESERVED} are the supervisor's", where=where, got=template
            )
        if (form := _PARAMETER.sub("{}", template)) in seen:
            yield ContractInvalidError("two state contracts have the same keys", where=where, got=template)
        seen.add(form)
        if not 1 <= contract.limit_bytes <= MOST_BYTES:
            yield ContractInvalidError(
                f"the limit of {template} cannot be kept",
                where=where,
                expected=f"1 to {MOST_BYTES} bytes",
                got=str(contract.limit_bytes),
            )


def _tags(case: Case) -> Iterator[RemitError]:
    seen = {tag_of(kind): kind for kind in _messages_of_roles(case)}
    for contract in case.team.state:
        kind: object = contract.kind
        if not (isinstance(kind, type) and issubclass(kind, Message)):
            continue
        try:
            other = seen.setdefault(tag_of(kind), kind)
        except ContractInvalidError as error:
            error.where = case.state(contract.template)
            yield error
            continue
        if other is not kind:
            yield ContractInvalidError(
                f"two messages have the tag {tag_of(kind)}",
                where=case.state(contract.template),
                expected="one tag per message",
                got=f"{other.__name__} and {kind.__name__}",
            )


def _messages_of_roles(case: Case) -> Iterator[type[Message]]:
    for role in case.team.roles.values():
        try:
            spec = role.spec()
        except ContractInvalidError:
            continue  # said of the role already
        yield from (spec.takes, spec.gives)


def _criteria(case: Case) -> Iterator[RemitError]:
    contracts = StateContracts(case.team.state)
    for index, check in enumerate(case.charter.completion):
        if check.key and contracts.find(check.key) is None:
            yield CharterInvalidError(
                f"no state contract covers the key {check.key}, so no run can pass {check.name!r}",
                where=case.key("completion", index, "key"),
                expected=", ".join(sorted(item.template for item in case.team.state)) or "no state at all",
                got=check.key,
                fix=near(check.key, [item.template for item in case.team.state], otherwise="declare it with state(…)"),
            )


class _Document:
    """One contract with its parts."""

    def __init__(self, case: Case, contract: StateContract[object]) -> None:
        self._case = case
        self._contract = contract
        self._where = case.state(contract.template)
        self._seen: set[object] = set()

    def mistakes(self) -> Iterator[RemitError]:
        contract = self._contract
        yield from self._roles(contract.writers, "writers")
        kind: object = contract.kind
        if contract.upcast and not (isinstance(kind, type) and issubclass(kind, Message)):
            yield self._mistake("", "a document without a tag has one form", got="upcast=", fix="make it a Message")
        if contract.policy is None:
            yield from self._part("", kind)
            return
        if annotated(kind)[1]:
            yield self._mistake("", "the document has two policies", got="policy=, and an annotation")
        elif said := _fields_that_say_more(kind):
            yield self._mistake(
                "",
                "under policy= the document is one value, and what its fields say counts for nothing",
                got=", ".join(said),
                fix="remove policy=, or the annotations",
            )
        yield from self._policy("", kind, contract.policy)

    def _part(self, path: str, kind: object) -> Iterator[RemitError]:
        inner, policies, writers = annotated(kind)
        yield from self._roles(sorted(writers), path or "writers")
        if len(policies) > 1:
            yield self._mistake(path, "a field has one policy", got=" and ".join(item.name for item in policies))
        if policies:
            yield from self._policy(path, inner, policies[-1])
        elif (struct := struct_of(inner)) is not None and not writers:
            yield from self._struct(path, struct)
        elif (entry := value_of_entries(inner)) is not None and not writers:
            yield from self._part(f"{path}/*", entry)
        else:
            yield from self._buried(path, inner)

    def _struct(self, path: str, struct: type[msgspec.Struct]) -> Iterator[RemitError]:
        if struct in self._seen:
            return
        self._seen.add(struct)
        hints = get_type_hints(struct, include_extras=True)
        for item in msgspec.structs.fields(struct):
            yield from self._part(pointer(path, item.encode_name), hints[item.name])

    def _buried(self, path: str, kind: object) -> Iterator[RemitError]:
        """Nobody looks for policies inside a value that is merged as one: they would silently count for nothing."""
        if any(_says_more(inner) for inner in get_args(kind)):
            yield self._mistake(
                path,
                "a policy or writers inside a type count for nothing",
                got=_shown(kind),
                fix="annotate the whole of it: Annotated[int | None, policy.maximum()]",
            )

    def _policy(self, path: str, kind: object, policy: Policy) -> Iterator[RemitError]:
        if policy.kind != "union" or not policy.by:  # whose items are parts
            yield from self._buried(path, kind)
        for rung in ladder(policy):
            yield from self._fit(path, kind, rung)
            if rung.kind in {"owner", "arbitrate"}:
                yield from self._roles((rung.role,), rung.name)
            if rung.kind == "arbitrate":
                yield from self._arbiter(path, rung)

    def _fit(self, path: str, kind: object, policy: Policy) -> Iterator[RemitError]:
        options = {annotated(option)[0] for option in options_of(kind)} - {type(None)}
        match policy.kind:
            case "max" | "min" if not options <= {int, float}:
                yield self._misfit(path, policy, kind, expected="int or float, or None")
            case "counter" if options != {int}:
                yield self._misfit(path, policy, kind, expected="int")
            case "union" | "append":
                yield from self._items(path, kind, policy)
            case "evidence":
                yield from self._fields(path, kind, policy, names=(policy.sources, policy.score))

    def _items(self, path: str, kind: object, policy: Policy) -> Iterator[RemitError]:
        item = item_of(kind)
        if item is None:
            yield self._misfit(path, policy, kind, expected="tuple[…, ...]")
        elif policy.by:
            yield from self._fields(path, item, policy, names=(policy.by,))
        if policy.kind == "union" and policy.by and item is not None:
            yield from self._part(f"{path}/*", item)

    def _fields(self, path: str, kind: object, policy: Policy, *, names: tuple[str, ...]) -> Iterator[RemitError]:
        structs = [struct for option in options_of(kind) if (struct := struct_of(option)) is not None]
        if not structs:
            yield self._misfit(path, policy, kind, expected=f"an object with {' and '.join(names)}")
            return
        known = [field.encode_name for field in msgspec.structs.fields(structs[0])]
        for name in names:
            if name not in known:
                fix = near(name, known, otherwise=f"add {name} to {structs[0].__name__}")
                yield self._mistake(
                    path, f"{structs[0].__name__} has no field {name}", expected=", ".join(known), got=name, fix=fix
                )

    def _arbiter(self, path: str, policy: Policy) -> Iterator[RemitError]:
        kind = self._case.team.roles.get(policy.role)
        if kind is None:
            return
        try:
            spec = kind.spec()
        except ContractInvalidError:
            return  # said of the role already
        if (spec.takes, spec.gives) != (StateConflict, StateRuling):
            yield self._mistake(
                path,
                f"role {policy.role} cannot arbitrate",
                expected=f"class {kind.__name__}(Role[StateConflict, StateRuling])",
                got=f"Role[{spec.takes.__name__}, {spec.gives.__name__}]",
            )

    def _roles(self, names: tuple[str, ...] | list[str], what: str) -> Iterator[RemitError]:
        known = self._case.team.roles
        for name in names:
            if name not in known:
                fix = near(name, known, otherwise="name a role of the team")
                yield self._mistake("", f"{what} names the role {name}", expected=", ".join(known), got=name, fix=fix)

    def _misfit(self, path: str, policy: Policy, kind: object, *, expected: str) -> RemitError:
        return self._mistake(path, f"{policy.name} does not fit the type", expected=expected, got=_shown(kind))

    def _mistake(self, path: str, said: str, *, expected: str = "", got: str = "", fix: str = "") -> RemitError:
        what = f"state {self._contract.template}{path}"
        return TeamInvalidError(f"{what}: {said}", where=self._where, expected=expected, got=got, fix=fix)


def _fields_that_say_more(kind: object) -> list[str]:
    struct = struct_of(annotated(kind)[0])
    hints = get_type_hints(struct, include_extras=True) if struct is not None else {}
    return [name for name, hint in hints.items() if _says_more(hint)]


def _says_more(kind: object) -> bool:
    inner, policies, writers = annotated(kind)
    return bool(policies or writers) or any(map(_says_more, get_args(inner)))


def _shown(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
