"""The shared state of an audit: which documents there are, who may write them, and how each field is merged.

Analysts judge independently: each proposes from the state in which nobody had said anything. So two of them on one
file meet in every field, and the field's policy decides, by what they said and not by who was first. No policy here
waits for a role or a person: an audit that nobody watches never stalls over a difference of opinion.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from remit import (
    Change,
    Context,
    Message,
    RefusedError,
    StateBatch,
    StateCommitted,
    StateParked,
    StateRejected,
    policy,
    state,
)
from remit.teams.audit.finding import Severity, Skill
from remit.teams.audit.message import Inventory

ANALYSTS = ("analyst-code", "analyst-security", "analyst-history", "analyst-supply", "analyst-docs")
CRITIC = "critic"
FIXER = "fixer"
KEYS_AT_ONCE = 50
"""Keys of one proposal: its answer, with every conflict explained, still fits a message."""

Action = Literal["mend", "test first", "simplify", "watch", "leave", "patched"]
PATCHED: Action = "patched"
"""Patches beside the report mend all that was kept; what is left to do is to apply them."""
URGENCY: dict[object, int] = {"mend": 5, "test first": 4, "simplify": 3, "watch": 2, "leave": 1, "patched": 0}


def most_urgent(_base: object, one: object, other: object) -> object:
    """Give the more urgent of two actions.

    A harm that is there today outweighs one that the next change may do. The order is fixed: a person is not worth
    waiting for, because the critic sees both sides afterwards, and its word stands against either.
    """
    return max(one, other, key=lambda action: URGENCY.get(action, -1))


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why one skill worries about a file."""

    skill: Skill
    tools: tuple[str, ...]
    """Independent tools that found something in the file."""
    score: int
    """The risk that this skill sees."""
    text: str


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What one skill says about one file, whatever stands in the end."""

    skill: Skill
    risk: int
    action: Action


class FileNote(Message, frozen=True, kw_only=True, tag="audit.file_note.v1"):
    """What the team thinks of one file."""

    risk: Annotated[int | None, policy.maximum(), policy.writers(*ANALYSTS)] = None
    primary_reason: Annotated[Reason | None, policy.evidence(sources="tools"), policy.writers(*ANALYSTS)] = None
    action: Annotated[Action | None, policy.owner(CRITIC, otherwise=policy.custom("most_urgent", most_urgent))] = None
    """The fixer speaks after the critic. Where they meet, the critic is right: it saw all sides."""
    seen_by: Annotated[tuple[Judgement, ...], policy.union(by="skill"), policy.writers(*ANALYSTS)] = ()
    patch: Annotated[str | None, policy.reject(), policy.writers(FIXER)] = None
    """Name of the patch that there is for the file, verified or not yet."""


class Rating(msgspec.Struct, frozen=True, kw_only=True):
    """How bad one skill finds something that another one sees too."""

    skill: Skill
    level: Severity
    tools: tuple[str, ...]
    score: int
    """A tool that read the arguments of a call is believed before one that knows its name."""


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """Who saw a finding, with which tool."""

    skill: Skill
    tool: str


class FindingNote(Message, frozen=True, kw_only=True, tag="audit.finding_note.v1"):
    """What the team thinks of one finding that several skills look for."""

    severity: Annotated[Rating | None, policy.evidence(sources="tools")] = None
    seen_by: Annotated[tuple[Sight, ...], policy.union(by="skill")] = ()


INVENTORY = state("inventory", Inventory, policy=policy.write_once(), writers=["cartographer"])
FILES = state("file.{path}", FileNote, writers=[*ANALYSTS, CRITIC, FIXER])
FINDINGS = state("finding.{fingerprint}", FindingNote, writers=ANALYSTS)
SECTIONS = state("report.{section}", str, policy=policy.reject(), writers=["editor"])


async def agreed(ctx: Context, changes: Sequence[Change]) -> tuple[StateCommitted, ...]:
    """The state holds these changes, merged with what others wrote meanwhile; give the versions.

    Raises:
        RefusedError: one of them was not taken; nothing of its part is stored, parts before it are.
    """
    parts = [changes[at : at + KEYS_AT_ONCE] for at in range(0, len(changes), KEYS_AT_ONCE)]
    answers = [await ctx.state.propose_all(*part) for part in parts]
    return tuple(item for answer in answers for item in _versions(answer))


def _versions(answer: StateBatch | StateRejected | StateParked) -> tuple[StateCommitted, ...]:
    match answer:
        case StateBatch(versions=versions):
            return versions
        case StateRejected(key=key, reason=reason):
            raise RefusedError("the shared state did not take this", where=key, got=reason)
        case StateParked(key=key, waits_for=asked):
            raise RefusedError("the shared state waits for a decision", where=key, got=asked)
