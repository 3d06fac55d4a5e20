from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.linearizability import NOTHING, Operation, Register, Swap, Versioned, check

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    Answer = Callable[[Versioned, Operation], tuple[Versioned | Swap, Versioned]]

MANY = 20_000
CLIENTS = 4
ONE, TWO = Versioned("one", 1), Versioned("two", 2)


def read(called: int, returned: int | None, seen: Versioned | None, client: int = 0) -> Operation:
    return Operation(client=client, called_ns=called, returned_ns=returned, kind="read", result=seen)


def cas(called: int, returned: int | None, expected: int, value: Hashable, **answer: int) -> Operation:
    """A swap that gave `made=version`, or was refused with `refused=version`, or, with neither, was not answered."""
    is_done = "made" in answer
    result = Swap(is_done, answer["made" if is_done else "refused"]) if answer else None
    return Operation(
        client=1,
        called_ns=called,
        returned_ns=returned,
        kind="cas",
        expected_version=expected,
        value=value,
        result=result,
    )


def is_linearizable(*history: Operation) -> bool:
    return check(history, Register()) is None


def test_a_history_of_nothing_is_accepted() -> None:
    assert is_linearizable()


def test_operations_one_after_another_are_accepted() -> None:
    assert is_linearizable(
        read(0, 1, NOTHING), cas(2, 3, 0, "one", made=1), read(4, 5, ONE), cas(6, 7, 0, "two", refused=1)
    )


def test_the_order_in_which_a_history_is_written_down_says_nothing() -> None:
    assert is_linearizable(read(4, 5, ONE), cas(2, 3, 0, "one", made=1), read(0, 1, NOTHING))


def test_a_register_may_begin_with_a_value() -> None:
    assert check([read(0, 1, TWO)], Register(initial=TWO)) is None


def test_a_stale_read_after_a_completed_write_is_refused() -> None:
    assert not is_linearizable(cas(0, 1, 0, "one", made=1), read(2, 3, NOTHING))


def test_two_swaps_of_one_version_that_both_succeed_are_refused() -> None:
    assert not is_linearizable(cas(0, 3, 0, "one", made=1), cas(1, 2, 0, "other", made=1))


def test_a_swap_that_overwrites_one_it_did_not_know_is_refused() -> None:
    assert not is_linearizable(cas(0, 3, 0, "one", made=1), cas(1, 2, 0, "two", made=2))


def test_a_read_of_a_value_never_written_is_refused() -> None:
    assert not is_linearizable(cas(0, 1, 0, "one", made=1), read(0, 3, Versioned("never", 1)))


def test_a_read_of_a_value_from_a_refused_swap_is_refused() -> None:
    assert not is_linearizable(
        cas(0, 1, 0, "one", made=1), cas(2, 9, 0, "two", refused=1), read(3, 9, Versioned("two", 2))
    )


def test_a_read_of_a_value_not_yet_written_is_refused() -> None:
    assert not is_linearizable(read(0, 1, ONE), cas(2, 3, 0, "one", made=1))


def test_reads_that_go_backwards_between_two_clients_are_refused() -> None:
    assert not is_linearizable(cas(0, 9, 0, "one", made=1), read(1, 2, ONE, client=2), read(3, 4, NOTHING, client=3))


def test_a_refused_swap_that_should_have_succeeded_is_refused() -> None:
    assert not is_linearizable(cas(0, 1, 0, "one", made=1), cas(2, 3, 1, "two", refused=1))


def test_a_swap_refused_for_a_version_that_was_gone_is_refused() -> None:
    assert not is_linearizable(
        cas(0, 1, 0, "one", made=1), cas(2, 3, 1, "two", made=2), cas(4, 5, 0, "three", refused=1)
    )


@pytest.mark.parametrize("seen", [NOTHING, ONE])
def test_a_read_during_a_swap_may_come_before_or_after_it(seen: Versioned) -> None:
    assert is_linearizable(cas(0, 3, 0, "one", made=1), read(1, 2, seen))


