"""Completion criteria that no run could ever pass: unknown nodes, unknown fields, missing keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.check.agreement import near
from remit.check.field import FieldMissingError, type_at
from remit.contracts.errors import CharterInvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remit.check.case import Case
    from remit.contracts.charter import CompletionCheck
    from remit.contracts.errors import RemitError
    from remit.contracts.plan import Node


def unreachable_criteria(case: Case) -> Iterator[RemitError]:
    """Give every criterion that names what is not there."""
    for index, check in enumerate(case.charter.completion):
        if check.check == "state_present" and not check.key:
            yield _missing(case, index, key="key", what="the state key that must be written")
        if check.check == "reply_field":
            for name, what in (("node", "a node of the plan"), ("field", "a field of its reply")):
                if not getattr(check, name):
                    yield _missing(case, index, key=name, what=what)
        if check.node:
            yield from _node(case, index, check)


def _missing(case: Case, index: int, *, key: str, what: str) -> RemitError:
    return CharterInvalidError(
        f"the criterion {case.charter.completion[index].name!r} needs {key}",
        where=case.key("completion", index),
        expected=f"{key}: {what}",
        fix=f"add {key}: …",
    )


def _node(case: Case, index: int, check: CompletionCheck) -> Iterator[RemitError]:
    for workflow, plan in case.plans.items():
        nodes = {node.name: node for node in plan.nodes}
        if check.node in nodes:
            if check.check == "reply_field" and check.field:
                yield from _field(case, index, nodes[check.node])
        elif check.check == "reply_field" or not _is_anywhere(case, check.node):
            yield CharterInvalidError(
                f"workflow {workflow} has no node {check.node}, so its runs can never pass {check.name!r}",
                where=case.key("completion", index, "node"),
                expected=", ".join(nodes),
                got=check.node,
                fix=near(check.node, nodes, otherwise="name a node that every workflow has"),
            )


def _is_anywhere(case: Case, node: str) -> bool:
    return any(item.name == node for plan in case.plans.values() for item in plan.nodes)


def _field(case: Case, index: int, node: Node) -> Iterator[RemitError]:
    check = case.charter.completion[index]
    gives = case.team.roles[node.role].spec().gives
    if node.each:
        yield CharterInvalidError(
            f"node {node.name} runs once per item and has no single reply",
            where=case.key("completion", index, "node"),
            expected="a node without each",
            got=node.name,
        )
        return
    try:
        type_at(gives, check.field)
    except FieldMissingError as error:
        yield CharterInvalidError(
            f"the reply of {node.name} ({gives.__name__}) has no field {check.field}",
            where=case.key("completion", index, "field"),
            expected=", ".join(error.known) or "a field",
            got=error.part,
            fix=near(error.part, error.known, otherwise=f"name a field of {gives.__name__}"),
        )
