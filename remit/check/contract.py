"""Roles name contracts, tags are unique, and every plan holds together along its edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.contracts.errors import ContractInvalidError, RemitError, TeamInvalidError
from remit.contracts.ids import is_name
from remit.contracts.message import tag_of
from remit.supervisor import plan as plans
from remit.supervisor import plan_bounds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remit.check.case import Case
    from remit.contracts.message import Message
    from remit.contracts.team import RoleSpec


def contract_mistakes(case: Case) -> list[RemitError]:
    """Give what is wrong in the team alone."""
    roles, found = _roles(case)
    found += _names(case)
    found += _tags(case, roles)
    if len(roles) == len(case.team.roles):  # a plan over a broken role would say the same thing once more
        found += _plans(case, roles)
    return found


def _roles(case: Case) -> tuple[dict[str, RoleSpec], list[RemitError]]:
    roles: dict[str, RoleSpec] = {}
    found: list[RemitError] = []
    for name, kind in case.team.roles.items():
        try:
            roles[name] = kind.spec()
        except ContractInvalidError as error:
            error.where = case.role(name)
            found.append(error)
    return roles, found


def _names(case: Case) -> Iterator[RemitError]:
    if not case.team.workflows:
        yield TeamInvalidError("the team has no workflow, so no task can reach it", where=case.workflow(""))
    for name in case.team.workflows:
        if not is_name(name):
            yield TeamInvalidError(
                f"{name!r} cannot name a workflow",
                where=case.workflow(name),
                expected="lower case letters, digits and '_'",
                got=name,
            )


def _tags(case: Case, roles: dict[str, RoleSpec]) -> Iterator[RemitError]:
    seen: dict[str, type[Message]] = {}
    for name, role in roles.items():
        for kind in (role.takes, role.gives):
            other = seen.setdefault(tag_of(kind), kind)
            if other is not kind:
                yield ContractInvalidError(
                    f"two messages have the tag {tag_of(kind)}",
                    where=case.role(name),
                    expected="one tag per message",
                    got=f"{other.__name__} and {kind.__name__}",
                )


def _plans(case: Case, roles: dict[str, RoleSpec]) -> Iterator[RemitError]:
    for name, plan in case.plans.items():
        try:
            plans.check(name, plan, roles)
            if all(node.role in case.charter.roles for node in plan.nodes):  # else the charter is wrong, and says so
                plan_bounds.check(name, plan, roles=roles, charter=case.charter)
        except RemitError as error:
            error.message = f"{error.message} ({error.where})"
            error.where = case.workflow(name)
            yield error
