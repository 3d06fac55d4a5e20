"""Plans are checked before anything runs, and messages are made of what came before."""

from __future__ import annotations

import json

import pytest

from remit.contracts.errors import ConflictError, PlanInvalidError
from remit.contracts.message import Message, raw
from remit.contracts.plan import TASK, Condition, Node, Operator, PlannedNode, PlanSpec
from remit.contracts.team import RoleSpec
from remit.supervisor.plan import body_of, check, compare, field_at, holds
from tests.teams import CHECK, PACK, ROLES, SHEET, SHIP, URGENT, WORKFLOWS, Check, Packed, Receipt, Sheet
from tests.unit.supervisor.run import completed, started


class Strict(Message, frozen=True, kw_only=True, tag="shop.strict.v1"):
    sheet: Sheet
    check: Check
    number: int


class Summary(Message, frozen=True, kw_only=True, tag="shop.summary.v1"):
    sheet: Sheet
    check: Check


MORE = {
    **ROLES,
    "strict": RoleSpec(name="strict", takes=Strict, gives=Receipt),
    "summarizer": RoleSpec(name="summarizer", takes=Summary, gives=Receipt),
}


def refusal(*nodes: Node, window: int = 32) -> PlanInvalidError:
    with pytest.raises(PlanInvalidError) as caught:
        check("odd", PlanSpec(nodes=nodes, window=window), MORE)
    return caught.value


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_plan_in_order_is_accepted(name: str) -> None:
    check(name, WORKFLOWS[name], ROLES)


@pytest.mark.parametrize(
    ("nodes", "what"),
    [
        ((), "no nodes"),
        ((Node(name="a", role="cook"),), "unknown role"),
        ((Node(name="task", role="clerk"),), "cannot name a node"),
        ((Node(name="a-b", role="clerk"),), "cannot name a node"),
        ((SHEET, SHEET), "cannot name a node"),
        ((SHEET, Node(name="check", role="auditor", after=("shet",))), "does not exist"),
        ((Node(name="a", role="auditor", after=("b",)), Node(name="b", role="auditor", after=("a",))), "cycle"),
        ((SHEET, Node(name="b", role="clerk", after=("b",))), "cycle"),
        ((SHEET, Node(name="b", role="packer")), "must take one type"),
        ((SHEET, Node(name="b", role="packer", after=("sheet",))), "does not fit along this edge"),
        ((SHEET, Node(name="b", role="packer", after=("sheet",), each="rows")), "no field to fan out over"),
        ((SHEET, Node(name="b", role="packer", after=("sheet",), each="total")), "no field to fan out over"),
        ((SHEET, Node(name="b", role="auditor", after=("sheet",), each="lines")), "does not fit along this edge"),
        ((SHEET, PACK, Node(name="b", role="packer", after=("pack",), each="lines")), "`each` needs exactly one"),
        (
            (SHEET, PACK, Node(name="b", role="packer", after=("sheet", "pack"), each="lines")),
            "`each` needs exactly one",
        ),
        ((SHEET, PACK, Node(name="ship", role="shipper", after=("pack",))), "nothing gives Shipment its field sheet"),
        ((SHEET, PACK, Node(name="b", role="auditor", after=("sheet", "pack"))), "does not take the reply of sheet"),
        (
            (SHEET, CHECK, Node(name="b", role="strict", after=("sheet", "check"))),
            "nothing gives Strict its field number",
        ),
        ((SHEET, CHECK, Node(name="b", role="summarizer", after=("sheet", "check"))), "may be skipped"),
    ],
)
def test_a_plan_with_a_mistake_is_refused(nodes: tuple[Node, ...], what: str) -> None:
    error = refusal(*nodes)

    assert what in error.message
    assert error.where.startswith("workflows.odd")


def test_a_window_lets_something_through() -> None:
    assert refusal(SHEET, window=0).expected == ">= 1"


@pytest.mark.parametrize(
    ("node", "path", "what"),
    [
        ("sheet", "hurry", "no field hurry"),
        ("sheet", "total.sum", "no field total.sum"),
        ("task", "hurry", "no field hurry"),
        ("pack", "weight", "it is fanned out"),
        ("nobody", "x", "does not exist"),
    ],
)
def test_a_condition_names_a_field_that_is_there_once(node: str, path: str, what: str) -> None:
    late = Node(name="late", role="auditor", after=("sheet",), when=(Condition(node=node, path=path, operator="eq"),))

    assert what in refusal(SHEET, PACK, late).message