def test_overlapping_reads_may_come_in_the_order_that_their_results_ask_for() -> None:
    assert is_linearizable(cas(0, 9, 0, "one", made=1), read(1, 5, ONE, client=2), read(2, 4, NOTHING, client=3))


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0)])
def test_overlapping_swaps_may_come_in_either_order(first: int, second: int) -> None:
    versions = {0: "one", 1: "two"}

    assert is_linearizable(*(cas(at, 9, at, versions[at], made=at + 1) for at in (first, second)))


def test_operations_that_share_an_instant_overlap() -> None:
    assert is_linearizable(cas(0, 1, 0, "one", made=1), read(1, 1, NOTHING))


def test_a_swap_without_an_answer_may_have_taken_effect() -> None:
    assert is_linearizable(cas(0, None, 0, "one"), read(1, 2, ONE))


def test_a_swap_without_an_answer_may_have_had_none() -> None:
    assert is_linearizable(cas(0, None, 0, "other"), read(1, 2, NOTHING), cas(3, 4, 0, "one", made=1))


def test_a_swap_without_an_answer_may_take_effect_long_after_its_call() -> None:
    assert is_linearizable(cas(0, None, 1, "two"), cas(1, 2, 0, "one", made=1), read(3, 4, ONE), read(5, 6, TWO))


def test_a_swap_without_an_answer_overlaps_what_returns_at_the_instant_of_its_call() -> None:
    assert is_linearizable(read(0, 1, ONE), cas(1, None, 0, "one"))


def test_a_swap_without_an_answer_takes_no_effect_before_its_call() -> None:
    assert not is_linearizable(read(0, 1, ONE), cas(2, None, 0, "one"))


def test_a_swap_without_an_answer_takes_effect_once() -> None:
    assert not is_linearizable(cas(0, None, 0, "one"), read(1, 2, ONE), read(3, 4, NOTHING))
    assert not is_linearizable(cas(0, None, 0, "one"), cas(1, 2, 1, "two", made=2), read(3, 4, ONE))


def test_swaps_that_no_read_told_apart_are_not_searched_in_all_combinations() -> None:
    history = []
    for version in range(0, 60, 2):
        at = 10 * version
        history += [cas(at, None, version, f"cut off {number}") for number in range(4)]
        history += [cas(at + 1, at + 2, version + 1, "next", made=version + 2)]

    assert is_linearizable(*history, read(700, 701, Versioned("next", 60)))
    assert not is_linearizable(*history, read(700, 701, Versioned("next", 59)))


def test_a_read_without_an_answer_says_nothing() -> None:
    assert is_linearizable(read(0, None, None), cas(1, 2, 0, "one", made=1), read(3, 4, ONE))


def test_a_refusal_names_the_longest_order_and_what_cannot_follow_it() -> None:
    write, good = cas(0, 1, 0, "one", made=1), read(2, 3, ONE)
    bad, late = read(4, 6, NOTHING), read(7, 8, ONE)

    violation = check([late, bad, good, write], Register())

    assert violation is not None
    assert violation.prefix == (write, good)
    assert violation.state == ONE
    assert violation.stuck == (bad,)
    assert "no order beyond 2 of 4 operations" in str(violation)
    assert str(violation).endswith("client 0 [4, 6] read -> Versioned(value=None, version=0)")


def test_a_refusal_counts_no_operation_without_an_answer_as_progress() -> None:
    write, bad = cas(0, 1, 0, "one", made=1), read(4, 6, Versioned("never", 5))

    violation = check([write, cas(2, None, 1, "two"), bad], Register())

    assert violation is not None
    assert violation.prefix == (write,)
    assert violation.stuck == (bad,)


