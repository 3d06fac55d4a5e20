"""What is asked about a dispute, of a role or of a person, and what was answered; read from a run's lane. Pure."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from remit.bus import subject
from remit.contracts.message import decode, digest_of, raw
from remit.contracts.policy import MISSING
from remit.contracts.proposal import DisputedField, StateConflict, StateRuling
from remit.contracts.review import ReviewOpened
from remit.supervisor.dispatch import Append
from remit.supervisor.explanation import sides_of
from remit.supervisor.merge import Ruling
from remit.supervisor.retry import may_retry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from remit.contracts.team import TeamSpec
    from remit.supervisor.change import Contested, Merged
    from remit.supervisor.merge import Open
    from remit.supervisor.run_state import ReviewState, RunState, StepState

PERSON = "a person"
Field = tuple[str, str]
"""Key and path."""


class Question(NamedTuple):
    """Fields of a dispute, put to somebody."""

    conflict: StateConflict
    whom: str
    """The role, or `a person`."""
    status: Literal["open", "answered", "lost"]
    rulings: Mapping[Field, Ruling]

    @property
    def fields(self) -> set[Field]:
        """What it is about."""
        return {(item.key, item.path) for item in self.conflict.fields}


def questions(team: TeamSpec, run: RunState, dispute: str) -> list[Question]:
    """Give all questions of a dispute, those to roles first, each in the order in which they were asked."""
    asked = [_of_role(team, run.steps[name]) for name in run.conflict_steps.get(dispute, ())]
    return asked + [_of_person(run.reviews[name]) for name in run.conflict_reviews.get(dispute, ())]


def is_answered(team: TeamSpec, run: RunState, dispute: str) -> bool:
    """Say whether everybody who was asked about a dispute has said something, or will say nothing more."""
    steps = [run.steps[name] for name in run.conflict_steps.get(dispute, ())]
    reviews = [run.reviews[name] for name in run.conflict_reviews.get(dispute, ())]
    if not steps and not reviews:
        return False
    said = all(step.status == "completed" or is_lost(team, step) for step in steps)
    return said and all(review.decided is not None for review in reviews)


def is_lost(team: TeamSpec, step: StepState) -> bool:
    """Say whether a role that was asked gives no answer any more."""
    return step.status == "failed" and not may_retry(team, step)


def rulings_of(asked: Iterable[Question]) -> dict[str, dict[str, Ruling]]:
    """Give all that was answered, by key and path."""
    found: dict[str, dict[str, Ruling]] = defaultdict(dict)
    for question in asked:
        for (key, path), ruling in question.rulings.items():
            found[key][path] = ruling
    return found


def failures_of(asked: Iterable[Question]) -> dict[str, dict[str, int]]:
    """Count the roles that gave no answer, by key and path."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for question in asked:
        if question.status == "lost":
            for key, path in question.fields:
                found[key][path] += 1
    return found


def conflicts_of(contested: Contested) -> Iterator[tuple[Open, StateConflict]]:
    """Give what is to be asked: the fields of one policy in one question, with an example of them."""
    groups: dict[object, list[tuple[Merged, Open]]] = {}
    for item, opened in contested.items:
        groups.setdefault(opened.policy, []).append((item, opened))
    for members in groups.values():
        fields = tuple(_field(item, opened, contested) for item, opened in members)
        yield (
            members[0][1],
            StateConflict(
                dispute=contested.dispute,
                fields=fields,
                proposal=contested.proposal,
                agent=contested.author.agent,
            ),
        )


def review_of(run: RunState, conflict: StateConflict) -> Append:
    """Give the entry that asks a person."""
    number, proposal, body = run.number + 1, conflict.proposal, raw(conflict)
    first = conflict.fields[0]
    more = f" and {len(conflict.fields) - 1} more" if len(conflict.fields) > 1 else ""
    entry = ReviewOpened(
        review_id=f"{run.run_id}-v{number}",
        run_id=run.run_id,
        step=proposal.step,
        position=proposal.position,
        kind="conflict",
        title=f"which side of {first.key}{first.path}{more} stands?",
        subject=digest_of(msgspec.json.decode(body)),
        body=body,
        role=run.steps[proposal.step].work.role,
        goal_hash=run.started.goal_hash,
        opened_at=datetime.now(UTC),
    )
    return Append(subject.decision(run.run_id, number, "review_opened"), entry)


def _field(item: Merged, opened: Open, contested: Contested) -> DisputedField:
    three = opened.three
    return DisputedField(
        scope=item.target.scope,
        key=item.target.key,
        path=opened.path,
        base=_plain(three.base),
        base_is_missing=three.base is MISSING,
        current=_plain(three.current),
        current_is_missing=three.current is MISSING,
        proposed=_plain(three.proposed),
        proposed_is_missing=three.proposed is MISSING,
        sides=sides_of(item, opened, author=contested.author),
        rungs=opened.rungs,
    )


def _of_role(team: TeamSpec, step: StepState) -> Question:
    conflict = decode(StateConflict, step.work.body)
    if step.status != "completed":
        return Question(conflict, step.work.role, "lost" if is_lost(team, step) else "open", {})
    ruling = decode(StateRuling, step.reply)
    found: dict[Field, Ruling] = {}
    for item in conflict.fields:
        value = ruling.value if ruling.choice == "value" else _side(item, is_proposed=ruling.choice == "proposed")
        found[item.key, item.path] = Ruling(
            value, "arbitrate", step.settled_by, ruling.reason, item.rungs, decided_in=step.work.step
        )
    return Question(conflict, step.work.role, "answered", found)


def _of_person(review: ReviewState) -> Question:
    conflict, decided = decode(StateConflict, review.opened.body), review.decided
    if decided is None:
        return Question(conflict, PERSON, "open", {})
    is_yes = decided.decision == "approved"
    has_value = is_yes and bytes(decided.value) != b"null"
    found: dict[Field, Ruling] = {}
    for item in conflict.fields:
        value = msgspec.json.decode(bytes(decided.value)) if has_value else _side(item, is_proposed=is_yes)
        found[item.key, item.path] = Ruling(
            value, "escalate", decided.by, decided.reason, item.rungs, decided_in=decided.review_id
        )
    return Question(conflict, PERSON, "answered", found)


def _side(item: DisputedField, *, is_proposed: bool) -> object:
    if is_proposed:
        return MISSING if item.proposed_is_missing else item.proposed
    return MISSING if item.current_is_missing else item.current


def _plain(value: object) -> object:
    return None if value is MISSING else value
