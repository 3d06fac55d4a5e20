"""Bounded reflection: drafts are judged and made better until one is good enough, or a limit says that it is over.

Every round is one recorded operation, and what it does stands in a branch of its own below it: a crash inside a round
finds the calls that it made, and a round that ended is never run again. The round says itself whether it was the last,
so replay decides as it was decided then, whatever clock or prices say now.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar, cast

import msgspec

from remit.agents.meter import metered
from remit.agents.replay import annotated_result, scope
from remit.contracts.errors import (
    DeadlineError,
    MalformedMessageError,
    RequirementDriftError,
    UsageError,
)
from remit.contracts.message import canonical, decode, decode_any, digest, encode, raw
from remit.contracts.reflection import AskedCritique, Critique, ReflectionRound, Requirement, StoppedBy

if TYPE_CHECKING:
    from remit.contracts.step import RunStep

T = TypeVar("T")

Drafter: TypeAlias = Callable[[Requirement], Awaitable[T]]
Critic: TypeAlias = Callable[[Requirement, T], Awaitable[Critique]]
Reviser: TypeAlias = Callable[[Requirement, T, Critique], Awaitable[T]]
Record: TypeAlias = Callable[[str, Callable[[str], Awaitable[bytes]]], Awaitable[msgspec.Raw]]
"""Gives what was recorded at the next position under the digest of a request, or acts there and records it."""

REFLECT: Final = "reflect"
"""The name under which rounds are recorded."""
ROUNDS_MOST: Final = 50
PATIENCE_MOST: Final = 10
_REASONS_MOST, _REASON_MOST = 20, 500


@dataclass(frozen=True, kw_only=True)
class Reflection(Generic[T]):
    """What a reflection came to: its best draft, not its last, and every round that led there."""

    draft: T
    score: float
    reasons: tuple[str, ...]
    """Why the best draft is not better."""
    stopped_by: StoppedBy
    rounds: tuple[ReflectionRound, ...]

    @property
    def is_good(self) -> bool:
        """Whether the best draft is good enough."""
        return self.stopped_by == "score"

    @property
    def cost(self) -> float:
        """What all rounds cost together."""
        return sum(item.cost for item in self.rounds)

    @property
    def seconds(self) -> float:
        """How long all rounds took together."""
        return sum(item.seconds for item in self.rounds)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """When a reflection is over. There is no way to say never."""

    until: float | Callable[[float], bool]
    max_rounds: int
    max_seconds: float | None
    max_cost: float | None
    patience: int

    def check(self) -> None:
        """Every bound is one.

        Raises:
            UsageError: one is not; nothing was done.
        """
        if not callable(self.until):
            _check("until", self.until, low=0.0, high=1.0)
        _check_whole("max_rounds", self.max_rounds, ROUNDS_MOST)
        _check_whole("patience", self.patience, PATIENCE_MOST)
        if self.max_seconds is not None:
            _check("max_seconds", self.max_seconds, low=0.0, high=math.inf)
        if self.max_cost is not None:
            _check("max_cost", self.max_cost, low=0.0, high=math.inf)

    def is_good(self, score: float) -> bool:
        """Say whether a draft with this score is good enough."""
        return bool(self.until(score)) if callable(self.until) else score >= self.until

    def stops(self, rounds: tuple[ReflectionRound, ...]) -> StoppedBy | None:
        """Say what ends the reflection after these rounds, or None."""
        last = rounds[-1]
        if last.score is not None and self.is_good(last.score):
            return "score"
        if any(item.digest == last.digest for item in rounds[:-1]):
            return "repetition"
        if last.score is None or (self.max_seconds is not None and _sum_s(rounds) >= self.max_seconds):
            return "seconds"
        if self.max_cost is not None and sum(item.cost for item in rounds) >= self.max_cost:
            return "cost"
        if len(rounds) >= self.max_rounds:
            return "rounds"
        return "no_progress" if last.number - last.best >= self.patience else None

    def left_s(self, rounds: tuple[ReflectionRound, ...]) -> float | None:
        """Give how long the next round may take; None leaves it to the step's own limit."""
        return None if self.max_seconds is None else max(self.max_seconds - _sum_s(rounds), 0.0)


