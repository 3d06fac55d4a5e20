"""The shared state of an audit: who may write what, which rule decides, and that nobody's turn shows."""

from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit import Change, Context, Message, RefusedError, Role
from remit.teams.audit import team
from remit.teams.audit.finding import Skill
from remit.teams.audit.judge.judgement import last_word
from remit.teams.audit.memory import (
    ANALYSTS,
    CRITIC,
    FILES,
    KEYS_AT_ONCE,
    SECTIONS,
    URGENCY,
    Action,
    FileNote,
    Judgement,
    Reason,
    agreed,
    most_urgent,
)
from remit.teams.audit.report.conflict import Card, by_rule, cards
from remit.testing import Bench

PATH = "shop/cart.py"
KEY = FILES.key(path=PATH)


class Say(Message, frozen=True, kw_only=True, tag="test.say.v1"):
    note: FileNote
    base: int = 0
    keys: tuple[str, ...] = (KEY,)


class Said(Message, frozen=True, kw_only=True, tag="test.said.v1"):
    taken: int


class Sayer(Role[Say, Said]):
    async def handle(self, work: Say, ctx: Context) -> Said:
        return Said(taken=len(await agreed(ctx, [Change(key, work.note, work.base) for key in work.keys])))


class Coder(Sayer):
    name = "analyst-code"


class Guard(Sayer):
    name = "analyst-security"


class Meddler(Sayer):
    name = "critic"


class Asked(Message, frozen=True, kw_only=True, tag="test.asked.v1"):
    prefix: str = FILES.prefix


class Told(Message, frozen=True, kw_only=True, tag="test.told.v1"):
    cards: tuple[Card, ...]


class Teller(Role[Asked, Told]):
    async def handle(self, work: Asked, ctx: Context) -> Told:
        notes = await ctx.state.list(work.prefix, FileNote)
        found = await ctx.state.conflicts(work.prefix)
        return Told(cards=tuple(cards(found, {item.key: item.value for item in notes if item.value is not None})))


class Judge(Role[Asked, Said]):
    """The critic of a file of which nothing that was found holds."""

    name = "critic"

    async def handle(self, work: Asked, ctx: Context) -> Said:
        words = [last_word(item, []) for item in await ctx.state.list(work.prefix, FileNote)]
        return Said(taken=len(await agreed(ctx, [word for word in words if word is not None])))


ROLES: dict[Skill, type[Sayer]] = {"code": Coder, "structure": Coder, "security": Guard}


def note(skill: Skill, risk: int, action: Action = "watch", *, tools: tuple[str, ...] = ("ast",)) -> FileNote:
    return FileNote(
        risk=risk,
        primary_reason=Reason(skill=skill, tools=tools, score=risk, text=f"{skill} says so"),
        action=action,
        seen_by=(Judgement(skill=skill, risk=risk, action=action),),
    )


async def said(*notes: FileNote) -> Bench:
    """Let the skills speak in this order, each from the state in which nobody had."""
    bench = Bench(team)
    for item in notes:
        skill = item.seen_by[0].skill
        await bench.run(ROLES[skill], Say(note=item), step=skill)
    return bench


async def told(bench: Bench) -> dict[str, Card]:
    return {card.field: card for card in (await bench.run(Teller, Asked())).cards}


def stands(bench: Bench, field: str) -> object:
    document = bench.state(KEY)
    assert isinstance(document, dict)
    return document[field]


@given(
    st.lists(st.sampled_from([4, 8, 12]), min_size=3, max_size=3),
    st.lists(st.sampled_from(["mend", "test first", "watch"]), min_size=3, max_size=3),
    st.lists(st.sampled_from([("ast",), ("ruff",), ("ast", "ruff")]), min_size=3, max_size=3),
)
async def test_conflicts_are_told_the_same_whichever_analyst_comes_first(
    risks: list[int], actions: list[Action], tools: list[tuple[str, ...]]
) -> None:
    skills: tuple[Skill, ...] = ("code", "structure", "security")
    drawn = zip(skills, risks, actions, tools, strict=True)
    notes = [note(skill, risk, action, tools=with_) for skill, risk, action, with_ in drawn]

    stories = [await told(await said(*order)) for order in permutations(notes)]

    assert all(story == stories[0] for story in stories)
    assert len(stories[0]["primary_reason"].sides) == 3
    assert ("risk" in stories[0]) == (len(set(risks)) > 1)
    assert ("action" in stories[0]) == (len(set(actions)) > 1)
    assert not any(card.is_open for card in stories[0].values())


