"""A team of a shop, as the supervisor sees it: roles that pack orders, and plans of every shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.contracts.charter import (
    Charter,
    CompletionCheck,
    DataSource,
    ReviewPath,
    RoleCharter,
    RoleLimits,
    Rollback,
    RunLimits,
)
from remit.contracts.message import Message
from remit.contracts.plan import Condition, Node, PlanSpec
from remit.contracts.proposal import StateField
from remit.contracts.team import RoleSpec, TeamSpec

if TYPE_CHECKING:
    from collections.abc import Mapping


class Line(Message, frozen=True, kw_only=True, tag="shop.line.v1"):
    name: str
    count: int = 1


class Order(Message, frozen=True, kw_only=True, tag="shop.order.v1"):
    customer: str
    lines: tuple[Line, ...] = ()


class Sheet(Message, frozen=True, kw_only=True, tag="shop.sheet.v1"):
    lines: tuple[Line, ...] = ()
    urgent: bool = False
    total: int = 0


class Packed(Message, frozen=True, kw_only=True, tag="shop.packed.v1"):
    name: str
    weight: int = 0


class Check(Message, frozen=True, kw_only=True, tag="shop.check.v1"):
    ok: bool


class Shipment(Message, frozen=True, kw_only=True, tag="shop.shipment.v1"):
    """What the shipper takes: the replies of the nodes that are called like its fields."""

    sheet: Sheet
    pack: tuple[Packed, ...] = ()
    check: Check | None = None


class Receipt(Message, frozen=True, kw_only=True, tag="shop.receipt.v1"):
    number: int


ROLES = {
    role.name: role
    for role in (
        RoleSpec(name="clerk", takes=Order, gives=Sheet),
        RoleSpec(name="packer", takes=Line, gives=Packed),
        RoleSpec(name="auditor", takes=Sheet, gives=Check),
        RoleSpec(name="shipper", takes=Shipment, gives=Receipt),
    )
}
SHEET = Node(name="sheet", role="clerk")
PACK = Node(name="pack", role="packer", after=("sheet",), each="lines")
URGENT = Condition(node="sheet", path="urgent", operator="eq", value=True)
CHECK = Node(name="check", role="auditor", after=("sheet",), when=(URGENT,))
SHIP = Node(name="ship", role="shipper", after=("sheet", "pack", "check"))

WORKFLOWS = {
    "order": PlanSpec(nodes=(Node(name="order", role="clerk"),)),
    "chain": PlanSpec(nodes=(SHEET, Node(name="check", role="auditor", after=("sheet",)))),
    "fan": PlanSpec(nodes=(SHEET, PACK, Node(name="ship", role="shipper", after=("sheet", "pack"))), window=3),
    "gate": PlanSpec(nodes=(SHEET, PACK, CHECK, SHIP)),
}
STATE = (
    StateField(prefix="seen.", rule="union", by="id"),
    StateField(prefix="top.", rule="max"),
    StateField(prefix="once.", rule="write_once"),
)
DONE = CompletionCheck(name="every step is done", check="steps_completed")


def charter(
    *,
    completion: tuple[CompletionCheck, ...] = (DONE,),
    limits: RunLimits | None = None,
    step: RoleLimits | None = None,
) -> Charter:
    """Give a charter under which the clerk may ask the packer, who may ask the auditor."""
    step = step or RoleLimits(attempts=2)
    asks = {"clerk": ("packer",), "packer": ("auditor", "packer")}
    return Charter(
        charter=1,
        team="shop",
        owner="shop@example.org",
        purpose="Pack what was ordered.",
        roles={
            name: RoleCharter(tools=(), asks=asks.get(name, ()), data_sources=("customer", "house"), limits=step)
            for name in ROLES
        },
        tools={},
        data_sources={
            "customer": DataSource(from_input="customer", description="who ordered"),
            "house": DataSource(value="number 7", description="where it is packed"),
        },
        limits=limits or RunLimits(wall_clock_s=60.0, steps=100),
        completion=completion,
        review_path=ReviewPath(reviewers=("shop",)),
        rollback=Rollback(procedure="unpack", tested=True),
    )


def shop(
    rules: Charter | None = None,
    *,
    workflows: Mapping[str, PlanSpec] = WORKFLOWS,
    roles: Mapping[str, RoleSpec] = ROLES,
) -> TeamSpec:
    """Give the team."""
    return TeamSpec(name="shop", roles=roles, workflows=workflows, tools={}, state=STATE, charter=rules or charter())
