"""A team as data: its build names what its roles take, give and use."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remit.contracts.errors import NotFoundError
from remit.contracts.message import Message
from remit.contracts.plan import Node, PlanSpec
from remit.contracts.team import RoleSpec, ToolSpec
from tests.teams import ROLES, WORKFLOWS, Order, Sheet, charter, shop


class OtherOrder(Message, frozen=True, kw_only=True, tag="shop.order.v1"):
    customer: str
    address: str = ""


def test_the_same_team_has_the_same_build_whatever_the_order() -> None:
    turned = dict(reversed(ROLES.items()))

    assert shop().build == shop(roles=turned, workflows=dict(reversed(WORKFLOWS.items()))).build


def test_a_build_changes_with_every_contract_plan_and_tool() -> None:
    clerk = RoleSpec(name="clerk", takes=OtherOrder, gives=Sheet)
    mail = ToolSpec(name="mail.send", risk="low", effect="pure", manifest="sha256:1")
    plain = shop()
    builds = {
        plain.build,
        shop(roles={**ROLES, "clerk": clerk}).build,
        shop(workflows={**WORKFLOWS, "order": PlanSpec(nodes=(Node(name="order", role="clerk"),), window=2)}).build,
        replace(plain, tools={"mail.send": mail}, build="").build,
        replace(plain, tools={"mail.send": replace(mail, manifest="sha256:2")}, build="").build,
    }

    assert len(builds) == 5


def test_the_sizes_of_pools_are_not_part_of_the_build() -> None:
    roles = {name: replace(role, pool=7, isolated=True) for name, role in ROLES.items()}

    assert shop(roles=roles).build == shop().build


def test_the_charter_and_the_code_are_part_of_the_build() -> None:
    other = shop(charter(completion=charter().completion * 2))

    assert other.charter_digest != shop().charter_digest
    assert len({other.build, shop().build, replace(shop(), code="sha256:1", build="").build}) == 3


def test_a_team_names_its_roles() -> None:
    assert shop().role("clerk").takes is Order
    with pytest.raises(NotFoundError) as caught:
        shop().role("cook")
    assert caught.value.expected == "auditor, clerk, judge, packer, shipper"


def test_a_workflow_takes_what_its_first_nodes_take() -> None:
    assert {shop().takes(name) for name in WORKFLOWS} == {Order}
