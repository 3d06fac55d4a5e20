"""The doors of one step under test: scripted tools, replies and reviews, and a record of everything."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from remit.agents.replay import Replay
from remit.contracts.errors import Fault, RemitError, ReplayMismatchError, ToolFailedError
from remit.contracts.message import convert, decode_any, digest_of, encode
from remit.contracts.review import RequestReview, ReviewOutcome
from remit.contracts.step import AskAnswered, AskRole, Marked, Recorded, RecordKind, Slept
from remit.contracts.tool import CallNeedsReview, CallTool, ToolAnswered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remit.contracts.proposal import ProposeState, ReadState, StateDecided, StateRead
    from remit.contracts.rollback import MarkCheckpoint
    from remit.contracts.step import SleepStep
    from remit.testing.bench import Bench
    from remit.tools.tool import Tool


@dataclass(frozen=True, kw_only=True)
class Called:
    """One tool call that a handler made."""

    step: str
    tool: str
    arguments: Mapping[str, object]


class Desk:
    """A `StepPort` for one step: asks the bench, and records every answer."""

    def __init__(
        self, bench: Bench, step: str, recorded: list[Recorded], *, role: str, replaying: bool = False
    ) -> None:
        self._bench = bench
        self._role = role
        self._step = step
        self._recorded = recorded
        self._replaying = replaying

    @property
    def epoch(self) -> int:
        """The only epoch of a bench."""
        return 1

    async def hold(self) -> Replay:
        """Give what was recorded before: everything on replay, nothing otherwise."""
        bench = self._bench
        return Replay(self._recorded if self._replaying else (), tokens=bench.tokens, cost=bench.cost)

    async def record(self, recorded: Recorded) -> None:
        """Keep a record; on replay there is nothing new to keep."""
        self._only_live(recorded.kind, recorded.name, recorded.position)
        self._recorded.append(recorded)

    async def call(self, call: CallTool) -> ToolAnswered | CallNeedsReview:
        """Check the arguments, run the script or the real body, and keep the outcome."""
        plain = {"tool": call.tool, "arguments": msgspec.json.decode(call.arguments)}
        action = digest_of(plain)
        if self._replaying and (self._step, call.position, action) in self._bench.decided:
            return CallNeedsReview(action=action, summary=f"call {call.tool}")  # it was rejected, so it is not recorded
        self._only_live("call", call.tool, call.position)
        tool = self._bench.tool_named(call.tool)
        arguments = convert(tool.arguments, msgspec.json.decode(call.arguments))
        if tool.name in self._bench.reviewed and action not in self._bench.approved:
            return CallNeedsReview(action=action, summary=f"call {tool.name}")
        self._bench.calls.append(Called(step=self._step, tool=tool.name, arguments=plain["arguments"]))
        answer = await self._run(tool, arguments, call.position)
        self._keep("call", call, name=tool.name, request=action, answer=(answer.value, answer.error))
        return answer

    async def ask(self, role: str, ask: AskRole) -> AskAnswered:
        """Give the scripted reply, or that of the real role, played as a child step."""
        self._only_live("ask", role, ask.position)
        request = digest_of({"role": role, "body": msgspec.json.decode(ask.body)})
        try:
            reply = await self._bench.answer(role, ask.body, f"{self._step}-a{ask.position}")
            answer = AskAnswered(reply=msgspec.Raw(encode(reply)))
        except RemitError as error:
            answer = AskAnswered(error=error.fault())
        self._keep("ask", ask, name=role, request=request, answer=(answer.reply, answer.error))
        return answer

    async def review(self, request: RequestReview) -> ReviewOutcome:
        """Decide as the test said, and remember what was approved."""
        place = (self._step, request.position, request.subject)
        if self._replaying and place in self._bench.decided:
            return self._bench.decided[place]
        self._bench.reviews.append(request)
        approves, reason = self._bench.decision()
        if approves:
            self._bench.approved.add(request.subject)
        review = f"v{len(self._bench.reviews)}"
        outcome = ReviewOutcome(review_id=review, approved=approves, by="bench", reason=reason)
        self._bench.decided[place] = outcome
        return outcome

    async def sleep(self, request: SleepStep) -> Slept:
        """It is time at once."""
        self._bench.slept.append(request.until_at)
        return Slept()

    async def mark(self, request: MarkCheckpoint) -> Marked:
        """Remember the checkpoint."""
        if request.name not in self._bench.checkpoints:
            self._bench.checkpoints.append(request.name)
        return Marked()

    async def read(self, request: ReadState) -> StateRead:
        """Read the board."""
        return self._bench.board.read(request)

    async def propose(self, proposal: ProposeState) -> StateDecided:
        """Propose to the board."""
        self._only_live("propose", proposal.changes[0].key, proposal.position)
        return self._bench.board.propose(proposal, role=self._role)

    def progress(self, text: str, *, done: int, total: int) -> None:
        """Remember what would have been shown."""
        self._bench.progress.append(text)

    async def _run(self, tool: Tool[object], arguments: msgspec.Struct, position: str) -> ToolAnswered:
        given = {name: getattr(arguments, name) for name in arguments.__struct_fields__}
        try:
            value = self._bench.perform(tool, given, step=self._step, position=position)
            body = encode(await value if inspect.isawaitable(value) else value)
            decode_any(tool.returns, body)
        except RemitError as error:
            return ToolAnswered(error=error.fault())
        except Exception as error:  # noqa: BLE001  # what a tool raises is data, whatever it is
            return ToolAnswered(error=Fault(code=ToolFailedError.code, message=f"{type(error).__name__}: {error}"))
        return ToolAnswered(value=msgspec.Raw(body))

    def _keep(
        self,
        kind: RecordKind,
        asked: CallTool | AskRole,
        *,
        name: str,
        request: str,
        answer: tuple[msgspec.Raw, Fault | None],
    ) -> None:
        self._recorded.append(
            Recorded(
                run_id=asked.run_id,
                step=asked.step,
                epoch=asked.epoch,
                position=asked.position,
                kind=kind,
                name=name,
                request=request,
                value=answer[0],
                error=answer[1],
            )
        )

    def _only_live(self, kind: str, name: str, position: str) -> None:
        if self._replaying:
            raise ReplayMismatchError(
                "the replay does something that the handler did not do before",
                where=f"{self._step} position {position}",
                expected="nothing more",
                got=f"{kind} {name}",
            )
