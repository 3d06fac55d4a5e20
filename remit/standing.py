"""How an open run stands: what it does now, and whom or what it waits for, in a few words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.words import moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from remit.history import History, Step


def state(history: History) -> str:
    """Give the outcome of a run, or one or a few words of how it stands."""
    turns = history.turns
    if history.finished is not None:
        return history.finished.outcome
    if turns.rollback is not None:
        return "rolling back"
    if turns.paused is not None:
        return "paused"
    if history.open_reviews or history.is_parked:
        return "parked"
    return _resting(history)


def sentence(history: History) -> str:
    """Say how a run stands and what it waits for."""
    said, waits = state(history), history.waiting_for()
    if said in {"running", "parked"}:
        return f"waits for {waits}"
    return f"{said}, waits for {waits}" if said in {"paused", "rolling back"} else said


def _resting(history: History) -> str:
    """A run is at rest if nobody holds a step of it, and it waits for others or for a time."""
    if history.among("held"):
        return "running"
    if (asked := _asked(history)) and not _is_busy(history, asked):
        return f"waiting for role {asked[0].work.role}"
    until = wakes_at(history)
    return f"sleeping until {moment(until)}" if until is not None and not history.among("dispatched") else "running"


def _asked(history: History) -> list[Step]:
    """Give the steps that parked steps asked for and that nobody holds."""
    names = {name for step in history.among("parked") for name in step.asked}
    return [step for step in history.among("dispatched") if step.work.step in names]


def _is_busy(history: History, asked: Sequence[Step]) -> bool:
    return len(history.among("dispatched")) > len(asked)


def wakes_at(history: History) -> datetime | None:
    """Give the time at which the first of its sleeping steps goes on."""
    return min((step.until_at for step in history.among("parked") if step.until_at is not None), default=None)


def waits_for(history: History) -> str:
    """Say what a run waits for; nothing once it is finished."""
    if history.finished is not None:
        return ""
    if history.turns.rollback is not None:
        return f"the rollback to {history.turns.rollback.begun.to}" + _compensation(history)
    if history.turns.paused is not None:
        return f"a person: remit run resume {history.run_id}"
    if history.open_reviews:
        return "a person: " + ", ".join(item.review_id for item in history.open_reviews)
    return _steps(history) or "the supervisor"


def _compensation(history: History) -> str:
    undoing = [step for step in history.among("held", "dispatched") if step.work.undoes]
    return f": role {undoing[0].work.role} undoes {undoing[0].work.undoes}" if undoing else ""


def _steps(history: History) -> str:
    if held := history.among("held"):
        return f"{held[0].agent} at {held[0].work.step}" + _and_more(held)
    if sent := history.among("dispatched"):
        return f"an agent of role {sent[0].work.role}" + _and_more(sent)
    if history.parked_on:
        return "the decision of dispute " + ", ".join(history.parked_on)
    if failed := history.among("failed"):
        return f"the next attempt of {failed[0].work.step}" + _and_more(failed)
    until = wakes_at(history)
    return f"{moment(until)}" if until is not None else ""


def _and_more(steps: Sequence[Step]) -> str:
    return f" and {len(steps) - 1} more" if len(steps) > 1 else ""
