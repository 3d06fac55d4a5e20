"""What the end of a body means for its class of effect: an outcome, a doubt, or a question to its lookup. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from remit.contracts.errors import CallCutOffError, EffectInDoubtError, Fault, ReplayMismatchError, sentence
from remit.contracts.message import NULL
from remit.contracts.tool import ToolAnswered, ToolCalled, ToolInDoubt, ToolReturned

if TYPE_CHECKING:
    from datetime import datetime

    from remit.contracts.lease import Lease, Resolution
    from remit.tools.execute import Execution

Outcome = ToolReturned | ToolInDoubt

RESOLVE_AFTER_S = 10.0
"""How long after an intent's deadline another gateway leaves it alone: clocks differ, and its own gateway may still
be asking the lookup or writing the outcome."""


def attempt_index(position: str, attempt: int) -> str:
    """Name the place of an attempt: the first stands at the position, each further one was ordered by a person."""
    return position if attempt == 0 else f"{position}r{attempt}"


def takeover_index(index: str, number: int) -> str:
    """Name the place of the entry by which another gateway takes an open intent over."""
    return f"{index}t{number}"


def is_abandoned(performer: ToolCalled, lease: Lease, *, gateway: str, now: datetime) -> bool:
    """Say whether nobody carries an open intent out any more.

    The asking gateway knows what it is carrying out itself; of another one the journal must say that it is gone,
    or its deadline must be long over.
    """
    return (
        performer.gateway in (gateway, *lease.gateways_gone)
        or (now - performer.deadline_at).total_seconds() >= RESOLVE_AFTER_S
    )


def needs_lookup(intent: ToolCalled, execution: Execution) -> bool:
    """Say whether the tool must be asked what became of its effect."""
    return intent.effect == "lookup" and execution.effected in {"unknown", "still_running"}


def not_found(execution: Execution) -> Execution:
    """Give what is known when a lookup found nothing: it did not happen, unless the body still runs."""
    return replace(execution, effected="no") if execution.effected == "unknown" else execution


def conclude(intent: ToolCalled, execution: Execution, *, index: str, duration_ms: int) -> Outcome:
    """Give the outcome to be journaled at an index.

    An error is an outcome where it cannot hide an effect that a repeated call would double: the tool is pure, or its
    receiver knows the key, or it is certain whether it happened. Everything else is in doubt.
    """
    if execution.fault is None:
        return returned(intent, index, value=msgspec.Raw(execution.value), duration_ms=duration_ms)
    if intent.effect in {"pure", "idempotent"} or execution.effected in {"yes", "no"}:
        return returned(intent, index, error=execution.fault, duration_ms=duration_ms)
    return in_doubt(intent, index, sentence(execution.fault))


def may_retry(intent: ToolCalled, resolution: Resolution | None, error: Fault) -> bool:
    """Say whether a call that ended in an error is made again, because its step is tried again.

    Never where neither the receiver nor a lookup can tell a repeated effect from the first; unless the call was cut off
    and is not in doubt: it had not begun.
    """
    is_safe = intent.effect != "at_most_once" or error.code == CallCutOffError.code
    return resolution is not None and resolution.decision == "retry" and is_safe


def resolve(intent: ToolCalled, index: str, resolution: Resolution) -> ToolReturned:
    """Give the outcome that a person decided: `done` with its value, or `skip`."""
    if resolution.decision == "done":
        return returned(intent, index, value=resolution.value)
    fault = EffectInDoubtError(
        f"nobody knows whether {intent.tool} had its effect; a person decided to go on without it",
        where=f"{intent.run_id} {intent.step} position {index}",
    ).fault()
    return returned(intent, index, error=fault)


def returned(
    intent: ToolCalled,
    index: str,
    *,
    value: msgspec.Raw = NULL,
    error: Fault | None = None,
    duration_ms: int = 0,
) -> ToolReturned:
    """Give an outcome that is known."""
    return ToolReturned(
        run_id=intent.run_id,
        step=intent.step,
        position=index,
        tool=intent.tool,
        value=value,
        error=error,
        duration_ms=duration_ms,
    )


def in_doubt(intent: ToolCalled, index: str, reason: str) -> ToolInDoubt:
    """Give an outcome that only a person can find out."""
    return ToolInDoubt(
        run_id=intent.run_id,
        step=intent.step,
        position=index,
        tool=intent.tool,
        request=intent.request,
        reason=reason,
    )


def answered(outcome: ToolReturned) -> ToolAnswered:
    """Give an outcome as the agent gets it."""
    return ToolAnswered(value=outcome.value, value_ref=outcome.value_ref, error=outcome.error)


def check_same(standing: ToolCalled, asked: ToolCalled) -> None:
    """Pass if the call that stands at a position is the one that is asked now.

    Raises:
        ReplayMismatchError: it is another; nothing was called.
    """
    if standing.request != asked.request:
        raise ReplayMismatchError(
            "another call stands at this position",
            where=f"{asked.run_id} {asked.step} position {asked.position}",
            expected=_shown(standing),
            got=_shown(asked),
            fix="put what varies (time, randomness, order of a set) into ctx.step(…)",
        )


def _shown(call: ToolCalled) -> str:
    return f"{call.tool} {bytes(call.arguments).decode()[:200]} ({call.request[:19]})"