async def test_a_conflict_names_base_sides_rule_and_result_and_no_agent() -> None:
    bench = await said(note("security", 12, "mend"), note("code", 8, "test first"))

    story = await told(bench)

    risk, action = story["risk"], story["action"]
    assert (risk.base, risk.rule, risk.result) == (None, "max", 12)
    assert [(side.by, side.value) for side in risk.sides] == [(("code",), 8), (("security",), 12)]
    assert (action.rungs, action.rule, action.result) == (("owner",), "most_urgent", "mend")
    assert [(side.by, side.value) for side in action.sides] == [(("code",), "test first"), (("security",), "mend")]
    counts = {item.rule: item.count for item in by_rule(story.values())}
    assert counts == {"evidence": 1, "max": 1, "most_urgent": 1, "union": 1}


async def test_two_skills_that_say_the_same_are_one_side_of_a_conflict() -> None:
    bench = await said(note("structure", 12), note("code", 8), note("security", 12))

    sides = (await told(bench))["risk"].sides

    assert [(side.by, side.value) for side in sides] == [(("code",), 8), (("security", "structure"), 12)]


async def test_the_reason_that_more_tools_see_is_the_primary_one_although_another_scores_higher() -> None:
    bench = await said(note("security", 90), note("code", 8, tools=("ast", "ruff")))

    reason = stands(bench, "primary_reason")

    assert reason == {"skill": "code", "tools": ["ast", "ruff"], "score": 8, "text": "code says so"}
    assert stands(bench, "risk") == 90


async def test_of_reasons_with_as_many_tools_the_higher_score_is_the_primary_one() -> None:
    bench = await said(note("security", 90, tools=("ruff",)), note("code", 8))

    reason = stands(bench, "primary_reason")

    assert isinstance(reason, dict)
    assert reason["skill"] == "security"


async def test_the_critics_action_stands_against_the_analysts_and_against_one_who_is_late() -> None:
    bench = await said(note("code", 8, "test first"), note("structure", 4, "watch"))

    await bench.run(Judge, Asked())
    await bench.run(Guard, Say(note=note("security", 12, "mend")))

    assert stands(bench, "action") == "leave"
    assert stands(bench, "risk") == 12
    card = (await told(bench))["action"]
    assert (card.rule, card.result, card.is_open) == ("owner", "leave", False)
    assert (CRITIC,) in [side.by for side in card.sides]


async def test_a_decision_that_the_critic_changed_afterwards_is_told_with_both() -> None:
    bench = await said(note("code", 8, "test first"), note("security", 8, "mend"))

    await bench.run(Judge, Asked())

    card = (await told(bench))["action"]
    assert (card.result, card.stands, card.is_overruled, card.is_open) == ("mend", "leave", True, False)


async def test_the_critic_repeats_no_word_that_stands_already() -> None:
    bench = await said(note("code", 8, "leave"))

    reply = await bench.run(Judge, Asked())

    assert reply.taken == 0


@pytest.mark.parametrize(("one", "other"), [*product(URGENCY, repeat=2)])
def test_the_more_urgent_action_is_the_same_in_any_order(one: object, other: object) -> None:
    assert most_urgent(None, one, other) == most_urgent(None, other, one)
    for third in URGENCY:
        left = most_urgent(None, most_urgent(None, one, other), third)
        assert left == most_urgent(None, one, most_urgent(None, other, third))


async def test_only_analysts_say_how_risky_a_file_is_and_only_the_editor_writes_the_report() -> None:
    bench = Bench(team)

    with pytest.raises(RefusedError, match="may not write this field"):
        await bench.run(Meddler, Say(note=note("code", 8)))
    with pytest.raises(RefusedError, match="may not write report"):
        await bench.run(Meddler, Say(note=note("code", 8), keys=(SECTIONS.key(section="verdict"),)))


async def test_more_judgements_than_one_proposal_takes_are_all_shared() -> None:
    bench = Bench(team)
    keys = tuple(FILES.key(path=f"p/m{number}.py") for number in range(2 * KEYS_AT_ONCE + 1))

    reply = await bench.run(Coder, Say(note=note("code", 8), keys=keys))

    assert reply.taken == len(keys)
    assert all(bench.state(key) for key in keys)


async def test_a_judgement_that_the_state_does_not_take_is_refused() -> None:
    bench = Bench(team)
    await bench.run(Coder, Say(note=note("code", 8)), step="code-1")

    with pytest.raises(RefusedError, match="did not take this"):
        await bench.run(Coder, Say(note=note("code", 12)), step="code-2")


def test_whoever_may_write_is_a_role_of_the_team() -> None:
    writers = {role for contract in team.state for role in contract.writers}

    assert {*ANALYSTS, CRITIC} <= writers <= set(team.roles)
