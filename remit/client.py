"""Speak to one deployment: publish its tasks, read its journal, ask its supervisor; no Ray, and no team is loaded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from remit.bus import stream, subject
from remit.bus.connection import Bus
from remit.bus.dead_letter import DeadLetters
from remit.bus.identity import Credentials
from remit.bus.journal import Journal, Results
from remit.bus.submit import TaskClient
from remit.contracts.control import (
    AskPlan,
    AskStatus,
    CancelRun,
    ControlDone,
    DecideReview,
    EndTeam,
    ForkRun,
    PauseRun,
    RedriveDead,
    ReleaseRole,
    ResumeRun,
    RetryStep,
    RollbackRun,
    RollbackState,
    ScaleRole,
    TeamStatus,
)
from remit.contracts.errors import (
    AnswerTimeoutError,
    ClusterLostError,
    Fault,
    NoRespondersError,
    NotFoundError,
    RemitError,
)
from remit.contracts.message import decode, decode_any, encode
from remit.contracts.plan import PlanSpec
from remit.contracts.step import Refused
from remit.contracts.task import RunFinished, TaskRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from types import TracebackType
    from typing import Self

    from remit.bus.connection import Subscription
    from remit.bus.journal import Entry
    from remit.places import Place

T = TypeVar("T", bound=msgspec.Struct)

OPERATOR, PUBLISHER = "operator", "publisher"
CONTROL_S = 10.0
_LOOK_S = 0.2


class Client:
    """One deployment under the two identities of its place: the operator reads and asks, the publisher submits."""

    def __init__(self, place: Place, operator: Bus) -> None:
        self.place = place
        self.bus = operator
        self.journal = Journal(operator)
        self.results = Results(operator)
        self.dead = DeadLetters(operator)
        self._publisher: Bus | None = None
        self._tasks: TaskClient | None = None
        self._connecting = asyncio.Lock()  # guards the publisher's one connection, which the first callers may all want

    @classmethod
    async def connect(cls, place: Place) -> Client:
        """Give a client that may read and ask.

        Raises:
            BusUnavailableError: nobody answers at the place's address.
            CredentialsRefusedError: the server does not know this operator.
            EnvironmentFaultError: the credentials cannot be read.
        """
        credentials = Credentials.read(Path(place.operator))
        return cls(place, await Bus.connect(place.url, name=OPERATOR, credentials=credentials))

    async def close(self) -> None:
        """Both connections are ended."""
        if self._publisher is not None:
            await self._publisher.close()
        await self.bus.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- tasks -----------------------------------------------------------------------------------

    async def submit(self, workflow: str, request: TaskRequest, *, message_id: str = "") -> str:
        """The task is stored; give its run. Raises as `TaskClient.submit`."""
        tasks = await self.tasks()
        return await tasks.submit(workflow, encode(request), message_id=message_id)

    async def outcome(self, run: str, timeout_s: float) -> RunFinished:
        """Give the outcome of a run; raises AnswerTimeoutError if there is none in time."""
        tasks = await self.tasks()
        return decode(RunFinished, await tasks.outcome(run, timeout_s))

    async def finished(self, run: str) -> RunFinished | None:
        """Give the outcome of a run as far as it is known now."""
        found = await self.results.get(run)
        return decode(RunFinished, found) if found is not None else None

    async def tasks(self) -> TaskClient:
        """Give what publishes tasks and hears outcomes; raises as `connect`."""
        async with self._connecting:
            if self._tasks is None:
                credentials = Credentials.read(Path(self.place.publisher))
                self._publisher = await Bus.connect(self.place.url, name=PUBLISHER, credentials=credentials)
                self._tasks = TaskClient(self._publisher)
            return self._tasks

    # --- the journal -----------------------------------------------------------------------------

    def entries(self, run: str, *, start_seq: int = 1) -> AsyncIterator[Entry]:
        """Give the entries of a run, oldest first."""
        return self.journal.read(subject.run_all(run), start_seq=start_seq)

    def versions(self, scope: str, key: str = "", *, start_seq: int = 1) -> AsyncIterator[Entry]:
        """Give every committed version of a key, or of all keys of a scope, oldest first."""
        return self.journal.read(subject.state_filter(scope, key), start_seq=start_seq)

    async def first_of(self, run: str) -> Entry | None:
        """Give the entry that began a run, or None while it waits in the queue."""
        async for entry in self.journal.read(subject.lane(run), batch=1):
            return entry
        return None

    async def task(self, seq: int) -> Entry | None:
        """Give a task that still waits in the queue."""
        return await stream.at(self.bus, subject.TASKS, seq)

    async def last_task(self) -> int:
        """Give the sequence of the newest task: the newest run is called after it."""
        return (await stream.state(self.bus, subject.TASKS)).last_seq

    async def live(self, run: str, hear: Callable[[bytes], None]) -> Subscription:
        """Call `hear` with what the steps of a run say while they work; nothing of it is stored."""
        return await self.bus.subscribe(subject.live(run, "*"), lambda message: hear(message.data))

    # --- control ---------------------------------------------------------------------------------

    async def status(self) -> TeamStatus:
        """Give the deployment as its supervisor sees it; raises as `ask`."""
        return await self.ask("status", AskStatus(), TeamStatus)

    async def cancel(self, run: str, reason: str) -> ControlDone:
        """The run is ended; raises as `ask`."""
        return await self.ask("cancel", CancelRun(run_id=run, reason=reason), ControlDone)

    async def pause(self, run: str, reason: str) -> ControlDone:
        """Nothing more of the run is dispatched; raises as `ask`."""
        return await self.ask("pause", PauseRun(run_id=run, reason=reason), ControlDone)

    async def resume(self, run: str) -> ControlDone:
        """A paused run goes on; raises as `ask`."""
        return await self.ask("resume", ResumeRun(run_id=run), ControlDone)

    async def retry(self, run: str, step: str) -> ControlDone:
        """A step, or all that wait after a failure, is dispatched again; raises as `ask`."""
        return await self.ask("retry", RetryStep(run_id=run, step=step), ControlDone)

    async def rollback_run(self, wish: RollbackRun) -> ControlDone:
        """The run is being rolled back; raises as `ask`."""
        return await self.ask("rollback_run", wish, ControlDone)

    async def fork(self, wish: ForkRun) -> ControlDone:
        """A run that shares another's past is published, and named in the answer; raises as `ask`."""
        return await self.ask("fork", wish, ControlDone)

    async def plan(self, run: str) -> PlanSpec:
        """Give a run's plan as it is now; raises as `ask`."""
        return await self.ask("plan", AskPlan(run_id=run), PlanSpec)

    async def scale(self, role: str, hosts: int) -> ControlDone:
        """The wish for hosts is journaled, or given back (`AUTO_HOSTS`); raises as `ask`."""
        return await self.ask("scale", ScaleRole(role=role, hosts=hosts), ControlDone)

    async def release(self, role: str) -> ControlDone:
        """Quarantined hosts of a role start again; raises as `ask`."""
        return await self.ask("release", ReleaseRole(role=role), ControlDone)

    async def down(self, drain_s: float) -> ControlDone:
        """The team is served no more, once it is drained; raises as `ask`."""
        return await self.ask("down", EndTeam(drain_s=drain_s), ControlDone)

    async def until_down(self, within_s: float) -> None:
        """Return when no supervisor answers any more.

        Raises:
            AnswerTimeoutError: one still does.
        """
        ends = asyncio.get_running_loop().time() + within_s
        while asyncio.get_running_loop().time() < ends:
            try:
                await self.status()
            except ClusterLostError:
                return
            except AnswerTimeoutError:
                continue  # it ends just now
            await asyncio.sleep(_LOOK_S)
        raise AnswerTimeoutError("the deployment does not end", where=self.place.name, fix="remit down")

    async def decide(self, decision: DecideReview) -> ControlDone:
        """The review is decided; raises as `ask`."""
        return await self.ask("decide", decision, ControlDone)

    async def redrive(self, seq: int) -> ControlDone:
        """The task behind a dead letter is published again; raises as `ask`."""
        return await self.ask("redrive", RedriveDead(seq=seq), ControlDone)

    async def rollback(self, wish: RollbackState) -> ControlDone:
        """An older version of a state key stands again, as a new version; raises as `ask`."""
        return await self.ask("rollback", wish, ControlDone)

    async def ask(self, verb: str, wish: msgspec.Struct, kind: type[T]) -> T:
        """Give the supervisor's answer to a wish.

        Raises:
            RemitError: it refuses, with the code of the refusal; nothing changed.
            ClusterLostError: there is no supervisor; nothing changed.
            AnswerTimeoutError: it did not answer; the wish may or may not be journaled.
        """
        try:
            reply = await self.bus.request(subject.control(verb, OPERATOR), encode(wish), timeout_s=CONTROL_S)
        except NoRespondersError as error:
            raise ClusterLostError("the supervisor does not answer", where=self.place.name, fix="remit up") from error
        answer: T | Refused = decode_any(kind | Refused, reply.data)
        if isinstance(answer, Refused):
            raise error_of(answer.error)
        return answer


def error_of(fault: Fault) -> RemitError:
    """Give a fault as the error of its code, so that it is told apart as if it had been raised here."""
    kind = _by_code().get(fault.code, RemitError)
    error = kind(fault.message, where=fault.where, expected=fault.expected, got=fault.got, fix=fault.fix)
    if kind is RemitError:
        error.code = fault.code  # type: ignore[misc]  # a newer version's code is said as it came
    return error


def _by_code() -> Mapping[str, type[RemitError]]:
    found: dict[str, type[RemitError]] = {}
    todo: list[type[RemitError]] = [RemitError]
    while todo:
        kind = todo.pop()
        found[kind.code] = kind
        todo += kind.__subclasses__()
    return found


def seq_of(run: str) -> int:
    """Give the sequence in a run's name.

    Raises:
        NotFoundError: this names no run.
    """
    if not (run.startswith("r") and run[1:].isdigit()):
        raise NotFoundError(
            f"{run!r} names no run", expected="r and a number, such as r41", got=run, fix="remit run list"
        )
    return int(run[1:])
