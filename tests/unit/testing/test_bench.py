"""A role runs on the bench as it would in a host: same codec, same positions, same replay."""

import pytest

from remit import (
    AskFailedError,
    Context,
    Message,
    RefusedError,
    RemitError,
    ReviewRejectedError,
    Role,
    StateCommitted,
    StateParked,
    StateRejected,
    Team,
    ToolFailedError,
    ToolScope,
    policy,
    state,
    tool,
)
from remit.team import Plan, step
from remit.testing import Bench


class Ticket(Message, tag="bench.ticket.v1"):
    customer: str
    text: str = ""


class Answer(Message, tag="bench.answer.v1"):
    text: str


class Tickets(Message, tag="bench.tickets.v1"):
    tickets: tuple[Ticket, ...]


class Digest(Message, tag="bench.digest.v1"):
    answers: tuple[Answer, ...]


@tool(risk="high", effect="idempotent")
def send_mail(to: str, body: str, *, intent: str, scope: ToolScope) -> str:
    """Send one mail."""
    return f"{to} {body} {intent} {scope.source('office')}"


def sent(to: str, body: str) -> str:
    return "sent"


def shouted(to: str, body: str) -> str:
    return to.upper()


def counted(to: str, body: str) -> int:
    return 7


class Clerk(Role[Ticket, Answer]):
    async def handle(self, work: Ticket, ctx: Context) -> Answer:
        sent = await ctx.call(send_mail, to=work.customer, body=work.text)
        await ctx.state.propose("seen", [work.customer])
        return Answer(text=sent)


class Sorter(Role[Tickets, Tickets]):
    async def handle(self, work: Tickets, ctx: Context) -> Tickets:
        return work


class Summer(Role[Digest, Answer]):
    async def handle(self, work: Digest, ctx: Context) -> Answer:
        return Answer(text=" ".join(answer.text for answer in work.answers))


class Desk(Role[Ticket, Answer]):
    async def handle(self, work: Ticket, ctx: Context) -> Answer:
        answers = await ctx.gather(*(ctx.ask(Clerk, Ticket(customer=name)) for name in ("a", "b")))
        return Answer(text="+".join(answer.text for answer in answers))


class Moody(Role[Ticket, Answer]):
    moods = 0

    async def handle(self, work: Ticket, ctx: Context) -> Answer:
        Moody.moods += 1
        return Answer(text=await ctx.call(send_mail, to=str(Moody.moods), body=""))


class Talkative(Role[Ticket, Answer]):
    turns = 0

    async def handle(self, work: Ticket, ctx: Context) -> Answer:
        Talkative.turns += 1
        for _turn in range(Talkative.turns):
            await ctx.call(send_mail, to="a", body="")
        return Answer(text="")


team = Team(
    "office",
    roles=[Sorter, Clerk, Summer],
    tools=[send_mail],
    workflows={
        "digest": Plan(
            step("sort", Sorter),
            step("answers", Clerk, after="sort", each="tickets"),
            step("sum", Summer, after=("answers",)),
        )
    },
    state=[state("seen", tuple[str, ...], policy=policy.union())],
)


async def test_a_scripted_tool_answers_and_is_remembered() -> None:
    bench = Bench()
    bench.tool(send_mail, lambda to, body: f"sent to {to}: {body}")

    answer = await bench.run(Clerk, Ticket(customer="a@b.c", text="broken"))

    assert answer == Answer(text="sent to a@b.c: broken")
    assert [(call.tool, call.arguments) for call in bench.calls] == [("send_mail", {"to": "a@b.c", "body": "broken"})]


async def test_a_real_tool_gets_its_intent_and_its_scope() -> None:
    bench = Bench(data={"office": "north"})
    bench.real(send_mail)

    answer = await bench.run(Clerk, Ticket(customer="a", text="b"), step="clerk-3")

    assert answer.text == "a b r1.clerk-3.0 north"


async def test_a_tool_that_nobody_scripted_is_refused() -> None:
    with pytest.raises(RefusedError, match="does not know tool send_mail"):
        await Bench().run(Clerk, Ticket(customer="a"))


async def test_what_a_tool_raises_reaches_the_role_as_a_failure() -> None:
    bench = Bench()

    def broken(to: str, body: str) -> str:
        raise OSError("no post today")

    bench.tool(send_mail, broken)

    with pytest.raises(ToolFailedError, match="no post today"):
        await bench.run(Clerk, Ticket(customer="a"))


async def test_a_tool_that_gives_another_type_than_it_declares_fails() -> None:
    bench = Bench()
    bench.tool(send_mail, counted)

    with pytest.raises(ToolFailedError, match="expected str, got int"):
        await bench.run(Clerk, Ticket(customer="a"))


async def test_a_rejected_action_is_not_called() -> None:
    bench = Bench(reviewed=[send_mail])
    bench.tool(send_mail, sent)
    bench.approves, bench.reason = False, "not today"

    with pytest.raises(ReviewRejectedError, match="not today"):
        await bench.run(Clerk, Ticket(customer="a"))

    assert bench.calls == []