class Reflecting(Generic[T]):
    """One reflection under way."""

    def __init__(
        self,
        work: RunStep,
        draft: T | Drafter[T],
        *,
        critique: Critic[T],
        revise: Reviser[T],
        bounds: Bounds,
        kind: object,
    ) -> None:
        self._work = work
        self._draft = draft
        self._critique = critique
        self._revise = revise
        self._bounds = bounds
        self._kind = kind

    async def run(self, record: Record) -> Reflection[T]:
        """Give the best draft and how it was come by.

        Raises:
            UsageError: a bound is none; nothing was done.
            RequirementDriftError: a draft was judged by another requirement.
            MalformedMessageError: a critique is none, or a draft is not of its type.
            DeadlineError: the time was over before any draft was judged.
            BaseException: what drafting, judging or revising raised.
        """
        self._bounds.check()
        request = self._requirement().hash
        rounds: tuple[ReflectionRound, ...] = ()
        while not rounds or not rounds[-1].stopped_by:
            value = await record(request, partial(self._acted, rounds))
            rounds = (*rounds, decode(ReflectionRound, value))
        return self._result(rounds)

    async def _acted(self, before: tuple[ReflectionRound, ...], position: str) -> bytes:
        with scope(f"{position}-0-"):
            return encode(await self._round(before))

    def _result(self, rounds: tuple[ReflectionRound, ...]) -> Reflection[T]:
        last = rounds[-1]
        if not last.best:
            raise DeadlineError(
                "no draft was judged in time",
                where="ctx.reflect(max_seconds)",
                expected=f"one within {self._bounds.max_seconds:g} s" if self._bounds.max_seconds else "",
                got=f"{_sum_s(rounds):.1f} s",
            )
        best = rounds[last.best - 1]
        return Reflection(
            draft=self._decoded(best.draft),
            score=best.score or 0.0,
            reasons=best.reasons,
            stopped_by=cast("StoppedBy", last.stopped_by),
            rounds=rounds,
        )

    async def _round(self, before: tuple[ReflectionRound, ...]) -> ReflectionRound:
        """Run one round, and decide whether it is the last."""
        now = asyncio.get_running_loop().time
        began, made = now(), ReflectionRound(number=len(before) + 1, requirement=self._requirement().hash)
        limit = asyncio.timeout(self._bounds.left_s(before))
        with metered() as meter:
            try:
                async with limit:
                    made = await self._drafted(made, before)
                    if not any(item.digest == made.digest for item in before):
                        made = await self._judged(made, meter.add)
            except TimeoutError:
                if not limit.expired():  # it is the handler's own
                    raise
        made = msgspec.structs.replace(made, seconds=round(now() - began, 3), cost=round(meter.cost, 9))
        made = msgspec.structs.replace(made, best=_best((*before, made)))
        return msgspec.structs.replace(made, stopped_by=self._bounds.stops((*before, made)) or "")

    async def _drafted(self, made: ReflectionRound, before: tuple[ReflectionRound, ...]) -> ReflectionRound:
        if before:
            last = before[-1]
            critique = Critique(score=last.score or 0.0, reasons=last.reasons)
            draft = await self._revise(self._requirement(), self._decoded(last.draft), critique)
        elif callable(self._draft):
            draft = await self._draft(self._requirement())
        else:
            draft = self._draft
        if self._kind is object and isinstance(draft, msgspec.Struct):
            raise UsageError(
                "nobody says of which type the draft is, and it could not be read again",
                where="ctx.reflect(returns)",
                got=type(draft).__name__,
                fix=f"returns={type(draft).__name__}",
            )
        body = raw(draft)
        self._decoded(body)
        return msgspec.structs.replace(made, draft=body, digest=digest(canonical(draft)))

    async def _judged(self, made: ReflectionRound, spend: Callable[[float], None]) -> ReflectionRound:
        said = await self._critique(self._requirement(), self._decoded(made.draft))
        if not isinstance(said, Critique):
            raise MalformedMessageError(
                "a critique is none", where="ctx.reflect(critique)", expected="Critique", got=type(said).__name__
            )
        said = decode(type(said), encode(said))  # a struct is not checked when it is made
        if isinstance(said, AskedCritique):
            _check_same(said, made)
            spend(said.cost)
        reasons = tuple(reason[:_REASON_MOST] for reason in said.reasons[:_REASONS_MOST])
        return msgspec.structs.replace(made, score=said.score, reasons=reasons)

    def _requirement(self) -> Requirement:
        """Give the requirement as the supervisor dispatched it, made anew for whoever gets it.

        Raises:
            RequirementDriftError: the goal is not the one that the run was started with.
        """
        work = self._work
        if digest(work.goal.encode()) != work.goal_hash:
            raise RequirementDriftError(
                "the goal of the step is not the one that the run was started with",
                where=f"{work.run_id} {work.step}",
                expected=work.goal_hash,
                got=digest(work.goal.encode()),
            )
        bare = Requirement(goal=work.goal, contract=work.contract, work=work.body, hash="")
        return msgspec.structs.replace(bare, hash=bare.digest())

    def _decoded(self, draft: msgspec.Raw) -> T:
        return cast("T", decode_any(self._kind, draft))


def _check_same(said: AskedCritique, made: ReflectionRound) -> None:
    if said.requirement != made.requirement:
        raise RequirementDriftError(
            "the draft was judged by another requirement",
            where=f"ctx.reflect(critique), round {made.number}",
            expected=made.requirement,
            got=said.requirement,
        )


def kind_of(draft: object, returns: object | None) -> object:
    """Give the type by which a draft is read again: as it is said, or of the value, or of what the function gives."""
    if returns is not None:
        return returns
    return annotated_result(draft) if callable(draft) else type(draft)


def _best(rounds: tuple[ReflectionRound, ...]) -> int:
    """Give the number of the round with the best draft, the first of equal ones; 0 if none was judged."""
    judged = [item for item in rounds if item.score is not None]
    return max(judged, key=lambda item: (item.score or 0.0, -item.number)).number if judged else 0


def _sum_s(rounds: tuple[ReflectionRound, ...]) -> float:
    return sum(item.seconds for item in rounds)


def _check(name: str, value: object, *, low: float, high: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not low <= cast("float", value) <= high or (name != "until" and not value):
        expected = (
            "a number from 0 to 1, or a function of the score" if name == "until" else "a number above 0, or None"
        )
        raise UsageError("this is no bound", where=f"ctx.reflect({name})", expected=expected, got=repr(value))


def _check_whole(name: str, value: object, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise UsageError("this is no bound", where=f"ctx.reflect({name})", expected=f"1 to {most}", got=repr(value))
