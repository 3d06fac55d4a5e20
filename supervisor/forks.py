"""Runs that share another's past: an operator wishes for one, it is published as a task, and it takes the past over."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import msgspec

from remit.bus import stream, subject
from remit.contracts.control import ForkChange, ForkRun
from remit.contracts.document import TEAM_SCOPE
from remit.contracts.errors import (
    ConflictError,
    MalformedMessageError,
    NotFoundError,
    UnknownWorkflowError,
    UsageError,
)
from remit.contracts.fork import AdoptedStep, RunForked
from remit.contracts.ids import run_id
from remit.contracts.message import Message, decode, encode, raw
from remit.contracts.plan import START, PlannedNode
from remit.contracts.policy import MISSING
from remit.contracts.task import ForkOrigin, TaskRequest
from remit.supervisor.adoption import begun, records_of
from remit.supervisor.change import FORK_KEY
from remit.supervisor.dispatch import Append
from remit.supervisor.edit import edited
from remit.supervisor.effects_done import Calls
from remit.supervisor.past import folded
from remit.supervisor.restoration import BATCH, Restoration

if TYPE_CHECKING:
    from remit.bus.connection import Bus
    from remit.bus.journal import Journal
    from remit.contracts.team import TeamSpec
    from remit.supervisor.arbiter import Arbiter
    from remit.supervisor.overwrite import Overwrites
    from remit.supervisor.run_state import NodeState, RunState

FORK: Final = "fork"
PART_BYTES: Final = 1024 * 1024
"""Of the replies that one entry takes over."""


class ForkWish(Message, frozen=True, kw_only=True, tag="fork.wish.v1"):
    """What an operator wishes for, kept under a name that nobody guesses."""

    origin: ForkOrigin
    changes: tuple[ForkChange, ...] = ()


class Forks:
    """Begins forks, and brings them to where their own steps start."""

    def __init__(self, bus: Bus, journal: Journal, team: TeamSpec, *, arbiter: Arbiter, overwrites: Overwrites) -> None:
        self._bus = bus
        self._journal = journal
        self._team = team
        self._arbiter = arbiter
        self._overwrites = overwrites
        self._restoration = Restoration(journal, arbiter, overwrites)

    # --- an operator's wish ----------------------------------------------------------------------

    async def begin(self, wish: ForkRun, *, by: str) -> str:
        """The fork is published as a task; give its run.

        Raises:
            NotFoundError: there is no such run or checkpoint; nothing was published.
            UnknownWorkflowError: the team does not have its workflow any more; nothing was published.
            ConflictError: what the run has finished is not known yet; nothing was published.
            UsageError: a change names nothing that can be changed, or its value does not fit; nothing was published.
            StateInvalidError: no contract covers a state key, or its value does not fit; nothing was published.
            BusUnavailableError: no answer came; the fork may or may not be published.
        """
        past, at_seq = await self._past(wish)
        origin = ForkOrigin(
            run_id=wish.run_id,
            at=wish.at,
            at_seq=at_seq,
            by=by,
            changes=tuple(change.path for change in wish.changes),
            wish=secrets.token_hex(16),
        )
        self._check(past, wish)
        given = _changed(past.started.input, "input", wish.changes, kind=self._team.takes(past.started.workflow))
        await self._overwrites.overwrite(
            TEAM_SCOPE,
            {FORK_KEY + origin.wish: msgspec.json.decode(encode(ForkWish(origin=origin, changes=wish.changes)))},
            by=by,
            rule=FORK,
            position=origin.wish,
        )
        limits = past.started.limits
        task = TaskRequest(goal=past.started.goal, input=given, wall_clock_s=limits.wall_clock_s, fork=origin.wish)
        target = subject.task(past.started.workflow)
        headers = {stream.MESSAGE_ID: f"{past.started.workflow}:fork:{origin.wish}"}
        return run_id((await stream.store(self._bus, target, encode(task), headers=headers)).seq)

    def _check(self, past: RunState, wish: ForkRun) -> None:
        if past.started.workflow not in self._team.workflows:
            raise UnknownWorkflowError(
                f"team {self._team.name} has no workflow {past.started.workflow!r} any more",
                where=wish.run_id,
                expected=", ".join(sorted(self._team.workflows)),
                got=past.started.workflow,
            )
        roots = {"input", "state", *past.nodes}
        for change in wish.changes:
            root = change.path.split(".", maxsplit=1)[0]
            if root not in roots or (root in past.nodes and (root not in past.steps or not past.nodes[root].is_over)):
                raise UsageError(
                    "this is nothing that a fork can change",
                    where=change.path,
                    expected="input.<field>, state.<key>, or <node>.<field> of a node that is over",
                    got=change.path,
                )
            if root == "state":
                self._check_state(change)
            if root in past.nodes:
                step = past.steps[root]
                _changed(step.reply, root, wish.changes, kind=past.team.roles[step.work.role].gives)

    def _check_state(self, change: ForkChange) -> None:
        contract = self._arbiter.rules.contract_of(change.path.removeprefix("state."))
        try:
            contract.checked(change.value)
        except MalformedMessageError as error:
            where = change.path + error.where.removeprefix("$")
            said = f"{change.path} does not fit its contract: {error.message}"
            raise UsageError(said, where=where, expected=error.expected, got=error.got) from error

    async def _past(self, wish: ForkRun) -> tuple[RunState, int]:
        """Give the origin as it was at its checkpoint, and the place of that in the journal."""
        whole = await self.folded(wish.run_id)
        if whole is None:
            raise NotFoundError(f"there is no run {wish.run_id} of this team", got=wish.run_id, fix="remit run list")
        if whole.is_forking or (whole.rollback is not None and not wish.at):
            what = "takes over its own past" if whole.is_forking else "is being rolled back"
            raise ConflictError(
                f"run {wish.run_id} {what}; what it has finished is not known yet",
                where=wish.run_id,
                fix=f"remit run show {wish.run_id}, or name a checkpoint",
            )
        if not wish.at:
            return whole, whole.lane_seq
        mark = whole.checkpoints.get(wish.at)
        if mark is None and wish.at == START:
            return await self.folded(wish.run_id, end_seq=whole.first_seq) or whole, whole.first_seq
        if mark is None:
            raise NotFoundError(
                f"run {wish.run_id} has no checkpoint {wish.at!r}",
                expected=", ".join(dict.fromkeys((START, *whole.checkpoints))),
                got=wish.at,
                fix=f"remit run show {wish.run_id}",
            )
        if mark.taken.step:
            raise UsageError(
                f"checkpoint {wish.at} is inside step {mark.taken.step}; a fork begins between steps",
                where=wish.at,
                expected=", ".join(name for name, item in whole.checkpoints.items() if not item.taken.step),
            )
        past = await self.folded(wish.run_id, end_seq=mark.seq)
        return past or whole, mark.seq

    async def folded(self, name: str, *, end_seq: int = 0) -> RunState | None:
        """Give a run, finished or not, as it was at a place in the journal; raises BusUnavailableError."""
        return await folded(self._journal, self._team, name, end_seq=end_seq)

    # --- a fork that has started -----------------------------------------------------------------

    async def origin(self, name: str) -> ForkOrigin:
        """Give the origin that an operator wished for under this name.

        Raises:
            NotFoundError: nobody wished for it.
        """
        return (await self._wish(name)).origin

    async def _wish(self, name: str) -> ForkWish:
        held = self._arbiter.versions.held(TEAM_SCOPE, FORK_KEY + name) if name.isalnum() else None
        if held is None:
            raise NotFoundError("nobody wished for this fork", where="$.fork", fix="remit run fork")
        return decode(ForkWish, await self._arbiter.archive.data(held.version))

    async def next(self, run: RunState) -> Append | None:
        """Give the next part of the shared past; the last one comes when the state is there."""
        origin = run.started.fork
        if origin is None or not run.is_forking:
            return None
        past = await self.folded(origin.run_id, end_seq=origin.at_seq)
        if past is None:
            raise NotFoundError("the origin of this fork is gone", where=origin.run_id)
        changes = (await self._wish(origin.wish)).changes
        unjudged = set(past.proposals)  # its plan is not part of the past: the planner is asked again
        nodes = [
            node
            for node in past.nodes.values()
            if (node.is_over or (node.decided and not origin.at)) and unjudged.isdisjoint(node.steps())
        ]
        steps = self._adopted(past, nodes, changes)
        part = tuple(item for item in steps if item.work.step not in run.steps)
        chunk = _chunk(part)
        left = [] if origin.at else [name for name in begun(past, nodes) if name not in run.adopted]
        records = [await records_of(self._journal, past, name) for name in left[:1]] if len(chunk) == len(part) else []
        # Other entries may stand before the first part: the run was bound to another build.
        is_last, is_first = len(chunk) == len(part) and len(left) <= 1, not (run.steps or run.adopted)
        calls = await Calls.read(self._journal, origin.run_id) if is_last else None
        names = {item.work.step for item in steps}
        if is_last:
            await self._copy_state(run, origin, changes)
        kept = _kept(run, past)
        entry = RunForked(
            run_id=run.run_id,
            part=run.number,
            is_last=is_last,
            added=tuple(node.spec for name, node in past.nodes.items() if name not in kept) if is_first else (),
            dropped=tuple(name for name in run.nodes if name not in kept) if is_first else (),
            nodes=tuple(_planned(node) for node in nodes) if is_first else (),
            steps=chunk,
            records=tuple(records),
            effects=len(calls.effects(lambda step: step.split("-a")[0] in names)) if calls is not None else 0,
        )
        return Append(subject.decision(run.run_id, run.number + 1, "forked"), entry)

    def _adopted(
        self, past: RunState, nodes: list[NodeState], changes: tuple[ForkChange, ...]
    ) -> tuple[AdoptedStep, ...]:
        found = list[AdoptedStep]()
        for node in nodes:
            for name in node.steps():
                step = past.steps.get(name)
                if step is None or step.status != "completed":
                    continue
                kind = past.team.roles[step.work.role].gives
                reply = _changed(step.reply, name, changes, kind=kind)
                work = msgspec.structs.replace(step.work, start=None)
                found.append(AdoptedStep(work=work, reply=reply, completed_by=step.completed_by))
        return tuple(found)

    async def _copy_state(self, run: RunState, origin: ForkOrigin, changes: tuple[ForkChange, ...]) -> None:
        history = await self._restoration.history(origin.run_id, 1, origin.at_seq)
        values: dict[str, object] = {}
        numbers = {key: versions[-1][1].version for key, versions in history.items()}
        for key, versions in history.items():
            contract = self._arbiter.rules.contract_of(key)
            plain = await self._arbiter.archive.plain(contract, versions[-1][1])
            if plain is not MISSING:
                values[key] = plain
        for change in changes:
            if change.path.startswith("state."):
                key = change.path.removeprefix("state.")
                values[key] = self._arbiter.rules.contract_of(key).checked(change.value)
        names = sorted(values)
        for at in range(0, len(names), BATCH):
            part = {name: values[name] for name in names[at : at + BATCH]}
            await self._overwrites.overwrite(
                run.run_id, part, by=origin.by, rule=FORK, position=f"{FORK}-{at}", numbers=numbers
            )


def _kept(run: RunState, past: RunState) -> set[str]:
    """Name the nodes of today's plan that are the origin's; none if one of them is another one by now.

    Then the whole plan is the origin's, in its order: the last node gives the result.
    """
    common = run.nodes.keys() & past.nodes.keys()
    return common if all(run.nodes[name].spec == past.nodes[name].spec for name in common) else set()


def _planned(node: NodeState) -> PlannedNode:
    return PlannedNode(node=node.spec.name, width=node.width, fanned=node.fanned, skipped=node.skipped)


def _chunk(steps: tuple[AdoptedStep, ...]) -> tuple[AdoptedStep, ...]:
    size, found = 0, list[AdoptedStep]()
    for step in steps:
        size += len(bytes(step.reply)) + len(bytes(step.work.body))
        if found and size > PART_BYTES:
            break
        found.append(step)
    return tuple(found)


def _changed(message: msgspec.Raw, root: str, changes: tuple[ForkChange, ...], *, kind: type[Message]) -> msgspec.Raw:
    """Give a message with the changes below a root, and see that it still is one."""
    wanted = {
        change.path.removeprefix(f"{root}."): decode(object, change.value)
        for change in changes
        if change.path.startswith(f"{root}.")
    }
    if not wanted:
        return message
    made = raw(edited(decode(object, message), wanted))
    try:
        decode(kind, made)
    except MalformedMessageError as error:
        raise UsageError(
            f"{root} does not fit {kind.__name__} any more: {error.message}",
            where=f"{root}{error.where.removeprefix('$')}",
            expected=error.expected,
            got=error.got,
        ) from error
    return made