def test_an_operation_with_an_end_and_no_result_is_no_operation() -> None:
    with pytest.raises(ValueError, match="neither"):
        read(0, 1, None)
    with pytest.raises(ValueError, match="neither"):
        read(0, None, ONE)
    with pytest.raises(ValueError, match="returned before"):
        read(1, 0, ONE)


def serve(state: Versioned, request: Operation) -> tuple[Versioned | Swap, Versioned]:
    """Answer as a register does, whatever the answer on record; written without a look at the model."""
    if request.kind == "read":
        return state, state
    if request.expected_version == state.version:
        state = Versioned(request.value, state.version + 1)
        return Swap(is_done=True, version=state.version), state
    return Swap(is_done=False, version=state.version), state


def overwrite(state: Versioned, request: Operation) -> tuple[Versioned | Swap, Versioned]:
    """Answer as a register without versions does, which leaves a checker to guess the order of writes."""
    if request.kind == "read":
        return state, state
    return Swap(is_done=True, version=0), Versioned(request.value, 0)


class Overwritten:
    """The model of a register without versions; all of its operations are answered."""

    initial = NOTHING

    def is_idle(self, operation: Operation) -> bool:
        return operation.kind == "read"

    def step(self, state: Versioned, operation: Operation) -> tuple[bool, Versioned]:
        result, after = overwrite(state, operation)
        return result == operation.result, after


def test_a_write_of_what_is_there_already_may_be_needed_after_another_write() -> None:
    long, short = cas(0, 9, 0, "same", made=0), cas(1, 2, 0, "same", made=0)
    history = [long, short, cas(3, 4, 0, "other", made=0), read(5, 6, Versioned("same", 0))]

    assert check(history, Overwritten()) is None


class Simulation:
    """Clients of a register that never lies: each operation happens at one instant between its call and its return."""

    def __init__(self, *, loss: float) -> None:
        self.states = [NOTHING]
        self._random = random.Random(20_000)  # noqa: S311 a history to check, and no secret
        self._loss = loss
        self._known = [0] * CLIENTS
        self._agenda = [(self._soon(0), client, 0) for client in range(CLIENTS)]

    def _soon(self, now_ns: int) -> int:
        return now_ns + self._random.randint(1, 1_000)

    def run(self, count: int) -> list[Operation]:
        heapq.heapify(self._agenda)
        return [self._next() for _ in range(count)]

    def _next(self) -> Operation:
        """Let the earliest instant come; its client calls again after it returned, or gave up."""
        instant_ns, client, called_ns = self._agenda[0]
        returned_ns = self._soon(instant_ns)
        again_ns = self._soon(returned_ns)
        heapq.heapreplace(self._agenda, (self._soon(again_ns), client, again_ns))
        request = self._request(client, called_ns)
        if self._random.random() >= self._loss:
            result = self._happen(request)
            self._known[client] = result.version
            return replace(request, returned_ns=returned_ns, result=result)
        if self._random.random() < 0.5:
            self._happen(request)
        return request

    def _request(self, client: int, called_ns: int) -> Operation:
        return Operation(
            client=client,
            called_ns=called_ns,
            returned_ns=None,
            kind=self._random.choice(("read", "cas")),
            expected_version=self._known[client],
            value=called_ns,
        )

    def _happen(self, request: Operation) -> Versioned | Swap:
        result, state = serve(self.states[-1], request)
        if state != self.states[-1]:
            self.states.append(state)
        return result


def with_a_stale_read(history: Sequence[Operation], states: Sequence[Versioned], *, after: int) -> list[Operation]:
    """Let a read that late in the history give what was overwritten ten versions earlier."""
    index = next(at for at in range(after, len(history)) if history[at].kind == "read" and history[at].result)
    seen = history[index].result
    assert seen is not None
    stale = replace(history[index], result=states[seen.version - 10])
    return [*history[:index], stale, *history[index + 1 :]]


