"""Pools of a simulated role under step, ramp and burst: bounded, sufficient, and quiet in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.contracts.pool import Pool
from remit.supervisor.autoscale import PATIENCE_S, SETTLE_S, UP_AFTER_S, WINDOW_S, Change, Course, Sight, decide

if TYPE_CHECKING:
    from collections.abc import Callable

    Load = Callable[[float], float]

START_S = 3
SLOTS = 4


@dataclass
class Role:
    """A pool whose hosts do `speed` steps a second each, as fluid; a host takes `START_S` until it is there."""

    pool: Pool
    speed: float = 2.0
    step_s: float = 0.5
    room: int = 1000
    hosts: int = 0
    starting: list[tuple[float, int]] = field(default_factory=list)
    ready: int = 0
    queue: list[tuple[float, float]] = field(default_factory=list)
    begun: float = 0.0
    now: float = 0.0
    course: Course = field(default_factory=Course)
    changes: list[tuple[float, int, str]] = field(default_factory=list)
    waits: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hosts = self.ready = self.pool.first

    def live(self, seconds: int, load: Load) -> None:
        for _ in range(seconds):
            self.second(load(self.now))

    def second(self, arriving: float) -> None:
        self.now += 1
        if self.starting and self.now >= self.starting[0][0]:
            self.ready = self.starting.pop(0)[1]
        if arriving:
            self.queue.append((self.now, arriving))
        able = done = self.ready * self.speed
        while self.queue and able > 0:
            at, left = self.queue[0]
            taken = min(left, able)
            able -= taken
            self.queue[0] = (at, left - taken)
            if left == taken:
                self.queue.pop(0)
        done -= able
        self.begun += done
        sight = Sight(
            waiting=round(sum(left for _at, left in self.queue)),
            handed_over=0,
            oldest_wait_s=self.now - self.queue[0][0] if self.queue else 0.0,
            begun=int(self.begun),
            busy=round(done * self.step_s),
            slots=SLOTS,
            ready=self.ready,
        )
        self.waits.append((self.now, sight.oldest_wait_s))
        change = decide(self.pool, self.course, sight, hosts=self.hosts, room=self.room, now=self.now)
        if change is not None:
            self.take(change)

    def take(self, change: Change) -> None:
        assert change.hosts != self.hosts
        assert change.reason
        self.changes.append((self.now, change.hosts, change.reason))
        if change.hosts < self.hosts:
            self.starting, self.ready = [], min(self.ready, change.hosts)
        if change.hosts > self.ready:
            self.starting = [(self.now + START_S, change.hosts)]
        self.hosts = change.hosts

    @property
    def turns(self) -> int:
        """How often growing and shrinking followed one another."""
        sizes = [self.pool.first, *(hosts for _at, hosts, _why in self.changes)]
        signs = [after > before for before, after in pairwise(sizes)]
        return sum(one != other for one, other in pairwise(signs))


def steady(rate: float) -> Load:
    return lambda _now: rate


RATES = st.just(0.0) | st.floats(1, 30)
"""A pool that has work once in a while is let go in between, and that is right."""
LOADS = st.one_of(
    RATES.map(steady),
    st.tuples(RATES, RATES, st.integers(0, 200)).map(lambda it: lambda now: it[0] if now < it[2] else it[1]),
    st.tuples(RATES, st.integers(1, 300)).map(lambda it: lambda now: it[0] * min(1.0, now / it[1])),
    st.tuples(st.integers(0, 200), st.integers(1, 300)).map(lambda it: lambda now: it[1] if now == it[0] else 0.0),
)
POOLS = st.tuples(st.integers(0, 3), st.integers(0, 20), st.sampled_from([1.0, 5.0, 20.0])).map(
    lambda it: Pool(min=it[0], max=max(1, it[0] + it[1]), wait_s=it[2])
)


@given(pool=POOLS, load=LOADS, room=st.integers(0, 20))
@settings(max_examples=60, deadline=None)
def test_a_pool_never_leaves_its_bounds_nor_the_budget_and_comes_to_rest(pool: Pool, load: Load, room: int) -> None:
    role = Role(pool, room=room)

    role.live(1200, load)

    allowed = max(pool.min, min(pool.max, room))
    assert all(pool.min <= hosts <= allowed for _at, hosts, _why in role.changes)
    assert role.hosts <= max(allowed, pool.first)
    assert role.turns <= 4
    assert [change for change in role.changes if change[0] > 900] == []


@given(rate=st.floats(0.5, 30), wait_s=st.sampled_from([2.0, 5.0, 10.0]))
@settings(max_examples=40, deadline=None)
def test_a_steady_load_is_served_within_the_objective_by_no_more_than_it_needs_and_a_bit(
    rate: float, wait_s: float
) -> None:
    role = Role(Pool(min=1, max=20, wait_s=wait_s))

    role.live(900, steady(rate))

    needed, waits = rate / role.speed, [wait for at, wait in role.waits if at > 600]
    # A load just above what the pool does takes its time to be late; then it is answered as any other.
    assert max(waits) <= wait_s + UP_AFTER_S + START_S + 1
    assert needed <= role.hosts or waits[-1] <= wait_s + UP_AFTER_S
    assert role.hosts <= 2 * needed + 2


def test_work_wakes_a_pool_of_no_hosts_at_once_and_idleness_lets_it_go() -> None:
    role = Role(Pool(min=0, max=4, idle_s=30))

    role.live(100, lambda now: 1.0 if now == 10 else 0.0)

    assert [(at, hosts) for at, hosts, _why in role.changes] == [(11, 1), (11 + START_S + 30, 0)]
    assert "first work: 1 step" in role.changes[0][2]
    assert "idle_s=30" in role.changes[1][2]


def test_a_burst_grows_the_pool_by_doubling_and_the_pool_shrinks_by_halves_when_it_is_over() -> None:
    role = Role(Pool(min=1, max=16, wait_s=2))

    role.live(600, lambda now: 400.0 if now == 5 else 0.5)

    sizes = [hosts for _at, hosts, _why in role.changes]
    assert sizes[:3] == [2, 4, 8]
    assert sizes[-1] == 1
    assert role.turns == 1


def test_a_pool_is_left_alone_until_its_new_hosts_are_there_and_have_had_a_moment() -> None:
    role = Role(Pool(min=1, max=16, wait_s=1))

    role.live(60, steady(30))

    assert all(after - before >= START_S + SETTLE_S for (before, *_), (after, *_) in pairwise(role.changes))


def test_hosts_that_do_not_come_are_not_waited_for_for_ever() -> None:
    course, pool = Course(), Pool(min=1, max=8, wait_s=1)
    stuck = Sight(waiting=100, handed_over=4, oldest_wait_s=60, begun=10, busy=4, slots=SLOTS, ready=1)
    hosts, grown = 1, []

    for now in range(200):
        change = decide(pool, course, stuck, hosts=hosts, room=100, now=float(now))
        if change is not None:
            hosts = change.hosts
            grown.append(now)

    assert all(after - before > PATIENCE_S for before, after in pairwise(grown))
    assert len(grown) == 3


def test_a_full_pool_is_not_shrunk_and_an_empty_one_only_after_a_whole_window() -> None:
    role = Role(Pool(min=1, max=8, start=8), step_s=SLOTS / 2)

    role.live(300, steady(14))
    full = list(role.changes)
    role.live(300, steady(0.1))

    assert full == []
    assert [hosts for _at, hosts, _why in role.changes] == [4, 2, 1]
    assert all(after - before >= WINDOW_S * 0.9 for (before, *_), (after, *_) in pairwise(role.changes))


def test_a_pool_above_what_the_budget_leaves_is_cut_and_the_reason_says_so() -> None:
    sight = Sight(waiting=0, handed_over=0, oldest_wait_s=0, begun=0, busy=0, slots=SLOTS, ready=6)

    change = decide(Pool(min=1, max=8), Course(), sight, hosts=6, room=2, now=0.0)

    assert change == Change(hosts=2, reason="6 hosts are more than the 2 that the budget leaves")


@pytest.mark.parametrize("short", [0.02, 0.5, 20.0])
def test_short_and_long_steps_alike_come_to_rest(short: float) -> None:
    """A pool of short steps has empty slots also at its limit; one of long steps begins few."""
    role = Role(Pool(min=1, max=20, wait_s=5), speed=min(2.0, SLOTS / short), step_s=short)

    role.live(1800, steady(min(11.0, 6 * role.speed)))

    assert role.turns <= 2
    assert [change for change in role.changes if change[0] > 900] == []
