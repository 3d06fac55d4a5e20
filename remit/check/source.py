"""Data sources are taken from fields that every task has, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.check.agreement import near
from remit.check.field import FieldMissingError, type_at
from remit.contracts.errors import CharterInvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remit.check.case import Case
    from remit.contracts.charter import DataSource
    from remit.contracts.errors import RemitError


def source_mistakes(case: Case) -> Iterator[RemitError]:
    """Give every data source that would be empty when a role reads it."""
    for name, source in case.charter.data_sources.items():
        if bool(source.from_input) == bool(source.value):
            yield CharterInvalidError(
                f"data source {name} needs either from_input or value",
                where=case.key("data_sources", name),
                expected="exactly one of from_input and value",
                got="both" if source.value else "none",
            )
        elif source.from_input:
            yield from _from_input(case, name, source)


def _from_input(case: Case, name: str, source: DataSource) -> Iterator[RemitError]:
    where = case.key("data_sources", name, "from_input")
    for workflow in case.team.workflows:
        if not _is_read(case, workflow, name):
            continue
        takes = _takes(case, workflow)
        try:
            kind = type_at(takes, source.from_input)
        except FieldMissingError as error:
            yield CharterInvalidError(
                f"the input of workflow {workflow} ({takes.__name__}) has no field {source.from_input}",
                where=where,
                expected=", ".join(error.known) or "a field",
                got=error.part,
                fix=near(error.part, error.known, otherwise=f"add {error.part}: str to {takes.__name__}"),
            )
            continue
        if kind is not str:
            shown = getattr(kind, "__name__", str(kind))
            yield CharterInvalidError(
                f"a data source is text, and {takes.__name__}.{source.from_input} is not",
                where=where,
                expected="str",
                got=shown,
            )


def _is_read(case: Case, workflow: str, source: str) -> bool:
    roles = (case.charter.roles.get(name) for name in case.roles_of(workflow))
    return any(role is not None and source in role.data_sources for role in roles)


def _takes(case: Case, workflow: str) -> type:
    nodes = case.plans[workflow].nodes
    first = next(node for node in nodes if not node.each and node.after == ("task",))
    return case.team.roles[first.role].spec().takes