class Stubborn(Role[Ticket, Answer]):
    """Asks for something else when a person says no."""

    async def handle(self, work: Ticket, ctx: Context) -> Answer:
        try:
            sent = await ctx.call(send_mail, to=work.customer, body="long")
        except ReviewRejectedError as error:
            sent = await ctx.call(send_mail, to=work.customer, body=error.got)
        return Answer(text=sent)


async def test_a_person_decides_one_by_one_and_a_handler_that_goes_on_after_a_rejection_replays() -> None:
    bench = Bench(reviewed=[send_mail])
    bench.tool(send_mail, sent)
    bench.person("shorter", "")

    await bench.run(Stubborn, Ticket(customer="a"))
    await bench.replay()

    assert [call.arguments["body"] for call in bench.calls] == ["shorter"]
    assert len(bench.reviews) == 2


async def test_an_approved_action_is_called_once() -> None:
    bench = Bench(reviewed=[send_mail])
    bench.tool(send_mail, sent)

    await bench.run(Clerk, Ticket(customer="a"))

    assert len(bench.calls) == len(bench.reviews) == 1


async def test_asked_roles_answer_by_script_or_are_played_for_real() -> None:
    scripted, played = Bench(), Bench()
    scripted.reply(Clerk, lambda work: Answer(text=f"<{work.customer}>"))
    played.play(Clerk)
    played.tool(send_mail, shouted)

    assert (await scripted.run(Desk, Ticket(customer="x"))).text == "<a>+<b>"
    assert (await played.run(Desk, Ticket(customer="x"))).text == "A+B"
    assert played.steps() == ("desk-a0-0-0", "desk-a0-1-0", "desk")


async def test_the_failure_of_an_asked_role_is_the_askers_to_handle() -> None:
    bench = Bench()

    def refuse(work: Ticket) -> Answer:
        raise RefusedError("the office is closed")

    bench.reply(Clerk, refuse)

    with pytest.raises(ExceptionGroup) as caught:
        await bench.run(Desk, Ticket(customer="x"))

    assert caught.group_contains(AskFailedError, match="the office is closed")


async def test_a_replay_repeats_nothing() -> None:
    bench = Bench()
    bench.tool(send_mail, sent)
    await bench.run(Clerk, Ticket(customer="a"))

    await bench.replay()

    assert len(bench.calls) == 1


@pytest.mark.parametrize(("role", "complaint"), [(Moody, "asks for something else"), (Talkative, "did not do before")])
async def test_a_replay_shows_a_handler_that_is_not_deterministic(
    role: type[Role[Ticket, Answer]], complaint: str
) -> None:
    bench = Bench()
    bench.tool(send_mail, sent)
    Moody.moods = Talkative.turns = 0
    await bench.run(role, Ticket(customer="a"))

    with pytest.raises(RefusedError, match=complaint):
        await bench.replay()


async def test_a_workflow_fans_out_and_joins() -> None:
    bench = Bench(team)
    bench.tool(send_mail, shouted)

    reply = await bench.flow("digest", Tickets(tickets=(Ticket(customer="a"), Ticket(customer="b"))))

    assert reply == Answer(text="A B")
    assert bench.steps() == ("sort", "answers-0", "answers-1", "sum")
    assert bench.state("seen") == ["a", "b"]


class Writer(Role[Ticket, Answer]):
    async def handle(self, work: Ticket, ctx: Context) -> Answer:
        verdict = await ctx.state.propose(work.customer, int(work.text) if work.text.isdigit() else [work.text])
        match verdict:
            case StateCommitted(rule=rule, version=version):
                return Answer(text=f"{rule} {version}")
            case StateRejected(reason=reason):
                return Answer(text=reason)
            case StateParked(waits_for=who):
                return Answer(text=who)


async def test_the_board_decides_by_the_rules_of_the_team() -> None:
    rules = [
        state("most.{key}", int, policy=policy.maximum()),
        state("all.{key}", tuple[str, ...], policy=policy.union()),
        state("once.{key}", int, policy=policy.write_once()),
        state("asked.{key}", int, policy=policy.escalate()),
        state("other", int),
    ]
    bench = Bench(Team("office", roles=[Writer], workflows={"w": Writer}, state=rules))

    async def write(key: str, value: str) -> str:
        return (await bench.run(Writer, Ticket(customer=key, text=value))).text

    assert [await write("most.a", value) for value in ("3", "1", "5")] == ["write 1", "max 2", "max 3"]
    assert [await write("all.a", value) for value in ("x", "y", "x")] == ["write 1", "union 2", "union 3"]
    assert [await write("once.a", value) for value in ("1", "2")] == ["write 1", "written_once"]
    assert [await write("other", value) for value in ("1", "2")] == ["write 1", "stale_version"]
    assert [await write("asked.a", value) for value in ("1", "2")] == ["write 1", "a person"]
    with pytest.raises(RemitError, match="RM-213 no state contract covers the key 'unknown'"):
        await write("unknown", "1")
    assert bench.state("most.a") == 5
    assert bench.state("all.a") == ["x", "y"]
