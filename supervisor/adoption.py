"""What a retry of a run that is over takes over from steps that did not come to their end: answered, not done again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.contracts.errors import EffectInDoubtError
from remit.contracts.fork import AdoptedRecords
from remit.contracts.ids import base_position
from remit.contracts.lease import IntentKey
from remit.contracts.step import Recorded
from remit.supervisor.effects_done import known_as
from remit.supervisor.records import StepRecords, answered_asks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remit.bus.journal import Journal
    from remit.contracts.tool import ToolCalled
    from remit.supervisor.run_state import NodeState, RunState


def begun(past: RunState, nodes: Iterable[NodeState]) -> list[str]:
    """Name the steps of these nodes of which something was done, by this run or by one before it, and not all."""
    names = [name for node in nodes for name in node.steps()]
    return [name for name in names if _is_begun(past, name)]


def _is_begun(past: RunState, name: str) -> bool:
    step = past.steps.get(name)
    return name in past.adopted if step is None else step.status not in {"completed", "reset"}


async def records_of(journal: Journal, past: RunState, name: str) -> AdoptedRecords:
    """Give what a step had done that did not come to its end, what it had taken over itself included.

    Raises:
        BusUnavailableError: the journal could not be read.
    """
    earlier = past.adopted.get(name, AdoptedRecords(step=name))
    records = StepRecords(is_retried=True)
    await records.read(journal, past, name)
    own = tuple(item for item in answered_asks(past.team, past, name) if item.error is None) + records.recorded()
    recorded = {item.position: item for item in (*earlier.recorded, *own)}
    calls = {base_position(call.position): call for call in records.open_calls()}
    doubts = [call for position, call in calls.items() if call.effect == "at_most_once" and position not in recorded]
    keys = {position: known_as(call) for position, call in calls.items() if call.effect != "at_most_once"}
    keys = {item.position: item.key for item in earlier.open_calls} | keys
    step = past.steps.get(name)
    return AdoptedRecords(
        step=name,
        generation=step.work.generation if step is not None else earlier.generation,
        jumps=step.work.jumps if step is not None else earlier.jumps,
        recorded=(*recorded.values(), *(_in_doubt(call) for call in doubts)),
        open_calls=tuple(IntentKey(position=at, key=key) for at, key in keys.items() if at not in recorded),
    )


def _in_doubt(call: ToolCalled) -> Recorded:
    """Nobody asks a person about a run that is over: its retry hears that it is not known whether this happened."""
    error = EffectInDoubtError(
        f"whether the call of {call.tool} happened is not known; the run that made it ended before its outcome",
        where=f"{call.run_id} {call.step} position {call.position}",
    )
    return Recorded(
        run_id=call.run_id,
        step=call.step,
        epoch=call.epoch,
        position=base_position(call.position),
        kind="call",
        name=call.tool,
        request=call.request,
        error=error.fault(),
    )
