"""A bench for roles: says what tools, other roles and people answer, runs a handler, and replays it."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import msgspec

from remit.agents.context import Context
from remit.agents.replay import scope
from remit.agents.role import Role, contract_of
from remit.contracts.errors import RefusedError, ReplayMismatchError
from remit.contracts.ids import intent_key
from remit.contracts.message import Message, decode, digest, digest_of, encode, tag_of
from remit.contracts.step import Recorded, RunStep
from remit.testing.board import WHENEVER, Board
from remit.testing.desk import Called, Desk
from remit.testing.flow import flow
from remit.testing.model import Said, ScriptedModel
from remit.tools.model import model_tool
from remit.tools.tool import ToolScope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from remit.agents.role import AnyRole
    from remit.contracts.model import Completion, ModelMessage
    from remit.contracts.review import RequestReview, ReviewOutcome
    from remit.team import Team
    from remit.tools.tool import Tool

Work = TypeVar("Work", bound=Message)
Reply = TypeVar("Reply", bound=Message)


@dataclass(frozen=True)
class _Handled:
    role: type[AnyRole]
    work: bytes
    reply: bytes
    recorded: list[Recorded]


class Bench:
    """What the world answers to a role, and what the role did to it.

        bench = Bench()
        bench.tool(send_mail, lambda to, body: "sent")
        answer = await bench.run(Clerk, Ticket(customer="a@b.c", text="broken"))
        assert bench.calls[0].arguments["to"] == "a@b.c"
        await bench.replay()

    Nothing is answered that the test did not say: a tool needs a script or `bench.real(tool)`, an asked role a
    reply or `bench.play(Role)`. Values cross the same codec as on the wire.
    """

    def __init__(
        self,
        team: Team | None = None,
        *,
        goal: str = "a goal",
        data: Mapping[str, str] | None = None,
        scratch: Path | None = None,
        reviewed: Sequence[Tool[object]] = (),
    ) -> None:
        self.goal = goal
        self.team = team
        self.data = dict(data or {})
        self.reviewed = {tool.name for tool in reviewed}
        """Tools that a person must approve."""
        self.approves = True
        """What that person decides; `reason` is what they say. `person` scripts them one by one."""
        self.reason = ""
        self.tokens, self.cost = 0, 0.0
        """What each step may have of models, as a charter's limits say; 0 bounds nothing."""
        self.approved: set[str] = set()
        self.calls: list[Called] = []
        self.asked: list[tuple[str, Message]] = []
        self.reviews: list[RequestReview] = []
        self.slept: list[datetime] = []
        """The times until which a role waited; no test waits."""
        self.checkpoints: list[str] = []
        self.progress: list[str] = []
        self.board = Board(team.state if team else None)
        self._scratch = scratch
        self._tools: dict[str, Tool[object]] = {}
        self._scripts: dict[str, Callable[..., object]] = {}
        self._replies: dict[str, Callable[[Message], object]] = {}
        self._roles: dict[str, type[AnyRole]] = {}
        self._handled: dict[str, _Handled] = {}
        self._says: list[str] = []
        self.decided: dict[tuple[str, str, str], ReviewOutcome] = {}
        """What the person decided, by step, position and subject."""

    # --- what the world answers ---

    def tool(self, tool: Tool[object], script: Callable[..., object]) -> None:
        """Answer a tool by a function of its arguments; what it raises, the tool raised."""
        self._tools[tool.name], self._scripts[tool.name] = tool, script

    def real(self, *tools: Tool[object]) -> None:
        """Run the bodies of these tools here, with a scope over `data` and `scratch`."""
        for tool in tools:
            self._tools[tool.name] = tool
            self._scripts.pop(tool.name, None)

    def model(
        self, *says: Said | Callable[[tuple[ModelMessage, ...]], Said], tool: Tool[Completion] | None = None
    ) -> None:
        """Answer what is asked of a model: by these one after the other, the last for ever, or by a function.

        A text or a completion is said as it is, any other value as JSON; what a function raises, the tool raised.
        """
        scripted = ScriptedModel(says)
        self.tool(tool or model_tool("http://bench", models=["bench"]), scripted.answer)

    def reply(self, role: type[Role[Work, Reply]], script: Reply | Callable[[Work], Reply]) -> None:
        """Answer what is asked of a role by one reply, or by a function of the work."""
        self._roles[role.role_name()] = role
        self._replies[role.role_name()] = cast(
            "Callable[[Message], object]", script if callable(script) else lambda _work: script
        )

    def person(self, *reasons: str) -> None:
        """Decide reviews one after the other, the last for ever: an empty reason approves, any other one rejects."""
        self._says = [*reasons]

    def play(self, *roles: type[AnyRole]) -> None:
        """Let these roles themselves answer what is asked of them."""
        for role in roles:
            self._roles[role.role_name()] = role
            self._replies.pop(role.role_name(), None)

    # --- what the test does ---

    async def run(self, role: type[Role[Work, Reply]], work: Work, *, step: str = "") -> Reply:
        """Handle one piece of work and give the reply; raises what the handler raises.

        Raises:
            RefusedError: the reply is not of the type that the role names.
        """
        takes, gives = contract_of(role)
        name, recorded = step or role.role_name(), list[Recorded]()
        body = encode(decode(takes, encode(work)))
        reply = await self._handle(role, body, desk=Desk(self, name, recorded, role=role.role_name()), step=name)
        self._handled[name] = _Handled(role, body, encode(reply), recorded)
        return cast("Reply", decode(gives, encode(reply)))

    async def replay(self, step: str = "") -> None:
        """Handle the same work again from its records: nothing new is done and the reply is the same.

        Raises:
            ReplayMismatchError: the handler asked for something else, for more, or replied differently.
        """
        name = step or next(reversed(self._handled))
        before = self._handled[name]
        desk = Desk(self, name, before.recorded, role=before.role.role_name(), replaying=True)
        reply = encode(await self._handle(before.role, before.work, desk=desk, step=name))
        if reply != before.reply:
            raise ReplayMismatchError(
                "the handler replies differently from the same records",
                where=name,
                expected=digest_of(before.reply)[:19],
                got=digest_of(reply)[:19],
            )

    async def flow(self, workflow: str, work: Message) -> Message:
        """Run a workflow of the team step by step, all its roles played for real; give the last reply."""
        if self.team is None:
            raise RefusedError("a bench without a team has no workflows", fix="Bench(team)")
        self.play(*self.team.roles.values())
        return await flow(self, self.team.workflows[workflow], work)

    def steps(self) -> tuple[str, ...]:
        """Name every step that was handled, in order: `replay` takes each."""
        return tuple(self._handled)

    def state(self, key: str, *, scope: str = "r1") -> object:
        """Give a state key's current value as plain JSON, or None."""
        return self.board.value(key, scope)

    # --- what a desk asks ---

    def tool_named(self, name: str) -> Tool[object]:
        """Give a tool that the test spoke of.

        Raises:
            RefusedError: it did not.
        """
        if name not in self._tools:
            raise RefusedError(f"the bench does not know tool {name}", fix=f"bench.tool({name}, …) or bench.real(…)")
        return self._tools[name]

    def perform(self, tool: Tool[object], given: Mapping[str, object], *, step: str, position: str) -> object:
        """Run the script, or the body with its intent and scope."""
        if tool.name in self._scripts:
            return self._scripts[tool.name](**given)
        intent = intent_key("r1", step, position)
        extra: dict[str, object] = {"intent": intent} if tool.wants_intent else {}
        if tool.wants_scope:
            extra["scope"] = ToolScope(
                run_id="r1", step=step, role="bench", intent=intent, scratch=self.scratch, data=self.data
            )
        return tool.body(**given, **extra)

    @property
    def scratch(self) -> Path:
        """The folder that tools get as the run's scratch folder."""
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="remit-bench-"))
            weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        return self._scratch

    def decision(self) -> tuple[bool, str]:
        """Give what the person decides next: whether they approve, and what they say."""
        if not self._says:
            return self.approves, self.reason
        reason = self._says.pop(0) if len(self._says) > 1 else self._says[0]
        return not reason, reason

    async def answer(self, role: str, body: msgspec.Raw, step: str) -> Message:
        """Give the reply of a role that was asked.

        Raises:
            RefusedError: the test said nothing about this role.
        """
        if role not in self._roles:
            raise RefusedError(f"the bench does not know role {role}", fix="bench.reply(Role, …) or bench.play(Role)")
        kind = cast("type[Role[Message, Message]]", self._roles[role])
        work = decode(contract_of(kind)[0], body)
        self.asked.append((role, work))
        if role in self._replies:
            return cast("Message", self._replies[role](work))
        return await self.run(kind, work, step=step)

    async def _handle(self, role: type[AnyRole], work: bytes, *, desk: Desk, step: str) -> Message:
        takes, gives = contract_of(role)
        context = Context(self._dispatched(role, work, step), desk)
        with scope():
            reply = await cast("type[Role[Message, Message]]", role)().handle(decode(takes, work), context)
        if not isinstance(reply, gives):
            raise RefusedError(
                f"{role.__name__} replied with another type", expected=gives.__name__, got=type(reply).__name__
            )
        return reply

    def _dispatched(self, role: type[AnyRole], work: bytes, step: str) -> RunStep:
        return RunStep(
            run_id="r1",
            step=step,
            epoch=1,
            role=role.role_name(),
            goal=self.goal,
            goal_hash=digest(self.goal.encode()),
            contract=tag_of(contract_of(role)[0]),
            body=msgspec.Raw(work),
            deadline_at=WHENEVER + timedelta(hours=1),
            rule="bench",
        )
