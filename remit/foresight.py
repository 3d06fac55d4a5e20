"""Say beforehand, from the facts, what a wish for a run will do. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remit.contracts.errors import ConflictError, NotFoundError, UsageError
from remit.contracts.ids import node_of
from remit.contracts.plan import START
from remit.contracts.rollback import Lasting
from remit.forecast import Effect, Forecast, Repeat, Restored, Undone
from remit.supervisor.effects_done import is_below
from remit.supervisor.restoration import to_stand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remit.contracts.plan import Node
    from remit.contracts.rollback import EffectDone
    from remit.facts import Facts
    from remit.forecast import Fate
    from remit.history import History, Step
    from remit.turns import Mark

KEPT: Final = "recorded; it is not made again"
CANNOT: Final = "no compensation is declared"


def check_open(history: History, verb: str) -> None:
    """The run can still be steered.

    Raises:
        ConflictError: it is over.
    """
    if history.finished is not None:
        raise ConflictError(
            f"run {history.run_id} is over: it is {history.finished.outcome}, and nothing of it can be changed",
            where=history.run_id,
            expected=f"an open run to {verb}",
            fix=f"remit run fork {history.run_id}",
        )


# --- verbs ---------------------------------------------------------------------------------------


def pause(facts: Facts) -> Forecast:
    """Nothing more is dispatched, and what is held is taken from its holders."""
    return Forecast(
        verb="pause",
        run=facts.history.run_id,
        as_of=facts.as_of,
        says="nothing more is dispatched, calls in flight come to their end, and the run's clock stands",
        repeats=_again(facts.history.among("dispatched", "held"), "when the run is resumed"),
        effects=_kept(facts, facts.effects()),
        checkpoints=facts.marks(),
        hints=(f"remit run resume {facts.history.run_id}",),
    )


def resume(facts: Facts) -> Forecast:
    """What was held is dispatched again."""
    paused = facts.history.turns.paused
    by = f"paused by {paused.by}" + (f" ({paused.reason})" if paused.reason else "") if paused else "not paused"
    return Forecast(
        verb="resume",
        run=facts.history.run_id,
        as_of=facts.as_of,
        says=f"the run is {by}; it goes on where it stopped" if paused else f"the run is {by}; nothing changes",
        repeats=(
            *_again(facts.history.among("paused"), "it was held when the run was paused"),
            *_again(facts.history.among("reset"), "a rollback took it back; it begins again"),
        ),
        effects=_kept(facts, facts.effects()),
        checkpoints=facts.marks(),
    )


def cancel(facts: Facts) -> Forecast:
    """The run ends as it stands."""
    done = facts.effects()
    return Forecast(
        verb="cancel",
        run=facts.history.run_id,
        as_of=facts.as_of,
        says="the run ends now; what finished stays finished, calls in flight are cut off, and nothing is undone",
        effects=tuple(_effect(facts, item, "lasts", why="cancelling undoes nothing") for item in done),
        checkpoints=facts.marks(),
        hints=(f"remit run rollback {facts.history.run_id} --to {START} --then end",) if done else (),
    )


def retry(facts: Facts, step: str) -> Forecast:
    """A step, or all that wait after a failure, is dispatched again."""
    known = facts.history.steps.get(step)
    if step and known is None:
        raise NotFoundError(
            f"run {facts.history.run_id} has no step {step!r}",
            expected=", ".join(list(facts.history.steps)[:20]) or "no step yet",
            got=step,
            fix=f"remit run show {facts.history.run_id}",
        )
    again = [known] if known is not None else facts.history.among("failed")
    return Forecast(
        verb="retry",
        run=facts.history.run_id,
        as_of=facts.as_of,
        says="dispatched again now; what the steps recorded is answered from the journal",
        repeats=_again(again, "as you wish" if step else "it waits after a failure"),
        effects=_kept(facts, facts.effects()),
        checkpoints=facts.marks(),
    )


def fork(facts: Facts, at: str) -> Forecast:
    """Another run begins that shares the past up to a checkpoint, or all that is finished."""
    mark = _mark_of(facts, at) if at else None
    over = None if not at else set(mark.taken.over if mark is not None else ())
    shared = {item.work.step for item in facts.own_steps() if _is_shared(item, over)}
    anew = [node for node in facts.plan.nodes if not _is_planned_anew(facts, node, shared)]
    runs = [node for node in anew if _has_more(facts, node, shared)]
    return Forecast(
        verb="fork",
        run=facts.history.run_id,
        as_of=mark.seq if mark is not None else facts.as_of,
        says=f"a new run shares {f'the past up to checkpoint {at}' if at else 'all that is finished'}",
        shared=tuple(name for name in facts.history.steps if name in shared),
        repeats=tuple(
            Repeat(step=node.name, role=node.role, why=_why_forked(facts, node, shared, keeps=not at)) for node in runs
        ),
        effects=tuple(_forked(facts, item, shared, keeps=not at) for item in facts.effects()),
        checkpoints=between_steps(facts),
    )


def rollback(facts: Facts, to: str, then: str) -> Forecast:
    """Everything behind a checkpoint is undone, newest first, as far as there is a way to."""
    if facts.history.turns.rollback is not None:
        raise ConflictError(
            f"run {facts.history.run_id} is being rolled back already",
            where=facts.history.run_id,
            got=facts.history.turns.rollback.begun.to,
            fix=f"remit run tail {facts.history.run_id}",
        )
    mark = _mark_of(facts, to)
    nodes = {node.name for node in facts.plan.nodes} - set(mark.taken.over if mark is not None else ())
    at_seq = mark.seq if mark is not None else facts.first_seq
    undoes, effects = list[Undone](), list[Effect]()
    for step in reversed([item for item in facts.own_steps() if node_of(item.work.step) in nodes]):
        done = _below(facts, step, mark)
        role = _undone_by(facts, step, mark, done=done)
        undoes += [Undone(step=step.work.step, role=role)] if role else []
        effects += [_undone(facts, item, role) for item in done]
    kept = tuple(item for item in facts.effects() if item.intent not in {each.intent for each in effects})
    restores, lasting = _state(facts, at_seq)
    return Forecast(
        verb="rollback",
        run=facts.history.run_id,
        as_of=facts.as_of,
        says=f"back to {to}; {_THEN[then]}",
        repeats=() if then == "end" else _begin_again(facts, nodes),
        undoes=tuple(undoes),
        restores=restores,
        effects=(*effects, *_kept(facts, kept)),
        lasting=lasting,
        checkpoints=facts.marks(),
    )


_THEN: Final = {
    "resume": "then the run goes on from there",
    "pause": "then the run is paused",
    "end": "then the run ends as stopped",
}


# --- what they are made of -----------------------------------------------------------------------


def _mark_of(facts: Facts, name: str) -> Mark | None:
    """Give a checkpoint; None for the beginning of a run that is no fork, which every run has."""
    mark = facts.history.turns.checkpoints.get(name)
    if mark is None and name != START:
        raise NotFoundError(
            f"run {facts.history.run_id} has no checkpoint {name!r}",
            where=facts.history.run_id,
            expected=", ".join(facts.marks()),
            got=name,
            fix=f"remit run show {facts.history.run_id}",
        )
    return mark


def _again(steps: Sequence[Step], why: str) -> tuple[Repeat, ...]:
    return tuple(Repeat(step=item.work.step, role=item.work.role, why=why) for item in steps)


def _begin_again(facts: Facts, nodes: set[str]) -> tuple[Repeat, ...]:
    steps = [item for item in facts.own_steps() if node_of(item.work.step) in nodes]
    return _again(steps, "it begins again, with nothing recorded")


def _effect(facts: Facts, item: EffectDone, fate: Fate, *, why: str) -> Effect:
    undone = facts.undone_before().get(item.intent, "")
    if undone:
        fate, why = "undone", f"the rollback to {undone} undid it"
    elif (undoes := facts.undoing(item.step)) and fate != "undone":
        fate, why = "kept", f"it undid step {undoes}"
    return Effect(
        step=item.step,
        position=item.position,
        tool=item.tool,
        intent=item.intent,
        is_in_doubt=item.is_in_doubt and not facts.is_under_way(item),
        is_under_way=facts.is_under_way(item),
        fate=fate,
        why=why,
    )


def _kept(facts: Facts, items: Sequence[EffectDone]) -> tuple[Effect, ...]:
    return tuple(_effect(facts, item, "kept", why=KEPT) for item in items)


def _undone(facts: Facts, item: EffectDone, role: str) -> Effect:
    if not role:
        return _effect(facts, item, "lasts", why=CANNOT)
    return _effect(facts, item, "undone", why=f"role {role} undoes it")


def _below(facts: Facts, step: Step, mark: Mark | None) -> tuple[EffectDone, ...]:
    """Give what a step, and those that it asked for, did since the checkpoint and since it last began."""
    done = [item for item in facts.history.turns.rollbacks if item.done is not None]
    node, name = node_of(step.work.step), step.work.step
    after = max((item.done_seq for item in done if item.done is not None and node in item.done.reset), default=0)
    after = max(after, mark.seq if mark is not None and mark.taken.step == name else 0)
    return facts.effects(lambda other: is_below(other, name), after=after)


def _undone_by(facts: Facts, step: Step, mark: Mark | None, *, done: Sequence[EffectDone]) -> str:
    """Name the role that undoes a step; none if there is none, or nothing to undo."""
    node = facts.node(step.work.step)
    is_marking = mark is not None and mark.taken.step == step.work.step
    if node is None or node.undo is None or not (done or (step.status == "completed" and not is_marking)):
        return ""
    return node.undo.role


def _state(facts: Facts, at_seq: int) -> tuple[tuple[Restored, ...], tuple[Lasting, ...]]:
    restores, lasting = list[Restored](), list[Lasting]()
    for scope, history in facts.versions.items():
        wanted, kept = to_stand(facts.history.run_id, scope, history, at_seq=at_seq)
        lasting += kept
        restores += [
            Restored(scope=scope, key=key, now=history[key][-1][1].version, to=number)
            for key, number in sorted(wanted.items())
        ]
    return tuple(restores), tuple(lasting)


def _is_shared(step: Step, over: set[str] | None) -> bool:
    return step.status == "completed" and (over is None or node_of(step.work.step) in over)


def _is_planned_anew(facts: Facts, node: Node, shared: set[str]) -> bool:
    """Say whether a planner put a node into the plan that the fork will ask again."""
    return any(
        node.name in {item.name for item in plan.added} and plan.proposed_by not in shared
        for plan in facts.history.turns.plans
        if plan.proposed_by
    )


def _steps_of(facts: Facts, node: Node) -> list[Step]:
    return [item for item in facts.own_steps() if node_of(item.work.step) == node.name]


def _has_more(facts: Facts, node: Node, shared: set[str]) -> bool:
    """Say whether a fork runs something of a node: all of it, or what its origin had not finished."""
    steps = _steps_of(facts, node)
    is_skipped = any(
        item.node == node.name and item.skipped for plan in facts.history.turns.plans for item in plan.nodes
    )
    return any(item.work.step not in shared for item in steps) or not (steps or is_skipped)


def _why_forked(facts: Facts, node: Node, shared: set[str], *, keeps: bool) -> str:
    steps = _steps_of(facts, node)
    if not steps:
        return "it has not run yet"
    kept = sum(item.work.step in shared for item in steps)
    if kept:
        return f"{kept} of its {len(steps)} steps are shared"
    return "it goes on behind what it recorded" if keeps else "it runs again, with nothing recorded"


def _forked(facts: Facts, item: EffectDone, shared: set[str], *, keeps: bool) -> Effect:
    if keeps or any(is_below(item.step, name) for name in shared):
        return _effect(facts, item, "kept", why=f"{KEPT} by the fork")
    return _effect(facts, item, "kept", why="it stands; its step runs again, and its calls are the fork's own")


def between_steps(facts: Facts) -> tuple[str, ...]:
    """Name the checkpoints at which a fork can begin."""
    marks = facts.history.turns.checkpoints
    return tuple(name for name in facts.marks() if name not in marks or not marks[name].taken.step)


def check_fork(facts: Facts, at: str) -> None:
    """The fork can begin at this checkpoint.

    Raises:
        NotFoundError: there is none of this name.
        UsageError: it is inside a step.
    """
    mark = _mark_of(facts, at) if at else None
    if mark is not None and mark.taken.step:
        raise UsageError(
            f"checkpoint {at} is inside step {mark.taken.step}; a fork begins between steps",
            where=at,
            expected=", ".join(between_steps(facts)),
        )
