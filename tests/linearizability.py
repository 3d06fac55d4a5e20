"""Whether what clients saw of one register can be told as a story in which each operation happens at one instant.

A history is linearizable when its operations can be put in one order that the register itself could have gone through,
and in which an operation that returned before another was called comes first. The search for such an order is that of
Wing and Gong ("Testing and verifying concurrent objects", Journal of Parallel and Distributed Computing 17, 1993),
with the memory that Lowe added ("Testing for linearizability", Concurrency and Computation: Practice and Experience
29(4), 2017). It follows the structure of Anish Athalye's porcupine (https://github.com/anishathalye/porcupine): calls
and returns stand in one linked list; any call before the first return may be placed next; what is placed is lifted out
of the list, and put back when it led nowhere. A pair of (operations placed, state) is entered once only.

Three things differ, since a history here has tens of thousands of operations and Python is slow:

- The operations placed are no bitset, which for each of n steps would keep n bits. Operations are dealt into lanes, so
  that those of one lane never overlap. They can be placed in their order only, so a count per lane says as much as the
  bits would. One integer holds the counts: placing an operation adds its weight, lifting it out again subtracts it.
- An operation that never changes a state is placed as soon as it is legal, and nothing in its stead: whatever order
  exists with it further back still exists without it there, and nothing unplaced has to come before it. To change
  nothing just here is not enough: a write of what is there already may be needed after another write.
- An operation of unknown outcome stands beside the list, in no order's way. It is tried where all others failed, and
  only where it changes the state; where it does not, that is as good as never. Whether it was placed is not remembered:
  the model owes that it changes no later state again. So of several that were cut off at one version, it makes no
  difference which one had its effect, once the next version is there; remembered, m such cuts of k operations would
  make k ** m ways to search before a history is refused.

All times must come from one clock, `called_ns` read before the request leaves and `returned_ns` after its answer came.
Equal instants count as overlapping. The search stays linear as long as few orders are legal, which versions see to.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

State = TypeVar("State", bound="Hashable")

_SHOWN = 8  # operations of the prefix that an explanation ends with


class Versioned(NamedTuple):
    """What a register holds, and what a read of it gives."""

    value: Hashable
    version: int


NOTHING = Versioned(None, 0)


class Swap(NamedTuple):
    """The answer to a cas: the version it made, or the one that stood in its way."""

    is_done: bool
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One request of one client, and the answer; one that is known to have had no effect may be left out."""

    client: int | str
    called_ns: int
    returned_ns: int | None
    """None if no answer ever came: it took effect at any time after its call, or never."""
    kind: Literal["read", "cas"]
    expected_version: int = 0
    """Version that a cas swaps for the next one."""
    value: Hashable = None
    """What a cas writes."""
    result: Versioned | Swap | None = None
    """None just when there was no answer."""

    def __post_init__(self) -> None:
        if (self.returned_ns is None) != (self.result is None):
            raise ValueError(f"either an instant and a result, or neither: {self}")
        if self.returned_ns is not None and self.returned_ns < self.called_ns:
            raise ValueError(f"returned before it was called: {self}")

    def __str__(self) -> str:
        request = "read" if self.kind == "read" else f"cas({self.expected_version}, {self.value!r})"
        answer = "unknown" if self.result is None else repr(self.result)
        returned = "never" if self.returned_ns is None else self.returned_ns
        return f"client {self.client} [{self.called_ns}, {returned}] {request} -> {answer}"


class Model(Protocol[State]):
    """An object as it behaves when used by one client at a time."""

    @property
    def initial(self) -> State:
        """The state before the first operation."""

    def is_idle(self, operation: Operation) -> bool:
        """Whether the operation, having had its result, changed nothing, in whichever state it came."""

    def step(self, state: State, operation: Operation) -> tuple[bool, State]:
        """Tell whether the operation may have had its result in this state, and the state it leaves.

        One without a result is legal where it might have an effect; the checker sees to it that it need not. Where it
        changed the state, it changes none that comes later: states are versioned, say, and it asks for a version.
        """


