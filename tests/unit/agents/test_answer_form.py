"""A model is told the form of its answer, and what it says is read strictly."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import pytest

from remit.agents.answer_form import AnswerForm
from remit.contracts.errors import ContractInvalidError, MalformedMessageError
from remit.contracts.message import Message
from remit.contracts.model import Completion


class Verdict(Message, tag="probe.verdict.v1"):
    good: bool
    score: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0


class Tree(Message, tag="probe.tree.v1"):
    name: str
    below: tuple[Tree, ...] = ()


def read(kind: type[object], text: str) -> object:
    return AnswerForm(kind).read(Completion(text=text))


@pytest.mark.parametrize(
    "text",
    [
        '{"good": true}',
        '{"type": "probe.verdict.v1", "good": true}',
        '  {"good": true}\n',
        '```json\n{"good": true}\n```',
        '```\n{"good": true}\n```',
        'Here it is:\n```json\n{"good": true}\n```\nI hope {this} helps.',
        'Sure! {"good": true} Anything else?',
        '<think>is it {good}? {"good": false}</think>{"good": true}',
    ],
)
def test_a_value_is_found_among_the_words_around_it(text: str) -> None:
    assert read(Verdict, text) == Verdict(good=True)


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ('{"good": "yes"}', "$.good", "bool"),
        ('{"good": true, "score": 2}', "$.score", "1.0"),
        ("{}", "$", "good"),
        ('```json\n{"good": 1}\n```', "$.good", "bool"),
        ("no idea", "$", "Verdict"),
        ('{"good": tr', "$", "Verdict"),
        ("", "$", "Verdict"),
        (" \n", "$", "Verdict"),
    ],
)
def test_what_does_not_fit_is_said_with_its_place(text: str, where: str, said: str) -> None:
    with pytest.raises(MalformedMessageError) as raised:
        read(Verdict, text)

    assert raised.value.where == where
    assert said in str(raised.value)


def test_text_is_left_as_it_is() -> None:
    assert read(str, " a\n```b``` ") == " a\n```b``` "
    assert AnswerForm(str).schema is None
    assert AnswerForm(str).words() == ""


def test_a_completion_is_given_as_it_came() -> None:
    assert read(Completion, "") == Completion(text="")


def test_a_message_is_an_object_at_the_root_of_its_schema() -> None:
    schema = AnswerForm(Verdict).schema

    assert schema is not None
    assert schema["type"] == "object"
    assert "$defs" not in schema


def test_a_type_that_holds_itself_keeps_its_definition() -> None:
    form = AnswerForm(Tree)

    assert form.schema is not None
    assert form.schema["type"] == "object"
    assert "Tree" in msgspec.convert(form.schema["$defs"], dict[str, object])
    assert form.read(Completion(text='{"name": "a", "below": [{"name": "b"}]}')) == Tree("a", (Tree("b"),))


@pytest.mark.parametrize("text", ['{"value": [1, 2]}', "[1, 2]", "The numbers are [1, 2]."])
def test_what_is_no_object_is_asked_for_inside_one_and_read_either_way(text: str) -> None:
    form = AnswerForm(list[int])

    assert form.schema is not None
    assert form.schema["required"] == ["value"]
    assert form.read(Completion(text=text)) == [1, 2]


def test_one_of_a_few_words_is_a_form_too() -> None:
    form: AnswerForm[str] = AnswerForm(Literal["yes", "no"])  # type: ignore[arg-type]  # to mypy it is no type

    assert form.read(Completion(text='{"value": "yes"}')) == "yes"


def test_a_type_without_a_schema_is_refused_before_anybody_is_asked() -> None:
    with pytest.raises(ContractInvalidError):
        AnswerForm(complex)
