"""Whether the state that a step read, or that its message named, still stands when its result is to be accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from remit.bus import subject
from remit.contracts.errors import MalformedMessageError, OutdatedError
from remit.contracts.ids import node_of
from remit.contracts.message import decode, tag_of
from remit.contracts.proposal import StateRef
from remit.contracts.step import OutdatedRead, StepOutdated
from remit.supervisor.dispatch import Append
from remit.supervisor.records import StepRecords

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from remit.bus.journal import Journal
    from remit.contracts.plan import Freshness
    from remit.supervisor.arbiter import Arbiter
    from remit.supervisor.run_state import RunState, StepState

_REF_TAG = tag_of(StateRef)


class FreshnessCheck:
    """Looks at completed steps of the edges that ask for it."""

    def __init__(self, journal: Journal, arbiter: Arbiter) -> None:
        self._journal = journal
        self._arbiter = arbiter

    async def outdated(self, run: RunState, name: str) -> Append | None:
        """Give the entry that says on which outdated state a step completed; None if nothing of it has changed.

        Raises:
            BusUnavailableError: what the step read could not be looked up.
        """
        step = run.steps[name]
        wanted = freshness_of(run, step)
        if step.status != "completed" or wanted == "ignore" or step.warned:
            return None
        records = StepRecords()
        if step.lease is not None:  # who never held the step read nothing
            await records.read(self._journal, run, name)
        own = [item async for item in self._changed(run, name, _reads(run, step, records))]
        named = [item async for item in self._changed(run, name, _named(run, step))]
        if not own and not named:
            return None
        # What its message names stays as old as it is, however often the step runs.
        may_repeat = not named and not self._would_repeat(run, name, records)
        return _entry(run, step, (*own, *named), wanted=wanted, may_repeat=may_repeat)

    async def _changed(
        self, run: RunState, step: str, reads: Iterable[tuple[str, str, int]]
    ) -> AsyncIterator[OutdatedRead]:
        for scope, key, version in sorted(set(reads)):
            held = self._arbiter.versions.held(scope, key)
            now = held.version.version if held is not None else 0
            if now > version and await self._is_foreign(run.run_id, step, scope, key, range(version + 1, now + 1)):
                yield OutdatedRead(scope=scope, key=key, version=version, now=now)

    async def _is_foreign(self, run: str, step: str, scope: str, key: str, numbers: range) -> bool:  # noqa: PLR0917  # names what is asked
        """Say whether anybody but the step itself made one of these versions."""
        for number in numbers:
            version = await self._arbiter.archive.version(scope, key, number)
            if (version.run_id, version.step) != (run, step):
                return True
        return False

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


def _reads(run: RunState, step: StepState, records: StepRecords) -> Iterator[tuple[str, str, int]]:
    for item in records.reads(step.work.generation):
        yield item.scope or run.run_id, item.key, item.version


def _named(run: RunState, step: StepState) -> Iterator[tuple[str, str, int]]:
    for ref in refs_in(msgspec.json.decode(bytes(step.work.body))):
        yield ref.scope or run.run_id, ref.key, ref.version


def refs_in(value: object) -> Iterator[StateRef]:
    """Give the references to state that stand anywhere in a message."""
    if isinstance(value, dict) and value.get("type") == _REF_TAG:
        try:
            yield decode(StateRef, msgspec.json.encode(value))
        except MalformedMessageError:
            return
    elif isinstance(value, dict):
        for item in value.values():
            yield from refs_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from refs_in(item)


def _entry(
    run: RunState, step: StepState, reads: tuple[OutdatedRead, ...], *, wanted: Freshness, may_repeat: bool
) -> Append:
    first = reads[0]
    error = OutdatedError(
        f"step {step.work.step} completed on state that had changed: {first.key}"
        + (f" and {len(reads) - 1} more" if len(reads) > 1 else ""),
        where=first.key,
        expected=f"version {first.version}, which it read",
        got=f"version {first.now}",
        fix="" if may_repeat else "what it did cannot be done twice, so it is not run again: look, and submit anew",
    )
    entry = StepOutdated(
        run_id=run.run_id,
        step=step.work.step,
        epoch=step.work.epoch,
        reads=reads,
        error=error.fault() if wanted == "require_fresh" else None,
        retryable=may_repeat,
    )
    return Append(subject.decision(run.run_id, run.number + 1, "outdated"), entry)