@dataclass(frozen=True)
class Register:
    """One value with a version, which a cas moves by one."""

    initial: Versioned = NOTHING

    def is_idle(self, operation: Operation) -> bool:
        """Tell reads and refused swaps."""
        return operation.kind == "read" or (isinstance(operation.result, Swap) and not operation.result.is_done)

    def step(self, state: Versioned, operation: Operation) -> tuple[bool, Versioned]:
        """Give what is true of a read or a cas here."""
        if operation.kind == "read":
            return operation.result in (None, state), state
        if state.version != operation.expected_version:
            return operation.result == Swap(is_done=False, version=state.version), state
        swapped = Versioned(operation.value, state.version + 1)
        return operation.result in (None, Swap(is_done=True, version=swapped.version)), swapped


@dataclass(frozen=True)
class Violation:
    """Why there is no order: the longest that was found, and what cannot follow it."""

    prefix: tuple[Operation, ...]
    state: Hashable
    """What the prefix leaves."""
    stuck: tuple[Operation, ...]
    """The answered operations that may come next by their times, none of which may by its result."""
    total: int

    def __str__(self) -> str:
        lines = [
            f"no order beyond {len(self.prefix)} of {self.total} operations, the last of which are",
            *(f"  {operation}" for operation in self.prefix[-_SHOWN:]),
            f"and leave {self.state!r}; one of these would have to follow:",
            *(f"  {operation}" for operation in self.stuck),
        ]
        return "\n".join(lines)


def check(history: Iterable[Operation], model: Model[State]) -> Violation | None:
    """Give None if the history is linearizable, else the reason why it is not."""
    return _Search(tuple(history), model).run()


class _Event:
    """A call or a return, linked to those around it; alone, it is a ring of one."""

    __slots__ = ("after", "at_ns", "before")

    def __init__(self, at_ns: int) -> None:
        self.at_ns = at_ns
        self.before: _Event = self
        self.after: _Event = self

    def append(self, event: _Event) -> None:
        """The event is the last one of the ring that begins here."""
        event.before, event.after = self.before, self
        self.before.after = self.before = event

    def lift(self) -> None:
        self.before.after = self.after
        self.after.before = self.before

    def put_back(self) -> None:
        """It stands where it stood: right if what was lifted after it is back already."""
        self.before.after = self.after.before = self


class _Call(_Event):
    __slots__ = ("answer", "operation", "weight")

    def __init__(self, operation: Operation, answer: _Event | None, weight: int) -> None:
        super().__init__(operation.called_ns)
        self.operation = operation
        self.answer = answer
        self.weight = weight


class _Lanes:
    """Deals out lanes: fields of one integer, each wide enough to count all operations."""

    def __init__(self, count: int) -> None:
        self._width = count.bit_length()
        self._used = 0
        self._free: list[int] = []

    def take(self) -> int:
        """Give the weight of a lane in which no operation is going on."""
        if self._free:
            return self._free.pop()
        self._used += 1
        return 1 << (self._width * (self._used - 1))

    def give_back(self, weight: int) -> None:
        self._free.append(weight)


def _linked(history: Iterable[Operation]) -> _Event:
    """Give the ring of all calls that have a return, and their returns, by time."""
    returns = [(op, _Event(op.returned_ns)) for op in history if op.returned_ns is not None]
    # A call comes before a return of the same instant, so equal instants overlap.
    edges = [(op.called_ns, False, index) for index, (op, _) in enumerate(returns)]
    edges += [(answer.at_ns, True, index) for index, (_, answer) in enumerate(returns)]
    ring, lanes, weights = _Event(0), _Lanes(len(returns)), [0] * len(returns)
    for _, is_return, index in sorted(edges):
        operation, answer = returns[index]
        if is_return:
            lanes.give_back(weights[index])
            ring.append(answer)
        else:
            weights[index] = lanes.take()
            ring.append(_Call(operation, answer, weights[index]))
    return ring


