"""What bounds how roles ask one another: depth, steps, and hands that pass the same thing to and fro. Pure."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from remit.contracts.errors import LimitReachedError, PingPongError
from remit.contracts.ids import node_of
from remit.contracts.message import decode, digest_of
from remit.supervisor.decide import is_out_of_share, share_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import msgspec

    from remit.supervisor.run_state import RunState, StepState

EDGE_MOST: Final = 2
"""How often one role may ask another one in a chain of asks; the third time they play ping-pong."""


def check_limits(run: RunState, step: str) -> None:
    """One more ask is within the run's limits, and its node's share.

    Raises:
        LimitReachedError: it is not; a handler that does not catch this ends the run as stopped.
    """
    limits, above, node = run.started.limits, list(chain(run, step)), node_of(step)
    if len(above) > limits.depth:
        raise LimitReachedError("asks are nested too deep", where=step, expected=f"depth {limits.depth}")
    if above[-1].work.undoes:  # what undoes a step must not fail because that used its run up
        return
    if run.dispatched >= limits.steps:
        raise LimitReachedError("the run has used up its steps", where=step, expected=f"{limits.steps} steps")
    if is_out_of_share(run, node):
        raise LimitReachedError(
            f"node {node} has used up its share", where=step, expected=f"{share_of(run, node)} steps"
        )


def check_circle(run: RunState, step: str, role: str, *, body: msgspec.Raw) -> None:
    """The ask is not one that is being answered already, further up.

    Raises:
        PingPongError: it is, or two roles ask one another again and again.
    """
    above = list(chain(run, step))
    wanted = digest_of(decode(object, body))
    for item in above:
        if item.work.role == role and digest_of(decode(object, item.work.body)) == wanted:
            raise PingPongError(
                f"role {role} is asked for what it is being asked for already",
                where=step,
                expected="another message, or an answer",
                got=" -> ".join([*(one.work.role for one in reversed(above)), role]),
            )
    edge = (above[0].work.role, role)
    pairs = [(upper.work.role, lower.work.role) for lower, upper in pairwise(above)]
    if edge[0] != edge[1] and pairs.count(edge) >= EDGE_MOST:
        raise PingPongError(
            f"roles {edge[0]} and {edge[1]} hand work to and fro",
            where=step,
            expected=f"{edge[0]} asks {edge[1]} at most {EDGE_MOST} times in a chain of asks",
            got=" -> ".join([*(one.work.role for one in reversed(above)), role]),
        )


def chain(run: RunState, step: str) -> Iterator[StepState]:
    """Give a step, and all that asked for it, the innermost first."""
    state = run.steps.get(step)
    while state is not None:
        yield state
        state = run.steps.get(state.work.parent.step) if state.work.parent is not None else None