@pytest.mark.parametrize("loss", [0.0, 0.01])
def test_a_long_history_of_many_clients_is_accepted_and_refused_with_one_stale_read_at_its_end(loss: float) -> None:
    simulation = Simulation(loss=loss)
    history = simulation.run(MANY)
    planted = with_a_stale_read(history, simulation.states, after=MANY - 100)

    violation = check(planted, Register())

    assert is_linearizable(*history)
    assert violation is not None
    assert len(violation.prefix) > (1 - loss) * MANY - 400
    assert set(violation.stuck) & (set(planted) - set(history))


def test_an_operation_as_long_as_the_whole_history_is_placed_where_it_belongs() -> None:
    history = Simulation(loss=0.0).run(MANY // 4)
    last_ns = max(op.returned_ns or 0 for op in history)
    final = max((op.result for op in history if op.result), key=lambda result: result.version).version
    long = cas(0, last_ns, final, "last", made=final + 1)

    assert is_linearizable(*history, long)
    assert not is_linearizable(*history, replace(long, returned_ns=last_ns // 2))


REQUESTS = st.builds(
    Operation,
    client=st.just(0),
    called_ns=st.integers(0, 4),
    returned_ns=st.none(),
    kind=st.sampled_from(["read", "cas"]),
    expected_version=st.integers(0, 2),
    value=st.integers(0, 1),
    result=st.none(),
)
LIES = st.builds(Versioned, st.sampled_from([None, 0, 1]), st.integers(0, 3)) | st.builds(
    Swap, st.booleans(), st.integers(0, 3)
)


@st.composite
def short_histories(draw: st.DrawFn, answer: Answer) -> list[Operation]:
    """Requests served in one order, called in nearly that order; some are not answered, and some wrongly."""
    state, history = NOTHING, []
    for index, request in enumerate(draw(st.lists(REQUESTS, max_size=6))):
        fate = draw(st.sampled_from(["answered", "answered", "answered", "lied to", "unanswered", "never served"]))
        result, after = answer(state, request)
        state = state if fate == "never served" else after
        called_ns = request.called_ns + 2 * index
        if fate in {"answered", "lied to"}:
            returned_ns = called_ns + draw(st.integers(0, 6))
            result = result if fate == "answered" else draw(LIES)
            history.append(replace(request, called_ns=called_ns, returned_ns=returned_ns, result=result))
        else:
            history.append(replace(request, called_ns=called_ns))
    return history


def is_linearizable_by_trial(history: Sequence[Operation], answer: Answer) -> bool:
    """Try all orders of the answered operations with any of the others."""
    answered = [op for op in history if op.result is not None]
    unanswered = [op for op in history if op.result is None]
    subsets = itertools.chain.from_iterable(
        itertools.combinations(unanswered, size) for size in range(len(unanswered) + 1)
    )
    orders = (order for subset in subsets for order in itertools.permutations([*answered, *subset]))
    return any(is_in_time(order) and is_answered_so(order, answer) for order in orders)


def is_in_time(order: Sequence[Operation]) -> bool:
    """Whether no operation ended before one ahead of it began."""
    return all(
        later.returned_ns is None or later.returned_ns >= earlier.called_ns
        for earlier, later in itertools.combinations(order, 2)
    )


def is_answered_so(order: Sequence[Operation], answer: Answer) -> bool:
    state = NOTHING
    for op in order:
        result, state = answer(state, op)
        if op.result not in (None, result):
            return False
    return True


@settings(max_examples=300)
@given(history=short_histories(serve))
def test_the_answer_is_that_of_trying_every_order(history: list[Operation]) -> None:
    assert is_linearizable(*history) == is_linearizable_by_trial(history, serve)


@settings(max_examples=300)
@given(history=short_histories(overwrite))
def test_so_it_is_where_only_a_second_try_finds_the_order(history: list[Operation]) -> None:
    answered = [op for op in history if op.result is not None]

    assert (check(answered, Overwritten()) is None) == is_linearizable_by_trial(answered, overwrite)
