"""What the critic thinks of a finding: a score against fixed criteria, a decision, and the reason."""

from typing import Literal

import msgspec

from remit.teams.audit.code.secret import KNOWN_SHAPE, masked
from remit.teams.audit.docs.document import is_document
from remit.teams.audit.docs.document_place import Era, document_place, era_of
from remit.teams.audit.finding import Finding
from remit.teams.audit.judge.noise import noise
from remit.teams.audit.judge.rules import rule_named
from remit.teams.audit.place import Place, place_of, place_of_manifest
from remit.teams.audit.source import TEXT_LIMIT
from remit.teams.audit.tools.files import Excerpt

Decision = Literal["keep", "demote", "reject", "doubt"]

CITED, SHIPPED, NAMED, SURE = 40, 20, 10, 30
"""Points: the cited line says so · it is code that ships · it names a function or class · it is a measure, or a
second look confirmed it. That two tools saw it counts for nothing: both know the line and no more."""
ENOUGH = 75
"""Points from which a finding is kept; below, an analyst is asked to look again."""
_ERAS: dict[Era, str] = {
    "past": "in a changelog or another document of the past, which was true when it was written",
    "translated": "in a translation, which follows its original",
}


class Opinion(msgspec.Struct, frozen=True, kw_only=True):
    """One finding as the critic sees it."""

    finding: Finding
    decision: Decision
    reason: str
    place: Place
    score: int
    cited: bool
    looked: bool = False
    """A second look was taken."""


def first_opinion(finding: Finding, excerpt: Excerpt, head: str) -> Opinion:
    """Give the opinion after the cited line was opened."""
    place = _place(finding, head)
    line = excerpt.lines[0] if excerpt.lines else ""
    cited = is_cited(finding, excerpt)
    points = score(finding, place, cited=cited, looked=False)

    def opinion(decision: Decision, reason: str) -> Opinion:
        return Opinion(finding=finding, decision=decision, reason=reason, place=place, score=points, cited=cited)

    if reason := noise(finding, place, line):
        return opinion("reject", reason)
    if finding.skill == "docs" and (reason := _ERAS.get(era_of(finding.path), "")):
        return opinion("demote", reason)
    if place == "example" and finding.measure != KNOWN_SHAPE:
        return opinion("demote", "in examples, documentation or tooling, which nobody ships")
    if place == "generated":
        return opinion("demote", "in a migration, which runs once for each database and is not changed then")
    if not cited:
        return opinion("doubt", "the cited line does not say so")
    if points < ENOUGH:
        return opinion("doubt", f"a guess so far: {points} of {ENOUGH} points")
    return opinion("keep", "the cited line says so")


def _place(finding: Finding, head: str) -> Place:
    """Say where a finding stands. To whoever reads it, the documentation is what is shipped."""
    if finding.skill == "docs" and is_document(finding.path):
        return document_place(finding.path, head)
    return place_of_manifest(finding.path, head) if finding.skill == "supply" else place_of(finding.path, head)


def is_cited(finding: Finding, excerpt: Excerpt) -> bool:
    """Say whether the cited line stands in the file whose digest the finding names."""
    if finding.rule == "huge-file":
        return "read limit" in excerpt.problem
    if excerpt.digest != finding.blob:
        return False
    line = (excerpt.lines[0] if excerpt.lines else "").strip()[:TEXT_LIMIT]
    return finding.snippet in {line, masked(line)} or finding.rule == "undecodable-file"


def score(finding: Finding, place: Place, *, cited: bool, looked: bool) -> int:
    """Give the points of a finding."""
    return sum(points(finding, place, cited=cited, looked=looked).values())


def points(finding: Finding, place: Place, *, cited: bool, looked: bool) -> dict[str, int]:
    """Give the points of a finding, each with what it is given for; 0 for what is not so."""
    sure = rule_named(finding.rule).certain or looked
    named = bool(finding.symbol) or finding.skill == "structure"
    return {
        "the cited line says so": CITED * cited,
        "code that ships": SHIPPED * (place == "shipped"),
        "names a function, a class or the tree": NAMED * named,
        "a measure, or confirmed by a second look": SURE * sure,
    }