@dataclass(frozen=True, slots=True)
class _Step(Generic[State]):
    """One operation placed, with all that undoes it; a chain, so that keeping the longest costs nothing."""

    previous: _Step[State] | None
    call: _Call
    state: State
    """The state before."""
    others: Iterator[tuple[_Call, State]]
    """What may be tried in its stead."""
    answered: int
    """Operations of known outcome placed so far; those of unknown outcome are no progress."""


class _Search(Generic[State]):
    """The search for one order of one history."""

    def __init__(self, history: tuple[Operation, ...], model: Model[State]) -> None:
        self._model = model
        self._total = len(history)
        self._ring = _linked(history)
        unanswered = (_Call(op, None, 0) for op in history if op.returned_ns is None)
        self._unanswered = sorted(unanswered, key=lambda call: call.at_ns)
        self._state = model.initial
        self._placed = 0
        self._last: _Step[State] | None = None
        self._seen: set[tuple[int, State]] = set()
        self._longest: _Step[State] | None = None

    def run(self) -> Violation | None:
        """Place all operations of known outcome, or find that it cannot be done."""
        choices = self._choices()
        while self._ring.after is not self._ring:
            if self._advance(choices):
                choices = self._choices()
            elif self._last is not None:
                choices = self._retreat(self._last)
            else:
                return self._violation()
        return None

    def _advance(self, choices: Iterator[tuple[_Call, State]]) -> bool:
        """Place the first choice that leads where the search has not been."""
        for call, state in choices:
            key = (self._placed + call.weight, state)
            if key not in self._seen:
                self._seen.add(key)
                self._place(call, state, choices)
                return True
        return False

    def _place(self, call: _Call, state: State, others: Iterator[tuple[_Call, State]]) -> None:
        answered = (self._last.answered if self._last else 0) + (call.answer is not None)
        self._last = _Step(self._last, call, self._state, others, answered)
        if self._longest is None or answered > self._longest.answered:
            self._longest = self._last
        self._state = state
        self._placed += call.weight
        if call.answer is not None:
            call.lift()
            call.answer.lift()

    def _retreat(self, step: _Step[State]) -> Iterator[tuple[_Call, State]]:
        """Undo the last step; give what is left to try in its stead."""
        if step.call.answer is not None:
            step.call.answer.put_back()
            step.call.put_back()
        self._placed -= step.call.weight
        self._state = step.state
        self._last = step.previous
        return step.others

    def _choices(self) -> Iterator[tuple[_Call, State]]:
        """Give what may be placed next, each with the state it leaves; paused while a choice is being followed."""
        calls, first_return = self._frontier()
        legal = list(self._legal(calls))
        idle = next((choice for choice in legal if self._model.is_idle(choice[0].operation)), None)
        if idle is not None:
            yield idle
            return
        yield from legal
        in_time = itertools.takewhile(lambda call: call.at_ns <= first_return.at_ns, self._unanswered)
        for call, state in self._legal(in_time):
            if state != self._state:
                yield call, state

    def _frontier(self) -> tuple[list[_Call], _Event]:
        """Give the calls that no unplaced operation precedes, and the return that ends them."""
        calls, event = [], self._ring.after
        while isinstance(event, _Call):
            calls.append(event)
            event = event.after
        return calls, event

    def _legal(self, calls: Iterable[_Call]) -> Iterator[tuple[_Call, State]]:
        for call in calls:
            is_legal, state = self._model.step(self._state, call.operation)
            if is_legal:
                yield call, state

    def _violation(self) -> Violation:
        """Place the longest order again, to see what was stuck behind it; every step had been undone."""
        steps, step = [], self._longest
        while step is not None:
            steps.append(step)
            step = step.previous
        for step in reversed(steps):
            _, state = self._model.step(self._state, step.call.operation)
            self._place(step.call, state, iter(()))
        return Violation(
            prefix=tuple(step.call.operation for step in reversed(steps)),
            state=self._state,
            stuck=tuple(call.operation for call in self._frontier()[0]),
            total=self._total,
        )