def test_a_condition_may_look_at_the_task() -> None:
    late = Condition(node=TASK, path="customer", operator="eq", value="ann")

    check("odd", PlanSpec(nodes=(SHEET, Node(name="late", role="auditor", after=("sheet",), when=(late,)))), ROLES)


# --- messages ---------------------------------------------------------------------------------------


def test_one_edge_passes_a_reply_on_as_it_is() -> None:
    run = completed(started("gate"), sheet=Sheet(total=3))

    assert json.loads(body_of(run, CHECK, 0))["total"] == 3
    assert json.loads(body_of(run, SHEET, 0)) == {"customer": "ann"}


def test_a_shard_gets_its_item() -> None:
    run = completed(started("gate"), sheet={"lines": [{"name": "tea"}, {"name": "milk", "more": 1}]})
    completed(run, pack=[Packed(name="tea"), Packed(name="milk")])

    assert [json.loads(body_of(run, PACK, index)) for index in (0, 1)] == [{"name": "tea"}, {"name": "milk", "more": 1}]
    with pytest.raises(ConflictError):
        body_of(run, PACK, 2)


def test_a_join_has_a_field_for_each_node_before_it_and_none_for_a_skipped_one() -> None:
    run = completed(started("gate"), sheet=Sheet(total=3))
    completed(run, pack=[Packed(name="tea"), Packed(name="milk")])
    taken = completed(run, check=Check(ok=True))

    body = json.loads(body_of(taken, SHIP, 0))
    taken.nodes["check"].skipped = "it was not urgent"
    without = json.loads(body_of(taken, SHIP, 0))

    assert (body["sheet"]["total"], [item["name"] for item in body["pack"]], body["check"]["ok"]) == (
        3,
        ["tea", "milk"],
        True,
    )
    assert set(without) == {"sheet", "pack"}


def test_a_join_may_hold_the_task() -> None:
    run = completed(started("gate"), sheet=Sheet())

    assert json.loads(body_of(run, Node(name="x", role="x", after=(TASK, "sheet")), 0))["task"] == {"customer": "ann"}


# --- conditions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "operator", "wanted", "is_so"),
    [
        (1, "eq", 1, True), (1, "eq", 1.0, True), (1, "eq", True, False), (True, "eq", True, True),
        (0, "eq", False, False), ("a", "eq", "a", True), (None, "eq", None, True), ("1", "eq", 1, False),
        (1, "ne", 2, True), (None, "ne", True, True), (1, "ne", True, True),
        (2, "gt", 1, True), (1, "gt", 1, False), (1, "ge", 1, True), (0.5, "lt", 1, True), (1, "le", 1, True),
        ("b", "gt", "a", False), (None, "lt", 1, False), ([1], "gt", 0, False),
        ([], "not_empty", None, False), ([0], "not_empty", None, True), ("", "not_empty", None, False),
        (0, "not_empty", None, False), (None, "not_empty", None, False), ({"a": 1}, "not_empty", None, True),
    ],
)  # fmt: skip
def test_values_compare_as_json(value: object, operator: Operator, wanted: object, is_so: bool) -> None:  # noqa: FBT001  # drawn
    assert compare(value, operator, wanted) is is_so


def test_a_condition_on_a_skipped_node_is_false() -> None:
    run = completed(started("gate"), sheet=Sheet(urgent=True))
    is_urgent = holds(run, URGENT)
    run.nodes["sheet"].skipped = "never mind"

    assert is_urgent
    assert not holds(run, URGENT)
    assert holds(run, Condition(node=TASK, path="customer", operator="eq", value="ann"))


@pytest.mark.parametrize(
    ("path", "value"),
    [("a.b", 7), ("a", {"b": 7}), ("a.b.c", None), ("x", None), ("x.y", None), ("list", [1]), ("list.0", None)],
)
def test_a_field_that_is_not_there_is_nothing(path: str, value: object) -> None:
    assert field_at(raw({"a": {"b": 7}, "list": [1]}), path) == value


def test_a_message_that_cannot_be_read_has_no_fields() -> None:
    for text in (b"null", b"[1]", b'{"a": 1e999}', b'"\xff"', b""):
        assert field_at(type(raw(0))(text), "a") is None


def test_planned_nodes_have_defaults_for_the_plain_case() -> None:
    assert PlannedNode(node="a") == PlannedNode(node="a", width=1, fanned=False, skipped="")
