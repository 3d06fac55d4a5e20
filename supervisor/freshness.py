"""Whether the state that a step read, or that its message named, still stands when its result is to be accepted."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from remit.bus import subject
from remit.contracts.errors import MalformedMessageError, OutdatedError
from remit.contracts.ids import node_of
from remit.contracts.message import convert, decode, tag_of
from remit.contracts.proposal import StateRef
from remit.contracts.step import OutdatedRead, StepChecked
from remit.supervisor.dispatch import Append
from remit.supervisor.records import StepRecords

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from remit.bus.journal import Journal
    from remit.contracts.plan import Freshness
    from remit.contracts.proposal import StateRead
    from remit.supervisor.arbiter import Arbiter
    from remit.supervisor.run_state import RunState, StepState

_REF_TAG: Final = tag_of(StateRef)
READS_TOLD: Final = 50


class FreshnessCheck:
    """Looks at completed steps of the edges that ask for it. What agents and publishers wrote may be anything."""

    def __init__(self, journal: Journal, arbiter: Arbiter) -> None:
        self._journal = journal
        self._arbiter = arbiter

    async def check(self, run: RunState, name: str) -> Append | None:
        """Give the entry that accepts or refuses a result; None if nothing is to be said of it.

        Raises:
            BusUnavailableError: what the step read could not be looked up.
        """
        step = run.steps[name]
        wanted = freshness_of(run, step)
        if step.status != "completed" or wanted == "ignore" or step.is_accepted:
            return None
        records = StepRecords()
        if step.lease is not None:  # who never held the step read nothing
            await records.read(self._journal, run, name)
        own = await self._changed(run, name, _reads(records.reads(step.work.generation)))
        named = await self._changed(run, name, ((ref.key, ref.version) for ref in _named(step)))
        listed = self._listed(run, records.reads(step.work.generation))
        # What its message names stays as old as it is, however often the step runs.
        may_repeat = not named and not self._would_repeat(run, name, records)
        return _entry(run, step, (*own, *listed, *named)[:READS_TOLD], wanted=wanted, may_repeat=may_repeat)

    async def _changed(self, run: RunState, step: str, reads: Iterable[tuple[str, int]]) -> list[OutdatedRead]:
        found: list[OutdatedRead] = []
        for key, version in sorted(set(reads)):
            scope = self._arbiter.rules.scope_or_none(key, run.run_id, run.started.workflow)
            held = self._arbiter.versions.held(scope, key) if scope is not None else None
            if scope is None or held is None or not 0 <= version < held.version.version:
                continue
            now = held.version.version
            if await self._is_foreign((run.run_id, step), scope, key, numbers=range(version + 1, now + 1)):
                found.append(OutdatedRead(scope=scope, key=key, version=version, now=now))
        return found

    async def _is_foreign(self, writer: tuple[str, str], scope: str, key: str, *, numbers: range) -> bool:
        """Say whether somebody else changed a key after the step's own last version, which was merged with the rest."""
        for number in reversed(numbers):
            version = await self._arbiter.archive.version(scope, key, number)
            return (version.run_id, version.step) != writer
        return False

    def _listed(self, run: RunState, reads: Iterable[StateRead]) -> list[OutdatedRead]:
        """Keys that a listing did not give, and would give now."""
        found: list[OutdatedRead] = []
        for read in reads:
            seen = {item.key for item in read.items}
            for scope in self._arbiter.rules.scopes_or_none(read.prefix, run.run_id, run.started.workflow):
                new = [key for key in self._arbiter.versions.keys(scope, read.prefix) if key not in seen]
                found += [self._new(run, scope, key) for key in new if read.is_listing]
        return [item for item in found if item.now]

    def _new(self, run: RunState, scope: str, key: str) -> OutdatedRead:
        held = self._arbiter.versions.held(scope, key)
        is_own = held is not None and held.version.run_id == run.run_id and held.version.version == 1
        now = held.version.version if held is not None and not is_own else 0
        return OutdatedRead(scope=scope, key=key, version=0, now=now)

    def _would_repeat(self, run: RunState, step: str, records: StepRecords) -> bool:
        asked = any(item.work.parent is not None and item.work.parent.step == step for item in run.steps.values())
        reviewed = any(item.opened.step == step for item in run.reviews.values())
        has_changed = self._arbiter.versions.has_committed(run.run_id, step)
        return asked or reviewed or has_changed or records.changed_the_world()


def freshness_of(run: RunState, step: StepState) -> Freshness:
    """Give what the plan says of a step's result on outdated state."""
    if step.work.parent is not None:
        return "ignore"
    return run.nodes[node_of(step.work.step)].spec.fresh


def _reads(reads: Iterable[StateRead]) -> list[tuple[str, int]]:
    """Give the newest version that was read of each key; who asked for an old one did not ask for what stands."""
    newest: dict[str, int] = {}
    for item in (item for read in reads for item in read.items):
        if not item.is_old:
            newest[item.key] = max(item.version, newest.get(item.key, 0))
    return [*newest.items()]


def _named(step: StepState) -> list[StateRef]:
    try:
        return list(refs_in(decode(object, step.work.body)))
    except MalformedMessageError:
        return []


def refs_in(value: object) -> Iterator[StateRef]:
    """Give the references to state that stand anywhere in a message."""
    todo = [value]
    while todo:
        here = todo.pop()
        if isinstance(here, dict) and here.get("type") == _REF_TAG:
            with suppress(MalformedMessageError):
                yield convert(StateRef, here)
        elif isinstance(here, dict):
            todo += here.values()
        elif isinstance(here, list):
            todo += here


def _entry(
    run: RunState, step: StepState, reads: tuple[OutdatedRead, ...], *, wanted: Freshness, may_repeat: bool
) -> Append:
    error = _outdated(step, reads, may_repeat=may_repeat) if reads and wanted == "require_fresh" else None
    entry = StepChecked(
        run_id=run.run_id,
        step=step.work.step,
        epoch=step.work.epoch,
        reads=reads,
        error=error.fault() if error is not None else None,
        retryable=error is not None and may_repeat,
    )
    return Append(subject.decision(run.run_id, run.number + 1, "checked"), entry)


def _outdated(step: StepState, reads: tuple[OutdatedRead, ...], *, may_repeat: bool) -> OutdatedError:
    first, more = reads[0], f" and {len(reads) - 1} more" if len(reads) > 1 else ""
    return OutdatedError(
        f"step {step.work.step} completed on state that had changed: {first.key}{more}",
        where=first.key,
        expected=f"version {first.version}, which it read",
        got=f"version {first.now}",
        fix="" if may_repeat else "what it did cannot be done twice, so it is not run again: look, and submit anew",
    )
