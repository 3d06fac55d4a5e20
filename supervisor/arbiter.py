"""The arbiter: the only writer of shared state. A version is an entry, and the append is the commit.

A proposal is checked against the contracts of its keys, merged three ways with what stands, and committed as the next
version of each key: all of them or none, in one atomic batch. Two commits of one version cannot both be stored, so an
arbiter that fell behind another one learns it from the server, reads on, and decides again.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from remit.bus import subject
from remit.bus.journal import Fence
from remit.contracts.errors import (
    MalformedMessageError,
    RefusedError,
    StateInvalidError,
    TooLargeError,
)
from remit.contracts.ids import intent_key, is_position, role_of
from remit.contracts.message import NULL, canonical, digest
from remit.contracts.policy import MISSING
from remit.contracts.proposal import (
    NO_TIME,
    ProposalRecord,
    ProposeState,
    StateCommitted,
    StateRejected,
)
from remit.supervisor import merge
from remit.supervisor.change import Contested, Merged, StateRules, Target, of_its_type, request_of
from remit.supervisor.disputed_fields import DisputedFields
from remit.supervisor.explanation import agreements_of, decision_of, raw_of, rule_of
from remit.supervisor.merge import Author, Merge
from remit.supervisor.state_journal import Answer, StateJournal
from remit.supervisor.versions import SIDES_LIMIT, Held, batch_of, number_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from remit.bus.connection import Bus
    from remit.bus.journal import Entry, Journal
    from remit.contracts.document import StateContract
    from remit.supervisor.merge import Lost, Ruling

CONFLICTS_TOLD = 100
"""Of one proposal; the rest is counted."""

NO_RULINGS: Mapping[str, Mapping[str, Ruling]] = {}
NO_FAILURES: Mapping[str, Mapping[str, int]] = {}


class Arbiter:
    """Current versions by scope and key; every change goes through the journal first."""

    def __init__(
        self,
        bus: Bus,
        journal: Journal,
        contracts: Iterable[StateContract[object]],
        *,
        on_commit: Callable[[StateCommitted], None],
    ) -> None:
        self.rules = StateRules(contracts)
        self.stored = StateJournal(bus, journal, on_commit=on_commit)
        self.versions, self.archive = self.stored.versions, self.stored.archive
        self.disputed = DisputedFields()
        self._locks: dict[tuple[str, str], _KeyLock] = {}

    def apply(self, entry: Entry) -> None:
        """Apply one committed version, or a proposal that changed nothing."""
        self.stored.versions.apply(entry)

    def numbers(self, scope: str) -> dict[str, int]:
        """Give the current version of every key of a scope."""
        found = ((key, self.versions.held(scope, key)) for key in self.versions.keys(scope))
        return {key: held.version.version for key, held in found if held is not None}

    def values(self, scope: str) -> dict[str, object]:
        """Give the current value of every key of a scope, as far as it is small enough to stand in its entry."""
        found = ((key, self.versions.held(scope, key)) for key in self.versions.keys(scope))
        return {key: msgspec.json.decode(held.version.value) for key, held in found if held is not None}

    # --- proposals -------------------------------------------------------------------------------

    async def propose(
        self,
        proposal: ProposeState,
        *,
        agent: str,
        workflow: str,
        rulings: Mapping[str, Mapping[str, Ruling]] = NO_RULINGS,
        failed: Mapping[str, Mapping[str, int]] = NO_FAILURES,
        still: Callable[[], bool] = lambda: True,
    ) -> Answer | Contested | None:
        """Commit, merge, reject or contest a proposal; the same proposal asked again has the same answer.

        `rulings` and `failed` are, by key and path, what was said about its conflicts, and how many roles said nothing.

        None if, when its turn comes, it is not `still` to be decided: its step is not held any more, or its run over.

        Raises:
            RefusedError: it breaks a contract, comes from a role that may not write, or a policy failed; nothing
                changed, and the refusal is recorded.
            BusUnavailableError: nothing is known to be stored; it is to be asked again.
        """
        if not is_position(proposal.position):
            raise MalformedMessageError("this is no position", where="$.position", got=repr(proposal.position)[:40])
        author = Author(
            role_of(agent), agent, proposal.run_id, proposal.step, proposal.position, _not_ahead(proposal.proposed_at)
        )
        try:
            targets = self.rules.targets(proposal, author.role, workflow)
            return await self._settle(proposal, author, targets, rulings=rulings, failed=failed, still=still)
        except RefusedError as error:
            await self.refuse(proposal, agent, error)
            raise

    async def refuse(self, proposal: ProposeState, agent: str, error: RefusedError) -> None:
        """Record a refusal, unless it is decided already what became of the proposal; raises BusUnavailableError."""
        if not self.versions.is_decided(proposal.run_id, proposal.step, proposal.position):
            record = ProposalRecord(
                proposal=proposal, agent=agent, request=request_of(proposal), refused=error.fault(), at=_now()
            )
            with suppress(TooLargeError):  # a proposal as large as a message; it is refused all the same
                await self.stored.record(record)

    async def _settle(
        self,
        proposal: ProposeState,
        author: Author,
        targets: tuple[Target, ...],
        *,
        rulings: Mapping[str, Mapping[str, Ruling]],
        failed: Mapping[str, Mapping[str, int]],
        still: Callable[[], bool],
    ) -> Answer | Contested | None:
        request = request_of(proposal)
        async with self.locked(*((target.scope, target.key) for target in targets)):
            while True:
                await self._catch_up(targets)
                if (known := await self.stored.answer(proposal, request)) is not None:
                    return known
                if not still():
                    return None
                merged = [
                    await self._merge(
                        target, author, rulings=rulings.get(target.key, {}), failed=failed.get(target.key, {})
                    )
                    for target in targets
                ]
                answer = await self._decide(proposal, author, merged, still=still)
                if answer is not None:
                    return answer

    async def _decide(
        self, proposal: ProposeState, author: Author, merged: Sequence[Merged], *, still: Callable[[], bool]
    ) -> Answer | Contested | None:
        """Give the answer; None if another version was first, which is known by now, or it is not to be decided."""
        dispute = intent_key(proposal.run_id, proposal.step, proposal.position)
        for item in merged:
            if (lost := self._disputed_by_others(item, dispute) or next(iter(item.merge.lost), None)) is not None:
                return await self._reject(proposal, author, item, lost=lost)
        opened = tuple((item, conflict) for item in merged for conflict in item.merge.opened)
        if opened:
            for item, conflict in opened:
                self.disputed.mark(item.target.scope, item.target.key, path=conflict.path, dispute=dispute)
            return Contested(dispute, proposal, author, opened)
        return await self._commit(proposal, author, merged, still=still)

    def _disputed_by_others(self, item: Merged, dispute: str) -> Lost | None:
        path = self.disputed.first(item.target.scope, item.target.key, item.wrote, but=dispute)
        if path is None:
            return None
        three = merge.Three(item.base, item.current, item.target.plain)
        return merge.Lost(path, merge.WAITING, (), three, "disputed")

    # --- merging ---------------------------------------------------------------------------------

    async def _merge(
        self, target: Target, author: Author, *, rulings: Mapping[str, Ruling], failed: Mapping[str, int]
    ) -> Merged:
        base_version = target.change.base_version
        held = self._known_up_to(target, base_version)
        current = await self.archive.plain(target.contract, held.version if held is not None else None)
        since, omitted = await self._since(target, held)
        base = await self._base(target, held, current)
        node = target.contract.node
        work = Merge(
            author,
            origins=self.versions.origins(target.scope, target.key),
            rulings=rulings,
            failed=failed,
        )
        value = work.run(node, base, current, target.plain)
        if work.decided or rulings:
            value = of_its_type(target.contract, value)
        return Merged(target, held, current, base, value, work, since, omitted)

    async def _catch_up(self, targets: Sequence[Target]) -> None:
        """Read on where a proposal knows more than we do: what another supervisor committed may be this very one."""
        names = [(target.scope, target.key) for target in targets]
        pairs = zip(names, targets, strict=True)
        behind = [name for name, item in pairs if item.change.base_version > number_of(self.versions.held(*name))]
        if behind:
            await self.stored.catch_up(*behind)

    def _known_up_to(self, target: Target, base_version: int) -> Held | None:
        held = self.versions.held(target.scope, target.key)
        if not 0 <= base_version <= number_of(held):
            raise StateInvalidError(
                "the proposal starts from a version that does not exist",
                where=target.key,
                expected=f"0 to {number_of(held)}",
                got=str(base_version),
                fix="read the key first, and propose from the version that was read",
            )
        return held

    async def _base(self, target: Target, held: Held | None, current: object) -> object:
        number = target.change.base_version
        if number == 0:
            return MISSING
        if held is not None and number == held.version.version:
            return current
        return await self.archive.plain(target.contract, await self.archive.version(target.scope, target.key, number))

    async def _since(self, target: Target, held: Held | None) -> tuple[tuple[tuple[StateCommitted, object], ...], int]:
        """Give the versions after the base, the newest last, and how many older ones were not looked at."""
        newest, base = number_of(held), target.change.base_version
        first = max(base + 1, newest - SIDES_LIMIT + 1)
        found: list[tuple[StateCommitted, object]] = []
        for number in range(first, newest + 1):
            version = await self.archive.version(target.scope, target.key, number)
            found.append((version, await self.archive.plain(target.contract, version)))
        return tuple(found), first - base - 1

    # --- writing ---------------------------------------------------------------------------------

    async def _commit(
        self, proposal: ProposeState, author: Author, merged: Sequence[Merged], *, still: Callable[[], bool]
    ) -> Answer | None:
        names = sorted((item.target.scope, item.target.key) for item in merged) if len(merged) > 1 else []
        made = [await self._version(item, author, proposal=proposal, together=names) for item in merged]
        # Nothing is awaited from here to the append, so a rollback that begins later puts back what is stored here.
        if not still():
            return None
        stored = await self.stored.append([version for version, _data in made])
        if stored is None:
            return None
        for (version, data), seq, item in zip(made, stored, merged, strict=True):
            self.archive.keep(version, data, item.value)
            self.stored.take(version, seq)
        return batch_of([version for version, _data in made])

    async def _version(
        self, item: Merged, author: Author, *, proposal: ProposeState, together: list[tuple[str, str]]
    ) -> tuple[StateCommitted, bytes]:
        target, data = item.target, _bounded(item.target, canonical(item.value))
        value, ref = await self.archive.stored(data)
        decided = [decision_of(item, conflict, author) for conflict in item.merge.decided[:CONFLICTS_TOLD]]
        decisions = (*decided, *agreements_of(item, author))[:CONFLICTS_TOLD]
        version = StateCommitted(
            scope=target.scope,
            key=target.key,
            version=item.version + 1,
            value=value,
            value_ref=ref,
            hash=digest(data),
            schema=target.contract.schema,
            run_id=author.run_id,
            step=author.step,
            epoch=proposal.epoch,
            request=request_of(proposal),
            position=author.position,
            agent=author.agent,
            role=author.role,
            rule=rule_of(decisions, is_stale=target.change.base_version < item.version),
            base_version=target.change.base_version,
            changed=item.changed,
            wrote=item.wrote,
            decisions=decisions,
            decisions_omitted=max(len(item.merge.decided) - CONFLICTS_TOLD, 0),
            together=tuple(key for _scope, key in together),
            together_in=tuple(scope for scope, _key in together),
            proposed_at=author.proposed_at,
            committed_at=_now(),
        )
        return version, data

    async def _reject(
        self, proposal: ProposeState, author: Author, item: Merged, *, lost: Lost
    ) -> StateRejected | None:
        ref = item.held.version.value_ref if item.held is not None else None
        rejected = StateRejected(
            scope=item.target.scope,
            key=item.target.key,
            rule=lost.policy.name,
            reason=lost.reason,
            version=item.version,
            value=raw_of(item.current) if ref is None else NULL,
            value_ref=ref,
            exists=item.current is not MISSING,
            path=lost.path,
            conflicts=tuple(decision_of(item, each, author) for each in (item.merge.lost or [lost])[:CONFLICTS_TOLD]),
        )
        # Fenced on the key: an arbiter that fell behind another one must not reject by what it knew.
        seq = item.held.seq if item.held is not None else 0
        fence = Fence(subject.state_filter(item.target.scope, item.target.key), seq)
        record = ProposalRecord(
            proposal=proposal, agent=author.agent, request=request_of(proposal), rejected=rejected, at=_now()
        )
        if await self.stored.record(record, fence=fence):
            return rejected
        await self.stored.catch_up((item.target.scope, item.target.key))
        return None

    # --- housekeeping ----------------------------------------------------------------------------

    def forget(self, run: str) -> None:
        """Drop a finished run's values from memory; the journal keeps them."""
        self.versions.forget(run)

    @asynccontextmanager
    async def locked(self, *names: tuple[str, str]) -> AsyncIterator[None]:
        """Hold several keys, always taken in one order: two who want both never wait for each other."""
        locks = [(name, self._locks.setdefault(name, _KeyLock())) for name in sorted(set(names))]
        for _name, lock in locks:
            lock.users += 1
        taken: list[asyncio.Lock] = []
        try:
            for _name, lock in locks:
                await lock.turn.acquire()
                taken.append(lock.turn)
            yield
        finally:
            for turn in taken:
                turn.release()
            for name, lock in locks:
                lock.users -= 1
                if not lock.users:
                    del self._locks[name]


def _bounded(target: Target, data: bytes) -> bytes:
    if len(data) > target.contract.limit_bytes:
        raise TooLargeError(
            f"the merged value is too large for {target.contract.template}",
            where=target.key,
            expected=f"at most {target.contract.limit_bytes} bytes",
            got=str(len(data)),
        )
    return data


class _KeyLock:
    """Guards one key's next version; it is kept while somebody holds it or waits for it."""

    __slots__ = ("turn", "users")

    def __init__(self) -> None:
        self.users = 0
        self.turn = asyncio.Lock()  # guards what the class says


def _now() -> datetime:
    return datetime.now(UTC)


def _not_ahead(at: datetime) -> datetime:
    """A proposer's clock decides who was last; one that runs ahead gains nothing by it."""
    return min(at if at.tzinfo is not None else NO_TIME, _now())
