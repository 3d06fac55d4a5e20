"""What is built is parsed back, whatever the names are."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from remit.bus import subject

NAMES = st.from_regex(r"\A[a-z][a-z0-9_]{0,20}(-[a-z0-9_]{1,10}){0,2}\Z")
RUNS = st.integers(min_value=1, max_value=10**12).map(lambda seq: f"r{seq}")
NUMBERS = st.integers(min_value=0, max_value=10**6)


@given(st.text())
def test_any_text_is_one_token_and_comes_back(text: str) -> None:
    token = subject.token(text)

    assert re.fullmatch(r"[A-Za-z0-9_=-]*", token)
    assert subject.untoken(token) == text


@given(st.text(), st.text())
def test_two_texts_never_share_a_token(one: str, other: str) -> None:
    assert (subject.token(one) == subject.token(other)) == (one == other)


@given(RUNS, NUMBERS, st.sampled_from(["started", "planned", "finished"]))
def test_a_decision_is_parsed_back(run: str, number: int, kind: str) -> None:
    found = subject.parse_run(subject.decision(run, number, kind))

    assert found == (run, "_", str(number), str(number), kind)


@given(RUNS, NAMES, NAMES, NUMBERS)
def test_a_dispatch_is_parsed_back(run: str, role: str, step: str, epoch: int) -> None:
    found = subject.parse_run(subject.work(run, role=role, step=step, epoch=epoch))

    assert found == (run, "_", "work", role, "work")


@given(RUNS, NAMES, NUMBERS)
def test_a_lease_is_parsed_back(run: str, step: str, epoch: int) -> None:
    found = subject.parse_run(subject.lease(run, step, epoch))

    assert found == (run, step, "lease", str(epoch), "lease")


@given(RUNS, NAMES, NAMES, NUMBERS)
def test_an_agents_entry_is_parsed_back(run: str, step: str, agent: str, index: int) -> None:
    found = subject.parse_run(subject.agent_entry(run, step, agent=agent, index=str(index), kind="completed"))

    assert found == (run, step, agent, str(index), "completed")


@given(st.text(min_size=1), st.text(min_size=1), NUMBERS)
def test_a_version_is_parsed_back_whatever_its_scope_and_key(scope: str, key: str, version: int) -> None:
    assert subject.parse_state(subject.state(scope, key, version)) == (scope, key, version)


@given(st.text())
def test_parsing_never_raises_on_foreign_subjects(text: str) -> None:
    subject.parse_run(text)
    subject.parse_ack(text)


def test_a_delivery_says_the_same_with_and_without_a_domain() -> None:
    plain = subject.parse_ack("$JS.ACK.JOURNAL.clerk.2.77.9.1700000000000000000.4")
    in_a_domain = subject.parse_ack("$JS.ACK.hub.hash.JOURNAL.clerk.2.77.9.1700000000000000000.4.random")

    assert plain == in_a_domain == ("JOURNAL", "clerk", 2, 77, 9, 1700000000000000000, 4)
