"""Whether the state that a step read, or that its message named, still stands when its result is to be accepted."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

from remit.bus import subject
from remit.contracts.errors import BusUnavailableError, MalformedMessageError, OutdatedError
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
    from remit.supervisor.versions import Held

log = structlog.get_logger(__name__)

PAUSE_S: Final = 0.2
_REF_TAG: Final = tag_of(StateRef)
READS_TOLD: Final = 50


class FreshnessCheck:
    """Looks at completed steps of the edges that ask for it. What agents and publishers wrote may be anything."""

    def __init__(self, journal: Journal, arbiter: Arbiter) -> None:
        self._journal = journal
        self._arbiter = arbiter

    async def next(self, run: RunState) -> Append | None:
        """Give the next entry that accepts or refuses a result of the run; waits until the bus can be read."""
        for node in run.nodes.values():
            if node.spec.fresh != "ignore":
                for name in (name for name in node.steps() if name in run.steps):
                    if (append := await self._checked(run, name)) is not None:
                        return append
        return None

    async def _checked(self, run: RunState, name: str) -> Append | None:
        while True:
            try:
                return await self.check(run, name)
            except BusUnavailableError as error:
                log.warning("run.read_failed", run_id=run.run_id, error=str(error))
                await asyncio.sleep(PAUSE_S)

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
        reads = records.reads(step.work.generation)
        own = self._changed(run, name, _newest(reads)) + self._appeared(run, name, reads)
        named = self._changed(run, name, [(ref.key, ref.version) for ref in _named(step)])
        # What its message names stays as old as it is, however often the step runs.
        may_repeat = not named and not self._would_repeat(run, name, records)
        return _entry(run, step, (*own, *named)[:READS_TOLD], wanted=wanted, may_repeat=may_repeat)

    def _changed(self, run: RunState, step: str, reads: Iterable[tuple[str, int]]) -> list[OutdatedRead]:
        """Keys that others changed after they were read; what the step itself made last was merged with the rest."""
        found: list[OutdatedRead] = []
        for key, version in sorted(set(reads)):
            scope = self._arbiter.rules.scope_or_none(key, run.run_id, run.started.workflow)
            held = self._arbiter.versions.held(scope, key) if scope is not None else None
            if held is not None and 0 <= version < held.version.version and not _is_own(run, step, held):
                found.append(OutdatedRead(scope=held.version.scope, key=key, version=version, now=held.version.version))
        return found

    def _appeared(self, run: RunState, step: str, reads: Iterable[StateRead]) -> list[OutdatedRead]:
        """Keys that a listing did not give, and would give now."""
        found: list[OutdatedRead] = []
        for read in (item for item in reads if item.is_listing):
            seen = {item.key for item in read.items}
            for scope in self._arbiter.rules.scopes_or_none(read.prefix, run.run_id, run.started.workflow):
                for key in self._arbiter.versions.keys(scope, read.prefix):
                    held = self._arbiter.versions.held(scope, key)
                    if key not in seen and held is not None and not _is_own(run, step, held):
                        found.append(OutdatedRead(scope=scope, key=key, version=0, now=held.version.version))
        return found

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


def _newest(reads: Iterable[StateRead]) -> list[tuple[str, int]]:
    """Give the newest version that was read of each key; who asked for an old one did not ask for what stands."""
    newest: dict[str, int] = {}
    for item in (item for read in reads for item in read.items):
        if not item.is_old:
            newest[item.key] = max(item.version, newest.get(item.key, 0))
    return [*newest.items()]


def _is_own(run: RunState, step: str, held: Held) -> bool:
    return (held.version.run_id, held.version.step) == (run.run_id, step)


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
