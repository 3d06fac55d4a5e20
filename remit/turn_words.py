"""Say the turns of a run in one plain line each: its plan, checkpoints, rollbacks, pauses, and its shared past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remit.contracts.errors import sentence
from remit.contracts.fork import RunForked
from remit.contracts.plan import PlanAccepted, PlannedNode, PlanRefused
from remit.contracts.rollback import Checkpointed, Lasting, RollbackBegun, RollbackListed, RolledBack
from remit.contracts.task import RunBound, RunPaused, RunResumed

if TYPE_CHECKING:
    from collections.abc import Iterable

    import msgspec

    from remit.contracts.plan import Node
    from remit.contracts.rollback import Undoing
    from remit.contracts.task import ForkOrigin

_MOST: Final = 20


def _planned(entry: PlanAccepted, _author: str) -> str:
    if not entry.proposed_by:
        return f"plan, version {entry.version}: {listed(_decided(node) for node in entry.nodes)}"
    return f"plan, version {entry.version}, {entry.rule}; {changes(entry)}"


def changes(entry: PlanAccepted) -> str:
    """Say which nodes a version of a plan adds, and which it gives up."""
    adds = f"adds {listed(_node(node) for node in entry.added)}" if entry.added else "adds nothing"
    return adds + (f", gives up {listed(entry.dropped)}" if entry.dropped else "")


def _decided(node: PlannedNode) -> str:
    if node.skipped:
        return f"{node.node} skipped ({node.skipped})"
    return f"{node.node} x {node.width}" if node.fanned else node.node


def _node(node: Node) -> str:
    after = f" after {' + '.join(node.after)}" if node.after else ""
    return f"{node.name} (role {node.role}{after})"


def _refused(entry: PlanRefused, _author: str) -> str:
    return f"the plan proposed by {entry.step} is refused: {reasons(entry)}"


def reasons(entry: PlanRefused) -> str:
    """Say every reason why a plan was refused, numbered when there are several."""
    said = [sentence(error) for error in entry.errors]
    return said[0] if len(said) == 1 else " ".join(f"({number}) {text}" for number, text in enumerate(said, 1))


def _checkpointed(entry: Checkpointed, _author: str) -> str:
    return f"checkpoint {entry.name}{marked(entry)}"


def marked(entry: Checkpointed) -> str:
    """Say where a checkpoint was taken."""
    where = f", inside {entry.step}" if entry.step else ""
    return where + (f": {listed(entry.over)} over" if entry.over else ": nothing is over yet")


def _begun(entry: RollbackBegun, _author: str) -> str:
    why = f": {entry.reason}" if entry.reason else ""
    again = f"; {listed(entry.nodes)} taken back" if entry.nodes else ""
    then = {"resume": "", "pause": ", then a pause", "end": ", then the end"}[entry.then]
    return f"rollback to {entry.to} by {entry.by}{then}{why}{again}"


def _listed(entry: RollbackListed, _author: str) -> str:
    undo = f"to be undone, newest first: {listed(undoing(item) for item in entry.undo)}" if entry.undo else ""
    kept = f"cannot be undone: {lasting(entry.lasting)}" if entry.lasting else ""
    return "; ".join(part for part in (undo, kept) if part) or "nothing is to be undone"


def undoing(item: Undoing) -> str:
    """Say which role undoes which step."""
    return f"{item.step} by role {item.role}"


def lasting(items: Iterable[Lasting]) -> str:
    """Say what lasts, and why."""
    return ", ".join(f"{item.what} ({item.why})" for item in items)


def _rolled_back(entry: RolledBack, _author: str) -> str:
    return f"rolled back to {entry.to}: {came_of(entry)}"


def came_of(entry: RolledBack) -> str:
    """Say what a rollback undid and restored, and what lasts."""
    failed = [item for item in entry.lasting if item.is_failure]
    stays = [item for item in entry.lasting if not item.is_failure]
    parts = [f"undone {listed(entry.undone)}" if entry.undone else "nothing was undone"]
    parts += [f"state restored: {listed(entry.restored)}"] if entry.restored else []
    parts += [f"lasts: {lasting(stays)}"] if stays else []
    parts += [f"could NOT be undone: {lasting(failed)}"] if failed else []
    return "; ".join(parts)


def _paused(entry: RunPaused, _author: str) -> str:
    return f"paused by {entry.by}" + (f": {entry.reason}" if entry.reason else "")


def _resumed(entry: RunResumed, _author: str) -> str:
    return f"resumed by {entry.by} after {entry.paused_s:.1f} s; its clock stood meanwhile"


def _forked(entry: RunForked, _author: str) -> str:
    steps = f"takes over {listed(item.work.step for item in entry.steps)}" if entry.steps else "takes no step over"
    effects = "1 effect is" if entry.effects == 1 else f"{entry.effects} effects are"
    return f"{steps} from its origin" + (f"; {effects} not repeated" if entry.effects else "")


def _bound(entry: RunBound, _author: str) -> str:
    where = "stays with its build, beside the deployment's own" if entry.is_older else "goes on with another build"
    return f"{where}, {entry.build[:19]}: {entry.why}"


def origin(fork: ForkOrigin) -> str:
    """Say of which run a run is the fork, from where, and what is different."""
    at = f" at checkpoint {fork.at}" if fork.at else ", from all that was finished"
    changed = f", with another {listed(fork.changes)}" if fork.changes else ""
    return f"{fork.run_id}{at}, by {fork.by}{changed}"


def listed(items: Iterable[str]) -> str:
    """Give names with commas, and the number of those beyond a few."""
    names = list(items)
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more


SAY: Final[dict[type[msgspec.Struct], object]] = {
    PlanAccepted: _planned,
    PlanRefused: _refused,
    Checkpointed: _checkpointed,
    RollbackBegun: _begun,
    RollbackListed: _listed,
    RolledBack: _rolled_back,
    RunPaused: _paused,
    RunResumed: _resumed,
    RunForked: _forked,
    RunBound: _bound,
}
"""The sentence of each."""
