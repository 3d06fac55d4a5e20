"""Names: what they may hold, and what they say."""

from __future__ import annotations

import pytest

from remit.contracts import ids


@pytest.mark.parametrize("text", ["support", "a", "look_up2", "x" * 63])
def test_a_name_is_a_lower_case_word(text: str) -> None:
    assert ids.is_name(text)


@pytest.mark.parametrize("text", ["", "Support", "a-b", "a.b", "2a", "_", "a b", "ä", "x" * 64, "a\n", "\na", "*", ">"])
def test_what_would_break_a_subject_is_no_name(text: str) -> None:
    assert not ids.is_name(text)


@pytest.mark.parametrize(("text", "holds"), [("analyst-code", True), ("a", True), ("a-", False), ("-a", False),
                                             ("lease", False), ("call", False), ("gw", False), ("a\n", False),
                                             ("a.b", False), ("A", False), ("x" * 64, False)])  # fmt: skip
def test_a_role_is_named_by_words_that_no_subject_reserves(text: str, holds: bool) -> None:  # noqa: FBT001  # drawn
    assert ids.is_role(text) is holds


@pytest.mark.parametrize(("text", "holds"), [("mail.send", True), ("send", True), ("mail.", False), (".send", False),
                                             ("mail-send", False), ("mail.send\n", False), ("", False)])  # fmt: skip
def test_a_tool_is_named_by_words_joined_by_dots(text: str, holds: bool) -> None:  # noqa: FBT001  # drawn
    assert ids.is_tool(text) is holds


@pytest.mark.parametrize(("text", "holds"), [("r1", True), ("r120", True), ("r0", False), ("r01", False), ("1", False),
                                             ("r1\n", False), ("r1.>", False), ("*", False), ("", False)])  # fmt: skip
def test_a_run_is_named_by_its_tasks_sequence(text: str, holds: bool) -> None:  # noqa: FBT001  # drawn
    assert ids.is_run(text) is holds


@pytest.mark.parametrize(("text", "holds"), [("0", True), ("12-0-3", True), ("", False), ("-1", False), ("1-", False),
                                             ("1.2", False), ("*", False), ("1\n", False), ("1" * 10, False),
                                             ("1-" * 40 + "1", False)])  # fmt: skip
def test_a_position_counts_operations(text: str, holds: bool) -> None:  # noqa: FBT001  # drawn
    assert ids.is_position(text) is holds


def test_a_role_is_called_like_its_class() -> None:
    assert [ids.role_name(name) for name in ("Clerk", "AnalystCode")] == ["clerk", "analyst-code"]


def test_names_of_agents_say_their_role_and_never_come_twice() -> None:
    agents = {ids.new_agent("analyst-code") for _ in range(50)}

    assert len(agents) == 50
    assert {ids.role_of(agent) for agent in agents} == {"analyst-code"}
    assert ids.new_gateway().startswith("gw-")


def test_names_of_steps_say_their_node() -> None:
    shard = ids.shard_step("code", 3)
    child = ids.child_step(shard, "2-0-1")

    assert (shard, child) == ("code-3", "code-3-a2-0-1")
    assert ids.node_of(child) == ids.node_of(shard) == ids.node_of("code") == "code"


def test_an_effect_is_named_by_its_place() -> None:
    assert ids.intent_key(ids.run_id(7), "code-3", "2") == "r7.code-3.2"
    assert [ids.base_position(index) for index in ("3-0", "3-0r1", "3-0r1t2")] == ["3-0"] * 3
