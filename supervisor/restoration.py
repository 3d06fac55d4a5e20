"""The shared state as it was at a place in the journal: put back as new versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remit.bus import subject
from remit.contracts.document import TEAM_SCOPE, WORKFLOW_PREFIX
from remit.contracts.errors import ConflictError, MalformedMessageError
from remit.contracts.message import decode
from remit.contracts.policy import MISSING
from remit.contracts.proposal import StateCommitted
from remit.contracts.rollback import Lasting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remit.bus.journal import Journal
    from remit.supervisor.arbiter import Arbiter
    from remit.supervisor.overwrite import Overwrites
    from remit.supervisor.run_state import RunState

ROLLBACK: Final = "rollback"
BATCH: Final = 400
"""Keys that are put back at once: all of them or none."""


def scopes(run: str, workflow: str) -> tuple[str, ...]:
    """Give the scopes in which a run may write."""
    return (run, WORKFLOW_PREFIX + workflow, TEAM_SCOPE)


def to_stand(
    run: str, scope: str, history: Mapping[str, Sequence[tuple[int, StateCommitted]]], *, at_seq: int
) -> tuple[dict[str, int], list[Lasting]]:
    """Give the version that is to stand again of each key that a run wrote later, 0 where there was none; and the rest.

    `history` has every version of a scope since the run began, each with its place in the journal.
    """
    wanted, lasting = dict[str, int](), list[Lasting]()
    own = f"{run}-rollback"  # positions of what this run's rollbacks put back
    for key, versions in history.items():
        later = [version for seq, version in versions if seq > at_seq]
        if not any(version.run_id == run for version in later):
            continue
        if scope != run and any(item.run_id != run and not item.position.startswith(own) for item in later):
            lasting.append(Lasting(what=f"state {key}", why="others wrote it since"))
            continue
        wanted[key] = later[0].version - 1
    return wanted, lasting


class Restoration:
    """Puts back what a run wrote. What others wrote on top of it stays, and is said."""

    def __init__(self, journal: Journal, arbiter: Arbiter, overwrites: Overwrites) -> None:
        self._journal = journal
        self._arbiter = arbiter
        self._overwrites = overwrites

    async def restore(self, run: RunState, at_seq: int, *, by: str, mark: str) -> tuple[list[str], list[Lasting]]:
        """Give the keys that got a new version, and those that could not; asked again, it gives the same.

        Raises:
            BusUnavailableError: the journal could not be read or written; what is put back so far stays.
        """
        restored, lasting = list[str](), list[Lasting]()
        for scope in scopes(run.run_id, run.started.workflow):
            wanted, kept = await self._wanted(run, scope, at_seq)
            lasting += kept
            names = sorted(wanted)
            for at in range(0, len(names), BATCH):
                part = {key: wanted[key] for key in names[at : at + BATCH]}
                done, refused = await self._put_back(scope, part, by=by, position=f"{mark}-{at}")
                restored += done
                lasting += refused
        return restored, lasting

    async def _wanted(
        self, run: RunState, scope: str, at_seq: int
    ) -> tuple[dict[str, StateCommitted | None], list[Lasting]]:
        """Give what is to stand again by key, None where there was nothing; and what others wrote meanwhile."""
        numbers, lasting = to_stand(run.run_id, scope, await self.history(scope, run.first_seq), at_seq=at_seq)
        archive = self._arbiter.archive
        wanted = {key: await archive.version(scope, key, item) if item else None for key, item in numbers.items()}
        return wanted, lasting

    async def history(
        self, scope: str, start_seq: int, end_seq: int = 0
    ) -> dict[str, list[tuple[int, StateCommitted]]]:
        """Give all versions of a scope by key, oldest first, each with its place in the journal."""
        found: dict[str, list[tuple[int, StateCommitted]]] = {}
        async for entry in self._journal.read(subject.state_filter(scope), start_seq=start_seq):
            if end_seq and entry.seq > end_seq:
                break
            try:
                version = decode(StateCommitted, entry.data)
            except MalformedMessageError:
                continue
            found.setdefault(version.key, []).append((entry.seq, version))
        return found

    async def _put_back(
        self, scope: str, wanted: dict[str, StateCommitted | None], *, by: str, position: str
    ) -> tuple[list[str], list[Lasting]]:
        changes = {key: await self._plain(key, version) for key, version in wanted.items()}
        restores = {key: version.version if version is not None else 0 for key, version in wanted.items()}
        try:
            await self._overwrites.overwrite(scope, changes, by=by, rule=ROLLBACK, position=position, restores=restores)
        except ConflictError as error:
            return [], [Lasting(what=f"state {key}", why=error.message) for key in changes]
        return list(changes), []

    async def _plain(self, key: str, version: StateCommitted | None) -> object:
        if version is None:
            return MISSING
        return await self._arbiter.archive.plain(self._arbiter.rules.contract_of(key), version)
