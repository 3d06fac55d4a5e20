"""State contracts that could not hold are told with their place, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remit import scaffold
from remit.check.target import check

if TYPE_CHECKING:
    from pathlib import Path

    from remit.contracts.errors import Fault

SOUND = """
from typing import Annotated
from remit import StateConflict, StateRuling, policy, state

class Item(Message, tag="support.item.v1"):
    name: str
    weight: Annotated[int, policy.maximum()] = 0

class Reason(Message, tag="support.reason.v1"):
    sources: tuple[str, ...]
    score: float = 0.0

class Note(Message, tag="support.note.v1"):
    risk: Annotated[int | None, policy.maximum()] = None
    seen: Annotated[int, policy.counter()] = 0
    items: Annotated[tuple[Item, ...], policy.union(by="name")] = ()
    log: Annotated[tuple[str, ...], policy.append()] = ()
    reason: Annotated[Reason | None, policy.evidence()] = None
    word: Annotated[str, policy.owner("clerk", otherwise=policy.arbitrate("judge"))] = ""
    secret: Annotated[str, policy.writers("clerk")] = ""

class Judge(Role[StateConflict, StateRuling]):
    async def handle(self, work: StateConflict, ctx: Context) -> StateRuling:
        return StateRuling(choice="current")

NOTES = state("note.{path}", Note, writers=["clerk"])
"""


OTHERS = """
class Other(Message, tag="support.note.v1"):
    text: str = ""

class Taken(Message, tag="support.ticket.v1"):
    text: str = ""

class Loose(Message, tag="loose"):
    text: str = ""

