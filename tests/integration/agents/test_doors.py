"""What a step asks of the trusted planes, and what it makes of every answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import pytest

from remit.agents.role import Role
from remit.bus import subject
from remit.contracts.errors import Fault, GrantDeniedError, ToolTimeoutError
from remit.contracts.message import Message, digest_of, raw
from remit.contracts.proposal import ProposeState, ReadState, StateCommitted, StateRead, StateVersion
from remit.contracts.review import RequestReview, ReviewOutcome
from remit.contracts.step import (
    AskAnswered,
    AskRole,
    ClaimRefused,
    ClaimStep,
    Parked,
    Recorded,
    Refused,
    Superseded,
)
from remit.contracts.tool import CallNeedsReview, CallTool, ToolAnswered
from tests.integration.agents.world import Done, Job, World, soon

if TYPE_CHECKING:
    from remit.agents.context import Context


class SendMail:
    """What a handler knows of a tool."""

    name = "mail.send"
    returns = str


MAIL = SendMail()
PARKED = Parked(review_id="r1-v1")
GONE = Superseded(reason="epoch 2 is dispatched")
DENIED = Refused(error=Fault(code="RM-203", message="not in the grant", expected="fs.read", got="mail.send"))


class Critic(Role[Job, Done]):
    async def handle(self, work: Job, ctx: Context) -> Done:
        return Done(text=work.text)


async def send(_work: Job, ctx: Context) -> Done:
    return Done(text=await ctx.call(MAIL, to="a@b.c"))


async def text(world: World) -> object:
    """Give the text of the next completion."""
    return msgspec.json.decode((await world.completed()).reply, type=Done).text


# --- tools -----------------------------------------------------------------------------------------


async def test_a_call_goes_to_the_gateway_of_the_lease_and_gives_its_outcome(world: World) -> None:
    asked: list[tuple[Message, str]] = []

    def answer(call: Message, agent: str) -> ToolAnswered:
        asked.append((call, agent))
        return ToolAnswered(value=raw("sent"))

    await world.supervisor()
    await world.gateway(CallTool, answer)
    host = await world.serve(send)

    await world.dispatch()

    assert await text(world) == "sent"
    (call, agent), *more = asked
    assert isinstance(call, CallTool)
    assert (call.run_id, call.step, call.epoch, call.position, call.tool) == ("r1", "s", 1, "0", "mail.send")
    assert (agent, bytes(call.arguments), more) == (host.describe().agents[0].agent, b'{"to":"a@b.c"}', [])


async def test_a_call_that_takes_long_is_asked_again_under_the_same_position(world: World) -> None:
    asked: list[Message] = []

    def answer(call: Message, _agent: str) -> ToolAnswered | None:
        asked.append(call)
        return ToolAnswered(value=raw("at last")) if len(asked) == 3 else None

    await world.supervisor()
    await world.gateway(CallTool, answer)
    await world.serve(send)

    await world.dispatch()

    assert await text(world) == "at last"
    assert asked == [asked[0]] * 3


async def test_a_step_whose_gateway_died_learns_that_it_is_superseded(world: World) -> None:
    def claim(message: Message, agent: str) -> Message:
        return world.lease(message, agent) if world.claims.qsize() == 1 else ClaimRefused(reason="superseded")

    await world.supervisor(claim)
    host = await world.serve(send)

    await world.dispatch()
    await world.until(lambda: world.claims.qsize() == 2)
    await world.until(lambda: not host.describe().busy)

    assert not world.has_outcome


async def test_a_call_waits_for_a_gateway_that_comes_back(world: World) -> None:
    await world.supervisor()
    await world.serve(send)
    await world.dispatch()
    await world.until(lambda: world.claims.qsize() > 1)

    await world.gateway(CallTool, lambda _call, _agent: ToolAnswered(value=raw("sent")))

    assert await text(world) == "sent"


async def test_a_refused_call_raises_the_error_of_its_code(world: World) -> None:
    async def careful(_work: Job, ctx: Context) -> Done:
        try:
            await ctx.call(MAIL, to="a@b.c")
        except GrantDeniedError as error:
            return Done(text=f"{error.expected}, not {error.got}")
        return Done()

    await world.supervisor()
    await world.gateway(CallTool, lambda _call, _agent: DENIED)
    await world.serve(careful)

    await world.dispatch()

    assert await text(world) == "fs.read, not mail.send"


async def test_a_refused_call_that_nobody_catches_fails_the_step_for_good(world: World) -> None:
    await world.supervisor()
    await world.gateway(CallTool, lambda _call, _agent: DENIED)
    await world.serve(send)

    await world.dispatch()
    failed = await world.failed()

    assert (failed.error.code, failed.error.got, failed.retryable) == ("RM-203", "mail.send", False)


async def test_a_tool_that_failed_fails_the_step_and_may_be_tried_again(world: World) -> None:
    error = ToolTimeoutError("no answer from the mail server").fault()
    await world.supervisor()
    await world.gateway(CallTool, lambda _call, _agent: ToolAnswered(error=error))
    await world.serve(send)

    await world.dispatch()
    failed = await world.failed()

    assert (failed.error.code, failed.retryable) == ("RM-500", True)
    assert "no answer from the mail server" in failed.error.message


async def test_a_recorded_call_is_answered_without_the_gateway(world: World) -> None:
    seen: list[Message] = []

    def answer(call: Message, _agent: str) -> ToolAnswered:
        assert isinstance(call, CallTool)
        seen.append(call)
        request = digest_of({"tool": call.tool, "arguments": {"to": "a@b.c"}})
        world.recorded["r1", "s"].append(
            Recorded(
                run_id="r1",
                step="s",
                epoch=1,
                position=call.position,
                kind="call",
                name=call.tool,
                request=request,
                value=raw("once"),
            )
        )
        return ToolAnswered(value=raw("once"))

    await world.supervisor()
    await world.gateway(CallTool, answer)
    await world.serve(send)
    await world.dispatch()
    await world.completed()

    await world.dispatch(epoch=2)

    assert await text(world) == "once"
    assert len(seen) == 1


@pytest.mark.parametrize("answer", [PARKED, GONE])
async def test_a_step_that_is_parked_or_lost_says_nothing_and_frees_its_slot(world: World, answer: Message) -> None:
    await world.supervisor()
    await world.gateway(CallTool, lambda _call, _agent: answer)
    host = await world.serve(send)

    await world.dispatch()
    await soon(world.claims.get())
    await world.until(lambda: not host.describe().busy)

    assert not world.has_outcome
    await world.settled()


@pytest.mark.parametrize("answer", [PARKED, GONE])
async def test_a_handler_cannot_shrug_off_that_its_step_is_parked_or_lost(world: World, answer: Message) -> None:
    raised: list[str] = []

    async def stubborn(_work: Job, ctx: Context) -> Done:
        for _ in range(2):
            try:
                await ctx.gather(ctx.call(MAIL, to="a"), ctx.step("more", lambda: 1, returns=int))
            except BaseException as error:  # noqa: BLE001
                raised.append(type(error).__name__)
        return Done(text="done all the same")

    await world.supervisor()
    await world.gateway(CallTool, lambda _call, _agent: answer)
    host = await world.serve(stubborn)

    await world.dispatch()
    await soon(world.claims.get())
    await world.until(lambda: not host.describe().busy)

    assert len(raised) == 2
    assert not world.has_outcome


async def test_a_call_that_needs_a_person_asks_for_the_review_and_calls_once_more(world: World) -> None:
    reviews: list[Message] = []
    answers = iter([CallNeedsReview(action="sha256:a", summary="mail to a@b.c"), ToolAnswered(value=raw("sent"))])

    def review(request: Message, _agent: str) -> ReviewOutcome:
        reviews.append(request)
        return ReviewOutcome(review_id="r1-v1", approved=True, by="eve")

    plane = await world.supervisor()
    await plane.on(subject.REVIEWS, RequestReview, review)
    await world.gateway(CallTool, lambda _call, _agent: next(answers))
    await world.serve(send)

    await world.dispatch()

    assert await text(world) == "sent"
    (request,) = reviews
    assert isinstance(request, RequestReview)
    assert (request.kind, request.subject, request.position) == ("action", "sha256:a", "0")


async def test_a_review_that_a_person_rejected_fails_the_step_with_its_own_code(world: World) -> None:
    outcome = ReviewOutcome(review_id="r1-v1", approved=False, by="eve", reason="not to them")
    plane = await world.supervisor()
    await plane.on(subject.REVIEWS, RequestReview, lambda _request, _agent: outcome)
    await world.gateway(CallTool, lambda _call, _agent: CallNeedsReview(action="sha256:a", summary="mail"))
    await world.serve(send)

    await world.dispatch()
    failed = await world.failed()

    assert (failed.error.code, failed.error.got, failed.retryable) == ("RM-214", "not to them", False)


# --- roles, people, state --------------------------------------------------------------------------


async def test_another_role_is_asked_through_the_supervisor(world: World) -> None:
    asked: list[Message] = []

    def answer(ask: Message, _agent: str) -> AskAnswered | None:
        asked.append(ask)
        return AskAnswered(reply=raw(Done(text="fine"))) if len(asked) > 1 else None

    async def consult(_work: Job, ctx: Context) -> Done:
        return await ctx.ask(Critic, Job(text="is it?"))

    plane = await world.supervisor()
    await plane.on("remit.ask.critic.*", AskRole, answer)
    await world.serve(consult)

    await world.dispatch()

    assert await text(world) == "fine"
    assert asked[0] == asked[1]
    assert isinstance(asked[0], AskRole)
    assert (asked[0].position, asked[0].contract) == ("0", "probe.job.v1")


async def test_a_question_parks_the_step_until_a_person_decided(world: World) -> None:
    decisions: list[ReviewOutcome] = []

    async def wait(_work: Job, ctx: Context) -> Done:
        return Done(text=(await ctx.review("Shall we?", {"why": "because"})).by)

    plane = await world.supervisor()
    await plane.on(subject.REVIEWS, RequestReview, lambda _request, _agent: decisions[0] if decisions else PARKED)
    host = await world.serve(wait)
    await world.dispatch()
    await soon(world.claims.get())
    await world.until(lambda: not host.describe().busy)
    assert not world.has_outcome

    decisions.append(ReviewOutcome(review_id="r1-v1", approved=True, by="eve"))
    await world.dispatch(epoch=2)

    assert await text(world) == "eve"


async def test_state_is_read_and_proposed_once_and_recorded(world: World) -> None:
    asked: list[Message] = []

    def read(request: Message, _agent: str) -> StateRead:
        asked.append(request)
        return StateRead(items=(StateVersion(key="plan", version=3, value=raw("old")),))

    def propose(proposal: Message, agent: str) -> StateCommitted:
        assert isinstance(proposal, ProposeState)
        asked.append(proposal)
        return StateCommitted(
            scope="r1",
            key=proposal.changes[0].key,
            version=4,
            value=proposal.changes[0].value,
            run_id="r1",
            step="s",
            position=proposal.position,
            agent=agent,
            rule="write",
            base_version=proposal.changes[0].base_version,
            committed_at=datetime.now(UTC),
        )

    async def write(_work: Job, ctx: Context) -> Done:
        before = await ctx.state.read("plan", str)
        after = await ctx.state.propose("plan", "new", base=before.version)
        assert isinstance(after, StateCommitted)
        return Done(text=f"{before.value} {before.version} -> {after.version}")

    plane = await world.supervisor()
    await plane.on(subject.STATE_READS, ReadState, read)
    await plane.on(subject.PROPOSALS, ProposeState, propose)
    await world.serve(write)

    await world.dispatch()
    assert await text(world) == "old 3 -> 4"
    await world.dispatch(epoch=2)
    assert await text(world) == "old 3 -> 4"

    assert [type(item) for item in asked] == [ReadState, ProposeState]
    assert [item.kind for item in world.recorded["r1", "s"]] == ["read", "propose"]


async def test_the_last_word_of_a_step_is_told_to_whoever_watches(world: World) -> None:
    async def talk(_work: Job, ctx: Context) -> Done:
        for number in range(50):
            ctx.progress(f"file {number}", done=number, total=50)
        return Done()

    await world.supervisor()
    await world.serve(talk)

    await world.dispatch()
    first, last = await soon(world.told.get()), await soon(world.told.get())

    assert first == {"text": "file 0", "done": 0, "total": 50, "role": "probe", "step": "s"}
    assert (last["text"], world.told.qsize()) == ("file 49", 0)


async def test_what_an_agent_recorded_after_it_lost_the_step_does_not_stand_in_its_way_later(world: World) -> None:
    host = await world.serve(_record_in_both_epochs)
    leased: list[int] = []

    def claim(message: Message, agent: str) -> Message:
        assert isinstance(message, ClaimStep)
        leased.append(message.epoch)
        world.recorded.clear()  # the record of epoch 1 came after its lease was lost: it does not count
        return world.lease(message, agent)

    await world.supervisor(claim)

    await world.dispatch()
    assert await text(world) == "epoch 1"
    await world.dispatch(epoch=2)
    assert await text(world) == "epoch 2"

    agent = host.describe().agents[0].agent
    assert await world.journal.get(f"remit.run.r1.s.{agent}.0_2.recorded") is not None
    assert leased == [1, 2]


async def _record_in_both_epochs(_work: Job, ctx: Context) -> Done:
    return Done(text=await ctx.step("say", lambda: f"epoch {ctx.epoch}", returns=str))
