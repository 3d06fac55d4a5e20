"""How many hosts a scaled pool is to have: pure, from what is seen of it and what was decided before.

Growing and shrinking follow different signs, so that neither answers the other. A pool grows when work waits longer
than the objective: by as much as the wait is too long, at most to twice its size, never beyond the slots that what
waits can fill. Then it is left alone until the new hosts are there and have had a moment to work. It shrinks when,
over a whole window, little of it was in use *and* by what was learned the smaller pool would do: each growth remembers
at which rate its size did not. Without that memory a pool of short steps, whose slots look empty also at its limit,
would shrink and grow for ever.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from remit.contracts.pool import Pool

UP_AFTER_S: Final = 2.0
"""How long the wait must be too long before the pool grows."""
SETTLE_S: Final = 5.0
"""How long a pool is left alone after its last change has become real."""
PATIENCE_S: Final = 60.0
"""How long hosts that are wished for are waited for; later the pool may be changed without them."""
WINDOW_S: Final = 60.0
"""Over how long a pool must have been larger than needed before it shrinks."""
IN_USE: Final = 0.5
"""Share of the slots of the smaller pool that may have been in use at most."""
RATE_SHARE: Final = 0.8
"""Share of what a host did in a pool that was too small, with which it is counted on."""
FORGET_S: Final = 1800.0
"""How long it is remembered that a size was too small: steps change."""
RATE_S: Final = 10.0
"""Over how long the rate of hand-overs is taken."""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """A pool at one moment."""

    waiting: int
    """Steps in the role's consumer that nobody has in hand."""
    handed_over: int
    """Steps that an agent has in hand and has not settled."""
    oldest_wait_s: float
    """How long the oldest step that waits has waited."""
    begun: int
    """Steps handed over since the consumer was made; the rate is taken from it."""
    busy: int
    slots: int
    """Of one host."""
    ready: int
    """Hosts that are there."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """Another number of hosts, and why."""

    hosts: int
    reason: str


@dataclass(slots=True)
class Course:
    """What is remembered of a pool between two looks; times are seconds of a monotonic clock."""

    changed_at: float = -math.inf
    is_real: bool = True
    """The hosts of the last change are there, or were waited for long enough."""
    late_since: float | None = None
    used_at: float | None = None
    """When something last waited or ran."""
    seen: deque[tuple[float, int]] = field(default_factory=deque)
    """When so many steps were in work or waiting, over the window."""
    begun: deque[tuple[float, int]] = field(default_factory=deque)
    too_small: dict[int, tuple[float, float]] = field(default_factory=dict)
    """By number of hosts: at which rate so many did not do, and when that was."""


def decide(pool: Pool, course: Course, sight: Sight, *, hosts: int, room: int, now: float) -> Change | None:
    """Give another number of hosts, if there is to be one; `course` is brought up to `now`.

    `room` is how many hosts this pool may have at most for what the budget leaves. What is decided is within the
    pool's bounds, and within the budget as far as `min` allows.
    """
    rate = _note(course, sight, hosts=hosts, now=now)
    most = max(pool.min, min(pool.max, room))
    change = _bounded(pool, hosts=hosts, most=most) or _woken(pool, sight, hosts=hosts, most=most)
    if change is None and _is_settled(course, now):
        change = (
            _grown(pool, course, sight, rate=rate, hosts=hosts, most=most, now=now)
            or _let_go(pool, course, hosts=hosts, now=now)
            or _shrunk(pool, course, sight, rate=rate, hosts=hosts, now=now)
        )
    if change is not None:
        course.changed_at, course.is_real, course.late_since = now, False, None
        course.seen.clear()
    return change


def _note(course: Course, sight: Sight, *, hosts: int, now: float) -> float:
    """Take in what is seen; give the rate of hand-overs a second."""
    if not course.is_real and (sight.ready == hosts or now - course.changed_at > PATIENCE_S):
        course.is_real, course.changed_at = True, now
    in_work = sight.waiting + max(sight.handed_over, sight.busy)
    is_begun = bool(course.begun) and sight.begun != course.begun[-1][1]  # short steps end between two looks
    if in_work or is_begun or course.used_at is None:
        course.used_at = now
    course.seen.append((now, in_work))
    while course.seen[0][0] < now - WINDOW_S:
        course.seen.popleft()
    if course.begun and course.begun[-1][1] > sight.begun:  # the consumer was made anew
        course.begun.clear()
    course.begun.append((now, sight.begun))
    while len(course.begun) > 2 and course.begun[1][0] <= now - RATE_S:  # noqa: PLR2004  # two ends of an interval
        course.begun.popleft()
    (since, before), (until, after) = course.begun[0], course.begun[-1]
    return (after - before) / (until - since) if until > since else 0.0


def _is_settled(course: Course, now: float) -> bool:
    return course.is_real and now - course.changed_at >= SETTLE_S


def _bounded(pool: Pool, *, hosts: int, most: int) -> Change | None:
    if hosts < pool.min:
        return Change(hosts=pool.min, reason=f"{hosts} hosts are fewer than min={pool.min}")
    if hosts > most:
        bound = f"max={pool.max}" if most == pool.max else f"the {most} that the budget leaves"
        return Change(hosts=most, reason=f"{hosts} hosts are more than {bound}")
    return None


def _woken(pool: Pool, sight: Sight, *, hosts: int, most: int) -> Change | None:
    if hosts or not sight.waiting or not most:
        return None
    return Change(hosts=min(max(1, pool.first), most), reason=f"first work: {_count(sight.waiting)} for no host")


def _grown(
    pool: Pool, course: Course, sight: Sight, *, rate: float, hosts: int, most: int, now: float
) -> Change | None:
    behind_s = sight.waiting / rate if rate > 0 else sight.oldest_wait_s
    wait_s = max(sight.oldest_wait_s, min(behind_s, sight.oldest_wait_s * 4))
    if not sight.waiting or sight.oldest_wait_s <= pool.wait_s:
        course.late_since = None
        return None
    if course.late_since is None:
        course.late_since = now
    if now - course.late_since < UP_AFTER_S:
        return None
    if rate > 0:
        course.too_small[hosts] = rate, now
    fill = math.ceil((sight.waiting + sight.handed_over + sight.busy) / max(sight.slots, 1))
    wanted = min(math.ceil(hosts * wait_s / pool.wait_s), 2 * hosts, max(fill, hosts + 1), most)
    if wanted <= hosts:
        return None
    return Change(
        hosts=wanted,
        reason=(
            f"the oldest of {sight.waiting} waiting has waited {sight.oldest_wait_s:.1f} s, more than "
            f"wait_s={pool.wait_s:g}; {sight.busy} of {hosts * sight.slots} slots busy, {rate:.1f} begun a second"
        ),
    )


def _let_go(pool: Pool, course: Course, *, hosts: int, now: float) -> Change | None:
    idle_s = now - (course.used_at if course.used_at is not None else now)
    if pool.min or not hosts or idle_s < pool.idle_s:
        return None
    return Change(hosts=0, reason=f"nothing waited or ran for {idle_s:.0f} s, idle_s={pool.idle_s:g}")


def _shrunk(pool: Pool, course: Course, sight: Sight, *, rate: float, hosts: int, now: float) -> Change | None:
    least = max(pool.min, 1)
    if hosts <= least or now - course.seen[0][0] < WINDOW_S * 0.95:
        return None
    peak = max(count for _at, count in course.seen)
    fewer = max(least, hosts // 2, math.ceil(peak / (sight.slots * IN_USE)), _needed(course, rate, now))
    if fewer >= hosts:
        return None
    return Change(
        hosts=fewer,
        reason=(
            f"at most {_count(peak)} in work over {WINDOW_S:.0f} s, {fewer} hosts have {fewer * sight.slots} slots; "
            f"{rate:.1f} begun a second"
        ),
    )


def _needed(course: Course, rate: float, now: float) -> int:
    """Give how many hosts a rate needs, by what smaller pools were seen to do."""
    known = [(size, did) for size, (did, at) in course.too_small.items() if now - at < FORGET_S]
    return max((math.ceil(rate * size / (did * RATE_SHARE)) for size, did in known), default=0)


def _count(steps: int) -> str:
    return "1 step" if steps == 1 else f"{steps} steps"
