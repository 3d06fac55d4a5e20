"""What is known of a run before something is wished of it: its journal, its calls, its plan and its state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from remit import watch
from remit.bus import subject
from remit.client import seq_of
from remit.contracts.errors import ConflictError, MalformedMessageError, NotFoundError
from remit.contracts.ids import node_of
from remit.contracts.message import decode
from remit.contracts.plan import START, PlanSpec
from remit.contracts.proposal import StateCommitted
from remit.history import fold
from remit.supervisor.effects_done import Calls, is_below
from remit.supervisor.restoration import scopes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remit.client import Client
    from remit.contracts.errors import RemitError
    from remit.contracts.plan import Node
    from remit.contracts.rollback import EffectDone
    from remit.history import History, Step

Versions = dict[str, list[tuple[int, StateCommitted]]]
"""By key, oldest first, each with its place in the journal."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a run before something is wished of it."""

    history: History
    calls: Calls
    plan: PlanSpec
    versions: Mapping[str, Versions] = field(default_factory=dict)
    """By scope, all that were committed since the run began."""
    first_seq: int = 1

    @property
    def as_of(self) -> int:
        """The last entry that is taken into account."""
        return self.history.next_seq - 1

    def node(self, step: str) -> Node | None:
        """Give the plan's node of a step."""
        return next((node for node in self.plan.nodes if node.name == node_of(step)), None)

    def own_steps(self) -> list[Step]:
        """Give the steps of the plan, the one that was dispatched first standing first."""
        return [item for item in self.history.steps.values() if item.work.parent is None and not item.work.undoes]

    def effects(self, belongs: Callable[[str], bool] = bool, *, after: int = 0) -> tuple[EffectDone, ...]:
        """Give what steps did to the world, newest first."""
        return self.calls.effects(belongs, after=after)

    def undone_before(self) -> dict[str, str]:
        """Give the checkpoint to which an earlier rollback went, for every effect that it undid, by intent."""
        found: dict[str, str] = {}
        for item in self.history.turns.rollbacks:
            for step in item.done.undone if item.done is not None else ():
                since = {effect.intent for effect in self._below(step, after=item.seq)}
                found |= {effect.intent: item.begun.to for effect in self._below(step) if effect.intent not in since}
        return found

    def _below(self, step: str, *, after: int = 0) -> tuple[EffectDone, ...]:
        return self.calls.effects(lambda name: is_below(name, step), after=after)

    def undoing(self, step: str) -> str:
        """Give the step that a step, or who asked for it, compensates; nothing if it compensates none."""
        known = self.history.steps.values()
        return next((item.work.undoes for item in known if item.work.undoes and is_below(step, item.work.step)), "")

    def is_under_way(self, effect: EffectDone) -> bool:
        """Say whether the outcome of a call is not in the journal yet."""
        call = self.history.calls.get((effect.step, effect.position))
        return call is not None and call.returned is None and not call.in_doubt

    def marks(self) -> tuple[str, ...]:
        """Name every checkpoint to which the run can go back."""
        return tuple(dict.fromkeys((START, *self.history.turns.checkpoints)))


async def read(client: Client, run: str) -> Facts:
    """Give what the journal of a run tells now; of its plan and its state, nothing.

    Raises:
        NotFoundError: there is no such run.
        BusUnavailableError: the journal could not be read.
    """
    entries = await watch.read(client, run)
    history, calls = fold(run, entries), Calls()
    if history.started is None:
        raise await _not_begun(client, run, history)
    for entry in entries:
        calls.apply(entry)
    first = next((entry.seq for entry in entries if subject.parse_run(entry.subject) is not None), 1)
    return Facts(history=history, calls=calls, plan=PlanSpec(nodes=()), first_seq=first)


async def _not_begun(client: Client, run: str, history: History) -> RemitError:
    if history.finished is not None:
        said = f"run {run} was {history.finished.outcome}: it never began"
        return ConflictError(said, where=run, fix=f"remit run show {run}")
    if await client.task(seq_of(run)) is not None:
        return ConflictError(f"run {run} waits in the queue: it has not begun", where=run, fix="remit status")
    return NotFoundError(f"there is no run {run}", got=run, fix="remit run list")


async def read_whole(client: Client, run: str) -> Facts:
    """Give all that is known of a run now.

    Raises:
        NotFoundError: there is no such run, or the supervisor's team has none.
        ClusterLostError: there is no supervisor.
        BusUnavailableError: the journal could not be read.
    """
    found = await read(client, run)
    workflow = found.history.started.workflow if found.history.started is not None else ""
    versions = {scope: await _versions(client, scope, found.first_seq) for scope in scopes(run, workflow)}
    return replace(found, plan=await client.plan(run), versions=versions)


async def _versions(client: Client, scope: str, start_seq: int) -> Versions:
    found: Versions = {}
    async for entry in client.versions(scope, start_seq=start_seq):
        try:
            version = decode(StateCommitted, entry.data)
        except MalformedMessageError:
            continue  # it does not count
        found.setdefault(version.key, []).append((entry.seq, version))
    return found
