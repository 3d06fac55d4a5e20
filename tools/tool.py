"""Declare a tool: a typed function becomes a name, a schema, a risk and an effect class."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003  # a tool's annotations are read when it is declared
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar, cast, get_type_hints, overload

import msgspec

from remit.contracts.errors import ContractInvalidError, GrantDeniedError
from remit.contracts.ids import is_tool
from remit.contracts.message import digest_of, schema_of
from remit.contracts.team import ToolSpec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from remit.contracts.tool import Effect, Risk

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

FAR_OFF: Final = datetime.max.replace(tzinfo=UTC)
"""The deadline of a call that has none: in tests."""


@dataclass(frozen=True, kw_only=True)
class ToolScope:
    """What a call may touch: known from the lease, never from the arguments."""

    run_id: str
    step: str
    role: str
    intent: str
    """Key of the effect: the same for every retry and re-dispatch."""
    scratch: Path
    """A folder of this run's own; removed when the deployment's data is."""
    deadline_at: datetime = FAR_OFF
    """When the call is given up."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Data sources of the charter with their values for this run."""

    def source(self, name: str) -> str:
        """Give the value of a data source.

        Raises:
            GrantDeniedError: the role may not read this source.
        """
        if name not in self.data:
            raise GrantDeniedError(
                f"role {self.role} may not read data source {name!r}",
                where=f"charter.yaml: roles.{self.role}.data_sources",
                expected=", ".join(sorted(self.data)) or "no source",
                got=name,
            )
        return self.data[name]


@dataclass(frozen=True, kw_only=True)
class Tool(Generic[R_co]):
    """A tool. Calling it directly runs its body (for its own tests); a role calls `ctx.call(tool, …)`."""

    name: str
    risk: Risk
    effect: Effect
    body: Callable[..., object]
    lookup: Callable[..., object] | None
    arguments: type[msgspec.Struct]
    returns: type[R_co]
    doc: str
    wants_intent: bool
    wants_scope: bool

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Run the body here, as a plain function."""
        return self.body(*args, **kwargs)

    def spec(self) -> ToolSpec:
        """Give the tool as the supervisor sees it; the manifest pins name, description and schema."""
        manifest = digest_of([self.name, self.doc, self.risk, self.effect, schema_of(self.arguments)])
        return ToolSpec(name=self.name, risk=self.risk, effect=self.effect, manifest=manifest)


class Declare(Protocol):
    """Makes a tool of a function; the tool's result is the function's."""

    @overload
    def __call__(self, function: Callable[..., Awaitable[R]], /) -> Tool[R]: ...

    @overload
    def __call__(self, function: Callable[..., R], /) -> Tool[R]: ...


def tool(
    *,
    risk: Risk,
    effect: Effect,
    name: str = "",
    lookup: Callable[..., object] | None = None,
) -> Declare:
    """Make a tool of a typed function, sync (it runs in a thread) or async.

    A keyword-only parameter `intent: str` gets the effect's key, `scope: ToolScope` what the call may touch;
    all other parameters are the tool's arguments. `lookup` (for `effect="lookup"`) takes the same parameters
    and gives the result of the effect that already happened, or None.

    Raises:
        ContractInvalidError: no annotations, a name that is no tool's name, or an effect without its lookup.
    """

    def declare(function: Callable[..., object]) -> Tool[object]:
        hints = get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters
        label = name or function.__name__
        _check(label, function, parameters, hints=hints, effect=effect, lookup=lookup)
        return Tool(
            name=label,
            risk=risk,
            effect=effect,
            body=function,
            lookup=lookup,
            arguments=_arguments(label, parameters, hints),
            returns=cast("type[object]", hints["return"]),
            doc=inspect.getdoc(function) or "",
            wants_intent="intent" in parameters,
            wants_scope="scope" in parameters,
        )

    return cast("Declare", declare)


def _check(
    label: str,
    function: Callable[..., object],
    parameters: Mapping[str, inspect.Parameter],
    *,
    hints: Mapping[str, object],
    effect: Effect,
    lookup: Callable[..., object] | None,
) -> None:
    where = f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"
    if not is_tool(label):
        raise ContractInvalidError(
            f"{label!r} is no tool's name", where=where, expected="lower case words joined by dots"
        )
    bare = [name for name in (*parameters, "return") if name not in hints]
    if bare:
        raise ContractInvalidError(f"tool {label} has no type for {', '.join(bare)}", where=where)
    if (effect == "lookup") != (lookup is not None):
        raise ContractInvalidError(
            f"tool {label} has effect {effect!r}" + (" and no lookup" if lookup is None else " and a lookup"),
            where=where,
            expected='lookup=… together with effect="lookup"',
        )
    if effect == "idempotent" and "intent" not in parameters:
        raise ContractInvalidError(
            f"tool {label} is idempotent and takes no key",
            where=where,
            expected="a keyword-only parameter `intent: str`, passed on to the receiver",
        )


def _arguments(
    label: str, parameters: Mapping[str, inspect.Parameter], hints: Mapping[str, object]
) -> type[msgspec.Struct]:
    fields: list[tuple[str, object] | tuple[str, object, object]] = []
    for name, parameter in parameters.items():
        if name in {"intent", "scope"}:
            continue
        if parameter.default is inspect.Parameter.empty:
            fields.append((name, hints[name]))
        else:
            fields.append((name, hints[name], parameter.default))
    title = "".join(part.title() for part in label.replace(".", "_").split("_"))
    return msgspec.defstruct(f"{title}Arguments", fields, frozen=True, kw_only=True, forbid_unknown_fields=True)
