"""Drafts that are judged and made better: by which requirement, how good each was, and what ended it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from remit.contracts.message import NULL, Message, digest_of

Score = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]

StoppedBy = Literal["score", "rounds", "seconds", "cost", "no_progress", "repetition"]
"""What ended a reflection: the draft was good enough · its rounds, its time or its money were used up · no draft was
better than the best for some rounds · a draft came a second time."""


class Requirement(Message, frozen=True, kw_only=True, tag="reflection.requirement.v1"):
    """What a draft is judged by, from the first round to the last: the run's goal and the step's own work."""

    goal: str
    contract: str
    """Tag of the work."""
    work: msgspec.Raw
    hash: str
    """Digest of the three above."""

    @property
    def text(self) -> str:
        """The requirement in words, for a model."""
        return f"Goal: {self.goal}\nWork ({self.contract}): {bytes(self.work).decode()}"

    def digest(self) -> str:
        """Give the digest of goal and work as they are."""
        return digest_of([self.goal, self.contract, msgspec.json.decode(self.work)])


class Critique(Message, frozen=True, kw_only=True, tag="reflection.critique.v1"):
    """How good a draft is, and why it is not better."""

    score: Score
    reasons: tuple[str, ...] = ()


class AskedCritique(Critique, frozen=True, kw_only=True, tag="reflection.asked_critique.v1"):
    """The critique of a role that was asked. It says more than a model is let say, who would fill in anything."""

    requirement: str
    """The hash of the requirement by which the role judged; another one than ours is refused."""
    cost: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0
    """What the role spent on it."""


class ReflectionRound(Message, frozen=True, kw_only=True, tag="reflection.round.v1"):
    """One round as it is recorded: replay takes it from here, and calls nobody."""

    number: int
    requirement: str
    """Hash of the requirement."""
    draft: msgspec.Raw = NULL
    digest: str = ""
    """Of the draft; empty if the round ended before there was one."""
    score: float | None = None
    """None where the draft was not judged: it came a second time, or there was no time left."""
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0
    cost: float = 0.0
    best: int = 0
    """The round with the best draft so far; 0 if none was judged."""
    stopped_by: StoppedBy | Literal[""] = ""
    """What ended the reflection with this round."""