"""


def team_with(folder: Path, *changes: tuple[str, str]) -> list[Fault]:
    """Give what is said of a sound team after some changes of its state."""
    scaffold.write(folder)
    file, charter = folder / "team.py", folder / "charter.yaml"
    text = file.read_text()
    head, team = text[: text.index("team = Team(")], text[text.index("team = Team(") :]
    team = team.replace("roles=[Clerk]", "roles=[Clerk, Judge], state=[NOTES]")
    text = head + SOUND + team
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    file.write_text(text)
    charter.write_text(charter.read_text().replace("roles:\n", "roles:\n  judge: {tools: []}\n", 1))
    return [mistake.fault() for mistake in check(str(folder)).mistakes]


def test_sound_contracts_are_sound_and_an_arbiter_is_sent_something(tmp_path: Path) -> None:
    assert team_with(tmp_path / "support") == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "Annotated[int | None, policy.maximum()] = None",
            'Annotated[str, policy.maximum()] = ""',
            "/risk: max does not",
        ),
        ("Annotated[int, policy.counter()] = 0", "Annotated[float, policy.counter()] = 0.0", "/seen: counter does not"),
        ("tuple[str, ...], policy.append()] = ()", 'str, policy.append()] = ""', "/log: append does not fit"),
        ('policy.union(by="name")', 'policy.union(by="id")', "/items: Item has no field id"),
        ("policy.evidence()", 'policy.evidence(score="points")', "/reason: Reason has no field points"),
        ('policy.owner("clerk"', 'policy.owner("clark"', "owner names the role clark"),
        ('policy.arbitrate("judge")', 'policy.arbitrate("clerk")', "/word: role clerk cannot arbitrate"),
        ('policy.writers("clerk")', 'policy.writers("cook")', "/secret names the role cook"),
        ('writers=["clerk"]', 'writers=["cook"]', "writers names the role cook"),
        ("weight: Annotated[int,", "weight: Annotated[str,", "/items/*/weight: max does not fit"),
        ("policy.counter()]", "policy.counter(), policy.maximum()]", "/seen: a field has one policy"),
        ('"note.{path}"', '"pool.{path}"', "keys that begin with pool. are the supervisor's"),
        ('"note.{path}"', '"{path}"', "is no key of a state document"),
        ('"note.{path}"', '"note.{a}{b}"', "is no key of a state document"),
        ("state=[NOTES]", 'state=[NOTES, state("note.{other}", Note)]', "two state contracts have the same keys"),
        ("writers=[", "limit_bytes=0, writers=[", "the limit of note.{path} cannot be kept"),
        ("state=[NOTES]", 'state=[NOTES, state("more", Other)]', "two messages have the tag"),
        ('state("note.{path}", Note', 'state("note.{path}", Loose', "Loose is no contract"),
        ("state=[NOTES]", 'state=[NOTES, state("more", Taken)]', "two messages have the tag support.ticket.v1"),
        (
            "Annotated[int, policy.counter()] = 0",
            "Annotated[int, policy.counter()] | None = None",
            "/seen: a policy or",
        ),
        (
            "tuple[str, ...], policy.append()",
            'tuple[Annotated[str, policy.writers("clerk")], ...], policy.append()',
            "/log: a policy or",
        ),
        ("writers=[", "policy=policy.last_writer(), writers=[", "what its fields say counts for nothing"),
        ("state=[NOTES]", 'state=[NOTES, state("more", int, upcast={"a.b.v1": dict})]', "without a tag has one form"),
        ("risk: Annotated[int | None", "risk: Annotated[float | str", "/risk: max does not fit"),
        ("reason: Annotated[Reason | None", "reason: Annotated[str", "/reason: evidence does not fit"),
        ("items: Annotated[tuple[Item, ...]", "items: Annotated[tuple[str, ...]", "/items: union does not fit"),
        ('"note.{path}"', '"note.{path}.{path}"', "is no key of a state document"),
        ('"note.{path}"', '"note.{Path}"', "is no key of a state document"),
        ('"note.{path}"', '""', "is no key of a state document"),
        (
            "weight: Annotated[int, policy.maximum()]",
            "weight: Annotated[int, policy.evidence()]",
            "/items/*/weight: evidence does not",
        ),
    ],
)
def test_a_contract_that_cannot_hold_is_told_where_it_stands(tmp_path: Path, old: str, new: str, said: str) -> None:
    other = ("NOTES = ", f"{OTHERS}NOTES = ")

    faults = team_with(tmp_path / "support", other, (old, new))

    told = [fault for fault in faults if said in fault.message]
    assert len(told) == 1
    assert "team.py:" in told[0].where


def test_a_criterion_on_a_key_that_nobody_declares_is_told(tmp_path: Path) -> None:
    team_with(tmp_path / "support")
    charter = tmp_path / "support" / "charter.yaml"
    text = charter.read_text()
    charter.write_text(
        text.replace("completion:\n", "completion:\n  - {name: noted, check: state_present, key: nite.a}\n")
    )

    (fault,) = [mistake.fault() for mistake in check(str(tmp_path / "support")).mistakes]

    assert fault.message == "no state contract covers the key nite.a, so no run can pass 'noted'"
    assert fault.where.split("/")[-1].startswith("charter.yaml:")


def test_a_number_with_bounds_is_a_number(tmp_path: Path) -> None:
    bounds = "Annotated[Annotated[int, msgspec.Meta(ge=0)] | None, msgspec.Meta(title='risk'), policy.maximum()]"

    faults = team_with(
        tmp_path / "support",
        ("Annotated[int | None, policy.maximum()]", bounds),
        ("\nfrom typing import Annotated", "\nimport msgspec\nfrom typing import Annotated"),
    )

    assert faults == []


def test_a_type_that_is_there_for_the_type_checker_alone_is_told(tmp_path: Path) -> None:
    faults = team_with(
        tmp_path / "support",
        ("from remit import Context", "from __future__ import annotations\nfrom remit import Context"),
        ("reason: Annotated[Reason | None, policy.evidence()]", "reason: Absent | None"),
    )

    (fault,) = [item for item in faults if "is not there when the team runs" in item.message]
    assert "Absent" in fault.got
    assert "team.py:" in fault.where
