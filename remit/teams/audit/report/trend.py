"""How the score went: one point for every commit that was audited into one output folder."""

from typing import Annotated

import msgspec

Commit = Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{40}|[0-9a-f]{64})?\Z")]
"""A full name of a commit; empty outside git and before the first commit."""
Moment = Annotated[str, msgspec.Meta(pattern=r"\A(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)?\Z")]
"""A time in UTC, as git has it of a commit; empty where there is none."""
Score = Annotated[int, msgspec.Meta(ge=0, le=100)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
POINTS = 50
"""Older ones are left out."""


class TrendPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What an audit said of one commit."""

    commit: Commit
    committed_at: Moment
    score: Score
    kept: Count


def extended(points: tuple[TrendPoint, ...], newest: TrendPoint) -> tuple[TrendPoint, ...]:
    """Give the trend with one more point at its end; an older point of the same commit is replaced."""
    others = [point for point in points if point.commit != newest.commit]
    return (*others[-(POINTS - 1) :], newest)
