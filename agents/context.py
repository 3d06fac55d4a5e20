"""All that a role may see and do: every operation is recorded by (step, position) and answered again on replay."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Final, TypeVar, cast, overload

import msgspec

from remit.agents.fault import raise_fault
from remit.agents.passage import Passage
from remit.agents.repetition import Repetition
from remit.agents.replay import annotated_result, scope, take_position
from remit.agents.role import Role, contract_of
from remit.agents.state import StateView
from remit.agents.thinking import Thinking
from remit.contracts.blob import INLINE_LIMIT_BYTES
from remit.contracts.errors import (
    AskFailedError,
    Fault,
    RefusedError,
    RemitError,
    ReviewRejectedError,
    TooLargeError,
    ToolFailedError,
)
from remit.contracts.message import Message, decode, decode_any, digest_of, encode, raw, tag_of
from remit.contracts.model import Spent, reserve_of
from remit.contracts.review import RequestReview, ReviewKind, ReviewOutcome
from remit.contracts.step import AskRole, OutdatedRead, Recorded, RecordKind, RunStep
from remit.contracts.tool import CallNeedsReview, CallTool, ToolAnswered, ToolRef

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from datetime import datetime

    from remit.agents.port import StepPort
    from remit.agents.replay import Replay
    from remit.contracts.model import Completion, Messages
    from remit.contracts.rollback import RolledBackNote

T = TypeVar("T")
R = TypeVar("R")
Work = TypeVar("Work", bound=Message)
Reply = TypeVar("Reply", bound=Message)

_REFUSED: Final = "RM-2"
"""Codes of what would be refused again."""


class Context(Thinking, Passage):
    """One step as its handler sees it."""

    def __init__(self, work: RunStep, port: StepPort) -> None:
        self._work = work
        self.port = port
        self.state = StateView(self)
        self._repetition = Repetition()
        self._spent = Spent()
        """What models answered since the handler began, what was recorded before left out."""
        self._acting = 0
        """Functions of the handler that run now, and would begin anew if the step were parked."""

    @property
    def run_id(self) -> str:
        """Name of the run."""
        return self._work.run_id

    @property
    def step_id(self) -> str:
        """Name of the step."""
        return self._work.step

    @property
    def epoch(self) -> int:
        """Which dispatch of the step this is."""
        return self._work.epoch

    @property
    def goal(self) -> str:
        """The requirement of the run, in words."""
        return self._work.goal

    @property
    def goal_hash(self) -> str:
        """Digest of the requirement; it never changes during a run."""
        return self._work.goal_hash

    @property
    def attempt(self) -> int:
        """1, and one more for each retry after a failure."""
        return self._work.attempt

    @property
    def outdated(self) -> tuple[OutdatedRead, ...]:
        """What had changed in the shared state while the step ran before, so that its result did not count."""
        return self._work.outdated

    @property
    def refusals(self) -> tuple[Fault, ...]:
        """Why the plan that this step proposed before was refused."""
        return self._work.refusals

    @property
    def rolled_back(self) -> RolledBackNote | None:
        """The rollback after which this step begins again, if it does: why, and what lasts of what was done."""
        return self._work.rolled_back

    @property
    def deadline_at(self) -> datetime:
        """When the step is stopped."""
        return self._work.deadline_at

    async def call(self, tool: ToolRef[R], /, **arguments: object) -> R:
        """Have a gateway call a tool once, and give its result.

        Raises:
            ToolFailedError: the tool raised, timed out, or its outcome is in doubt; recorded.
            RefusedError: the grant or the tool's schema refuses the call; nothing was called.
        """
        return _outcome(tool, *await self._called(tool.name, arguments))

    async def ask(self, role: type[Role[Work, Reply]], work: Work) -> Reply:
        """Hand work to another role and give its reply.

        Raises:
            AskFailedError: the other step failed for good; its fault is in the fields.
            RefusedError: this role may not ask that one, or the work does not fit; nothing was dispatched.
        """
        _takes, gives = contract_of(role)
        name, body = role.role_name(), encode(work)
        position = take_position()
        replay = await self.port.hold()
        request = digest_of({"role": name, "body": msgspec.json.decode(body)})
        self._repetition.count(name, request, where=f"{self.step_id} position {position}", most=replay.repeats)
        found = replay.find(position=position, kind="ask", name=name, request=request)
        if found is None:
            asked = AskRole(
                run_id=self.run_id,
                step=self.step_id,
                epoch=self.epoch,
                position=position,
                contract=tag_of(type(work)),
                body=msgspec.Raw(_bounded(body, "ask")),
                may_park=not self._acting,
            )
            answer = await self.port.ask(name, asked)
            value, error = answer.reply, answer.error
        else:
            value, error = found.value, found.error
        if error is not None:
            raise _raised(AskFailedError, error, f"role {name} failed")
        return cast("Reply", decode(gives, value))

    @overload
    async def step(self, name: str, act: Callable[[], Awaitable[T]], *, returns: type[T] | None = None) -> T: ...

    @overload
    async def step(self, name: str, act: Callable[[], T], *, returns: type[T] | None = None) -> T: ...

    async def step(self, name: str, act: Callable[[], object], *, returns: type[T] | None = None) -> T:
        """Run something once, record what it gives, and give that again on replay.

        The value is decoded as `returns`, or as the function's annotated result, or as plain JSON: the first
        time as on every replay. Use it for what is not deterministic: time, randomness, a costly thought.
        """
        kind = returns or annotated_result(act)

        async def once(_position: str) -> bytes:
            value = act()
            return encode(await value if inspect.isawaitable(value) else value)

        body = await self.recorded("step", name, request="", act=once)
        value: T = decode_any(kind, body)
        return value

    async def gather(self, *branches: Coroutine[object, object, T]) -> tuple[T, ...]:
        """Run branches side by side and give their results in order; the first error cancels the rest."""
        import asyncio  # most of the time that importing a team takes, and a branch has it loaded already

        position = take_position()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(_branch(f"{position}-{index}-", branch)) for index, branch in enumerate(branches)
                ]
        finally:
            for branch in branches:
                branch.close()  # Python warns of one that was cancelled before it began
        return tuple(task.result() for task in tasks)

    async def review(self, title: str, body: object) -> ReviewOutcome:
        """Wait for a person's decision on exactly `body`; the slot is released meanwhile."""
        return await self._review(take_position(), "question", title, subject=digest_of(body), body=body)

    def progress(self, text: str, *, done: int = 0, total: int = 0) -> None:
        """Tell whoever watches this run; nothing is stored."""
        self.port.progress(text, done=done, total=total)

    async def recorded(
        self, kind: RecordKind, name: str, *, request: str, act: Callable[[str], Awaitable[bytes]]
    ) -> msgspec.Raw:
        """Give what was recorded at the next position, or act and record it first."""
        position = take_position()
        replay = await self.port.hold()
        found = replay.find(position=position, kind=kind, name=name, request=request)
        if found is not None:
            return found.value
        self._acting += 1
        try:
            value = msgspec.Raw(_bounded(await act(position), f"{kind} {name}"))
        finally:
            self._acting -= 1
        await self.port.record(
            Recorded(
                run_id=self.run_id,
                step=self.step_id,
                epoch=self.epoch,
                position=position,
                kind=kind,
                name=name,
                request=request,
                value=value,
            )
        )
        return value

    async def _called(
        self, tool: str, arguments: Mapping[str, object], *, before: Callable[[Replay], None] | None = None
    ) -> tuple[msgspec.Raw, Fault | None]:
        """Give what was recorded, or call; `before` may refuse a call that nobody has made yet."""
        request = digest_of({"tool": tool, "arguments": arguments})
        position = take_position()
        replay = await self.port.hold()
        self._repetition.count(tool, request, where=f"{self.step_id} position {position}", most=replay.repeats)
        found = replay.find(position=position, kind="call", name=tool, request=request)
        if found is not None:
            return found.value, found.error
        if before is not None:
            before(replay)
        asked = CallTool(
            run_id=self.run_id,
            step=self.step_id,
            epoch=self.epoch,
            position=position,
            tool=tool,
            arguments=raw(arguments),
        )
        answer = await self.port.call(asked)
        if isinstance(answer, CallNeedsReview):
            answer = await self._approved_call(asked, answer)
        return answer.value, answer.error

    async def _completed(self, tool: ToolRef[Completion], arguments: Mapping[str, object]) -> Completion:
        """Give what a model answers to one call."""
        reserves: list[int] = []  # stays empty if the answer is recorded already
        value, error = await self._called(
            tool.name, arguments, before=lambda replay: reserves.append(self._afford(arguments, replay))
        )
        if error is not None and error.code.startswith(_REFUSED):
            raise_fault(error)
        completion = _outcome(tool, value, error)
        if reserves:
            self._spent = self._spent.plus(completion)
        return completion

    def _afford(self, arguments: Mapping[str, object], replay: Replay) -> int:
        """Give how many tokens are set aside for a call that is within what the step may have of models.

        Whatever is recorded counts, also what comes later or stands inside a round of a reflection: so what was refused
        once is refused on replay, and what was not is recorded.

        Raises:
            BudgetSpentError: it is not.
        """
        spent = Spent(tokens=replay.spent.tokens + self._spent.tokens, cost=replay.spent.cost + self._spent.cost)
        reserve = reserve_of(cast("Messages", arguments["messages"]), cast("int", arguments.get("max_tokens", 0)))
        where = f"charter.yaml: roles.{self._work.role}.limits"
        spent.check(reserve=reserve, tokens=replay.tokens, cost=replay.cost, where=where)
        return reserve

    async def _approved_call(self, asked: CallTool, needs: CallNeedsReview) -> ToolAnswered:
        body = {"tool": asked.tool, "arguments": msgspec.json.decode(asked.arguments)}
        outcome = await self._review(asked.position, "action", needs.summary, subject=needs.action, body=body)
        if not outcome.approved:
            raise ReviewRejectedError(
                f"{outcome.by} rejected the call of {asked.tool}", where=outcome.review_id, got=outcome.reason
            )
        answer = await self.port.call(asked)
        if isinstance(answer, CallNeedsReview):
            raise RefusedError(f"the approval of {asked.tool} does not cover this call", where=outcome.review_id)
        return answer

    async def _review(
        self, position: str, kind: ReviewKind, title: str, *, subject: str, body: object
    ) -> ReviewOutcome:
        await self.port.hold()
        return await self.port.review(
            RequestReview(
                run_id=self.run_id,
                step=self.step_id,
                epoch=self.epoch,
                position=position,
                kind=kind,
                title=title,
                subject=subject,
                body=raw(body),
            )
        )


def _outcome(tool: ToolRef[R], value: msgspec.Raw, error: Fault | None) -> R:
    if error is not None:
        raise _raised(ToolFailedError, error, f"tool {tool.name} failed")
    result: R = decode_any(tool.returns, value)
    return result


async def _branch(prefix: str, branch: Coroutine[object, object, T]) -> T:
    with scope(prefix):
        return await branch


def _bounded(body: bytes, what: str) -> bytes:
    if len(body) > INLINE_LIMIT_BYTES:
        raise TooLargeError(
            f"the value of {what} is too large for a message",
            expected=f"at most {INLINE_LIMIT_BYTES} bytes",
            got=str(len(body)),
            fix="keep it behind a tool and pass its name and digest",
        )
    return body


def _raised(kind: type[RemitError], fault: Fault, what: str) -> RemitError:
    return kind(
        f"{what}: {fault.code} {fault.message}",
        where=fault.where,
        expected=fault.expected,
        got=fault.got,
        fix=fault.fix,
    )
