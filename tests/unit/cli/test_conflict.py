"""A conflict before a person: both sides, what a decision does, and what no option decides in the person's place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from remit.cli import audit, outcome, preview
from remit.contracts.message import digest_of, raw
from remit.contracts.proposal import DisputedField, ProposeState, StateChange, StateConflict, StateSide
from remit.contracts.review import ReviewOpened
from remit.history import History

if TYPE_CHECKING:
    from remit.contracts.review import ReviewKind

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


def side(role: str, position: str, value: object) -> StateSide:
    return StateSide(role=role, agent=f"{role}-1", run_id="r1", step="order", position=position, value=value)


PRICE = DisputedField(
    scope="team",
    key="board",
    path="/price",
    base=1,
    current=3,
    proposed_is_missing=True,
    sides=(side("packer", "0", 3), side("clerk", "1", None)),
    rungs=("arbitrate",),
)


def conflict(*fields: DisputedField) -> StateConflict:
    change = StateChange(key="board", value=raw({}))
    proposal = ProposeState(run_id="r1", step="order", epoch=1, position="1", changes=(change,))
    return StateConflict(dispute="r1.order.1", fields=fields, proposal=proposal, agent="clerk-1")


def opened(kind: ReviewKind, body: object) -> ReviewOpened:
    return ReviewOpened(
        review_id="r1-v2",
        run_id="r1",
        step="order",
        position="1",
        kind=kind,
        title="which side of board/price stands?",
        subject=digest_of(msgspec.json.decode(raw(body))),
        body=raw(body),
        role="clerk",
        goal_hash="sha256:g",
        opened_at=NOW,
    )


def test_a_conflict_is_shown_with_its_sides_and_their_roles() -> None:
    assert preview.headline(opened("conflict", conflict(PRICE))).splitlines() == [
        "which side of board/price stands?",
        "  board /price, scope team",
        "    base      1",
        "    current   3  by packer",
        "    proposed  missing  by clerk (clerk-1, step order)",
        "    tried     arbitrate",
        "  approve: what is proposed stands",
        "  approve --value JSON: this value stands",
        "  reject: what is current stays",
    ]


def test_a_conflict_over_several_fields_takes_no_value() -> None:
    both = conflict(PRICE, msgspec.structs.replace(PRICE, path="/text"))

    assert not any("--value" in line for line in preview.sides(both))
    assert not any("--value" in way for way in outcome.ways(opened("conflict", both), ""))
    assert "remit review approve r1-v2 --value JSON" in outcome.ways(opened("conflict", conflict(PRICE)), "")


def test_why_a_person_is_asked_is_said_for_every_kind() -> None:
    said = [preview.why(opened(kind, {}), History("r1")).splitlines()[1] for kind in preview.REASONS]

    assert len(set(said)) == 4
    assert said[-1].startswith("two proposals changed the same field")


def test_yes_decides_no_conflict_and_no_doubt() -> None:
    decided = [kind for kind in preview.REASONS if audit.by_yes(opened(kind, {})) is not None]

    assert decided == ["action", "question"]
