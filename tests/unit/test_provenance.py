"""Where a field comes from, what differs between documents, and how often changes met: folded from versions alone."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from remit.cards import Meetings, cards
from remit.contracts.policy import MISSING
from remit.contracts.proposal import StateCommitted, StateDecision, StateSide
from remit.provenance import Difference, Lineage, author_of, differences, leaves, restored

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


def version(number: int, *changed: str, role: str = "clerk", **more: object) -> StateCommitted:
    made = StateCommitted(
        scope="r1",
        key="k",
        version=number,
        hash=f"sha256:{number}",
        run_id="r1",
        step=f"step{number}",
        epoch=1,
        position="0",
        agent=f"{role}-1",
        role=role,
        rule="write",
        base_version=number - 1,
        changed=changed,
        committed_at=NOW,
    )
    return msgspec.structs.replace(made, **more)


def conflict(
    *sides: tuple[str, int], base: int = 0, rule: str = "max", by: str = "", path: str = "/a"
) -> StateDecision:
    return StateDecision(
        path=path,
        rule=rule,
        base=base,
        sides=tuple(
            StateSide(role=role, agent=f"{role}-1", run_id="r1", step=role, position="0", value=value)
            for role, value in sides
        ),
        result=max(value for _role, value in sides),
        by=by,
    )


def setters(lineage: Lineage, document: object, path: str = "") -> dict[str, int]:
    return {origin.path: origin.version.version for origin in lineage.origins(document, path)}


def test_a_field_is_set_by_the_newest_version_that_changed_it_or_what_it_stands_in() -> None:
    lineage = Lineage([version(1, ""), version(2, "/b/c"), version(3, "/b"), version(4, "/d~1e")])

    assert setters(lineage, {"a": 1, "b": {"c": 2, "f": 3}, "d/e": 4}) == {"/a": 1, "/b/c": 3, "/b/f": 3, "/d~1e": 4}


def test_a_field_whose_parts_were_taken_out_is_set_by_whoever_did_that() -> None:
    assert setters(Lineage([version(1, "/a"), version(2, "/a/b")]), {"a": {}}) == {"/a": 2}


def test_a_version_that_changed_nothing_set_nothing() -> None:
    assert setters(Lineage([version(1, "/a"), version(2)]), {"a": 1}) == {"/a": 1}


def test_whoever_made_the_document_set_what_was_left_at_its_default() -> None:
    gone = version(2, "", deleted=True, role="", agent="ann", step="rollback", rule="rollback")
    first, again = [version(1, "/a"), version(2, "/b")], [version(1, "/a"), gone, version(3, "/b"), version(4, "/b")]

    assert setters(Lineage(first), {"a": 1, "b": 2, "c": 0}) == {"/a": 1, "/b": 2, "/c": 1}
    assert setters(Lineage(again), {"a": 1, "b": 2}) == {"/a": 3, "/b": 4}


def test_a_document_that_is_one_value_has_one_origin() -> None:
    lineage = Lineage([version(1, ""), version(2, "", role="critic")])

    (only,) = lineage.origins(7)

    assert (only.path, only.value, only.by.role) == ("", 7, "critic")


def test_what_a_field_replaced_is_told_with_the_author_of_that() -> None:
    lineage = Lineage([version(1, "/a", "/b"), version(2, "/b"), version(3, "/a", role="critic")])
    (origin,) = lineage.origins({"a": 2, "b": 1}, "/a")

    replaced = lineage.replaced(origin, {"a": 1, "b": 1}).replaced

    assert replaced is not None
    assert (replaced.value, replaced.version, str(replaced.by)) == (1, 1, "clerk (clerk-1)")


def test_a_field_that_was_not_there_before_replaced_what_is_missing() -> None:
    lineage = Lineage([version(1, "/b"), version(2, "/a")])
    (origin,) = lineage.origins({"a": None, "b": 1}, "/a")

    assert lineage.replaced(origin, {"b": 1}).replaced == (MISSING, 1, None)


def test_whoever_decides_for_what_stands_answers_for_it() -> None:
    kept = version(
        2, "/b", role="critic", decisions=(conflict(("clerk", 3), ("critic", 1), rule="escalate", by="ann"),)
    )
    lineage = Lineage([version(1, "/a", "/b"), kept])

    (origin,) = lineage.origins({"a": 3, "b": 1}, "/a")

    assert (origin.version.version, origin.rule, str(origin.by)) == (1, "escalate", "ann (person)")
    assert origin.ruled is not None
    assert origin.ruled.version is kept


def test_a_later_write_ends_what_a_decision_said() -> None:
    decided = version(2, "/a", decisions=(conflict(("clerk", 3), ("critic", 1), rule="escalate", by="ann"),))

    (origin,) = Lineage([version(1, "/a"), decided, version(3, "/a")]).origins({"a": 9})

    assert (origin.version.version, origin.rule, origin.by.kind, origin.ruled) == (3, "write", "role", None)


def test_a_field_beside_a_conflict_has_the_rule_of_its_own_write() -> None:
    decided = version(3, "/a", "/b", base_version=1, rule="max", decisions=(conflict(("clerk", 3), ("critic", 1)),))

    origins = Lineage([version(1, "/a", "/b"), version(2, "/a"), decided]).origins({"a": 3, "b": 2})

    assert [(item.path, item.rule) for item in origins] == [("/a", "max"), ("/b", "disjoint")]


def test_of_a_list_what_a_person_decided_inside_outweighs_its_rule() -> None:
    inside = conflict(("clerk", 1), ("critic", 2), rule="escalate", by="ann", path="/tags/x/level")
    decided = version(2, "/tags", decisions=(conflict(("clerk", 1), ("critic", 2), rule="union", path="/tags"), inside))

    (origin,) = Lineage([version(1, "/tags"), decided]).origins({"tags": [1, 2]})

    assert (origin.rule, origin.by.name) == ("escalate", "ann")


@pytest.mark.parametrize("rule", ["rollback", "set"])
def test_an_operator_is_no_role(rule: str) -> None:
    author = author_of(version(2, "", role="", agent="ann", step=rule, rule=rule))

    assert (author.kind, author.name, author.role) == ("operator", "ann", "")


def test_the_tag_of_a_message_is_no_field_and_a_field_called_type_is() -> None:
    assert list(leaves({"type": "shop.note.v1", "a": {"type": "hat", "b": []}})) == ["/a/b", "/a/type"]


def test_what_is_missing_differs_from_null_and_a_list_is_one_value() -> None:
    old = {"a": None, "b": [1, 2], "c": {"d": 1, "e": 2}, "f": 1}
    new = {"b": [1, 3], "c": {"d": 1, "e": 3}, "f": 1.0, "g": None}

    assert list(differences(old, new)) == [
        Difference("/a", None, MISSING),
        Difference("/b", [1, 2], [1, 3]),
        Difference("/c/e", 2, 3),
        Difference("/f", 1, 1.0),
        Difference("/g", MISSING, None),
    ]


def test_a_rollback_is_as_the_newest_older_version_with_its_content() -> None:
    found = [version(1, hash="x"), version(2, hash="y"), version(3, hash="x"), version(4, hash="x", rule="rollback")]

    assert restored(found[-1], found) == 3
    assert restored(version(5, deleted=True, hash="x"), found) == 0


# --- conflicts -----------------------------------------------------------------------------------


def two_then_three() -> list[StateCommitted]:
    """The second of three who wrote from one base met one other, and the third two."""
    return [
        version(1, "/a"),
        version(2, "/a", decisions=(conflict(("clerk", 1), ("critic", 2)),)),
        version(3, "/a", decisions=(conflict(("clerk", 1), ("critic", 2), ("editor", 3)),)),
    ]


def test_all_who_wrote_from_one_base_are_on_one_card() -> None:
    later = version(4, "/a", decisions=(conflict(("clerk", 8), ("critic", 9), base=3),))

    found = cards([*two_then_three(), later])

    assert [(item.version, [side.role for side in item.decision.sides]) for item in found] == [
        (3, ["clerk", "critic", "editor"]),
        (4, ["clerk", "critic"]),
    ]


def test_a_side_that_only_an_earlier_decision_tells_is_on_the_card_and_not_counted_as_left_out() -> None:
    late = msgspec.structs.replace(conflict(("critic", 2), ("editor", 3)), sides_omitted=1)

    (only,) = cards([*two_then_three()[:2], version(3, "/a", decisions=(late,))])

    assert [side.role for side in only.decision.sides] == ["clerk", "critic", "editor"]
    assert only.decision.sides_omitted == 0


def test_changes_that_met_are_counted_once_however_often_they_are_looked_at() -> None:
    meetings, versions = Meetings(), two_then_three()

    for count in (2, 3, 3):
        meetings.take(versions[:count])

    assert meetings.by_rule == {"max": 2}
