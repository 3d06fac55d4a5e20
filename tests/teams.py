"""A team of a shop, as the supervisor sees it: roles that pack orders, and plans of every shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from remit.contracts import policy
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
from remit.contracts.document import MOST_BYTES, StateContract
from remit.contracts.message import Message
from remit.contracts.plan import Condition, Node, PlanSpec
from remit.contracts.proposal import StateConflict, StateRef, StateRuling
from remit.contracts.team import RoleSpec, TeamSpec

if TYPE_CHECKING:
    from collections.abc import Mapping


JUDGED_WITHIN_S = 1.0


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
    seen: StateRef | None = None


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


class Note(Message, frozen=True, kw_only=True, tag="shop.note.v1"):
    """A document with a field under every kind of policy."""

    text: str = ""
    risk: Annotated[int, policy.maximum()] = 0
    tags: Annotated[tuple[str, ...], policy.union()] = ()
    seen: Annotated[int, policy.counter()] = 0
    word: Annotated[str, policy.owner("auditor")] = ""
    verdict: Annotated[str, policy.arbitrate("judge", within_s=JUDGED_WITHIN_S, otherwise=policy.escalate())] = ""
    ruling: Annotated[str, policy.arbitrate("judge", within_s=JUDGED_WITHIN_S)] = ""
    price: Annotated[int, policy.escalate()] = 0
    secret: Annotated[str, policy.writers("auditor")] = ""
    broken: Annotated[int, policy.custom("broken", lambda *_sides: 1 // 0)] = 0


ROLES = {
    role.name: role
    for role in (
        RoleSpec(name="clerk", takes=Order, gives=Sheet),
        RoleSpec(name="packer", takes=Line, gives=Packed),
        RoleSpec(name="auditor", takes=Sheet, gives=Check),
        RoleSpec(name="shipper", takes=Shipment, gives=Receipt),
        RoleSpec(name="judge", takes=StateConflict, gives=StateRuling),
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
    "fresh": PlanSpec(
        nodes=(SHEET, Node(name="check", role="auditor", after=("sheet",), fresh="require_fresh")), window=3
    ),
    "warned": PlanSpec(nodes=(SHEET, Node(name="check", role="auditor", after=("sheet",), fresh="warn")), window=3),
    "fan": PlanSpec(nodes=(SHEET, PACK, Node(name="ship", role="shipper", after=("sheet", "pack"))), window=3),
    "gate": PlanSpec(nodes=(SHEET, PACK, CHECK, SHIP)),
}
STATE: tuple[StateContract[object], ...] = (
    StateContract(template="seen.{what}", kind=tuple[object, ...], policy=policy.union(by="id")),
    StateContract(template="top.{what}", kind=int, policy=policy.maximum()),
    StateContract(template="once.{what}", kind=str, policy=policy.write_once()),
    StateContract(template="note", kind=object),
    StateContract(template="b.{what}", kind=int),
    StateContract(template="a", kind=int),
    StateContract(template="shared.{what}", kind=str, scope="team"),
    StateContract(template="board", kind=Note, scope="team"),
    StateContract(template="boards.{name}", kind=Note, scope="team"),
    StateContract(template="of.{what}", kind=int, scope="workflow"),
    StateContract(template="doc.{what}", kind=Note),
    StateContract(template="large", kind=str, limit_bytes=MOST_BYTES),
    StateContract(template="essay", kind=str, policy=policy.escalate(), scope="team"),
    StateContract(template="last.{name}", kind=str, policy=policy.last_writer()),
    StateContract(template="audited", kind=int, writers=("auditor",)),
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
