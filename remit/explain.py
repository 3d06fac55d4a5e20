"""All that is known of one finding or one conflict of an audit: who saw it, why it was kept, whether it stands now."""

from __future__ import annotations

import difflib
import re
import shlex
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from remit.contracts.errors import NotFoundError, UsageError
from remit.teams.audit.finding import Finding, in_file_order
from remit.teams.audit.judge.opinion import points
from remit.teams.audit.judge.rules import rule_named
from remit.teams.audit.memory import FILES, FINDINGS
from remit.teams.audit.report.conflict import Card
from remit.teams.audit.report.ruling import means
from remit.teams.audit.report.selection import CONFLICTS_FILE
from remit.teams.audit.report.standing import Standing, standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remit.published import Published
    from remit.teams.audit.judge.opinion import Opinion

PREFIX: Final = 4
"""Characters of a fingerprint; fewer fit by chance."""
_PLACE: Final = re.compile(r"(?P<path>.+):(?P<line>\d{1,9})", re.DOTALL)
_NEAR: Final = 3
_COMPARED: Final = 2_000
"""Names that a mistyped one is held against."""


class Patched(msgspec.Struct, frozen=True, kw_only=True):
    """A patch that mends a finding."""

    name: str
    is_there: bool
    """It was published, and lies there still."""


class Meeting(msgspec.Struct, frozen=True, kw_only=True):
    """Names a conflict."""

    key: str
    field: str
    rule: str


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A commit in whose audit a finding was kept."""

    commit: str
    committed_at: str = ""


class FindingStory(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a finding."""

    kind: Literal["finding"] = "finding"
    finding: Finding
    title: str
    why: str
    place: str
    decision: str
    reason: str
    score: int
    points: dict[str, int]
    """What the score is made of; empty if another version of Remit gave it."""
    looked_again: bool
    stands: Standing
    patches: tuple[Patched, ...]
    conflicts: tuple[Meeting, ...]
    beside: tuple[str, ...]
    """Fingerprints of what else was found in this line."""
    first_seen: Seen | None
    last_seen: Seen | None


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """One field that several wrote, and what its rule means."""

    card: Card
    means: str


class ConflictStory(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a conflict."""

    kind: Literal["conflict"] = "conflict"
    key: str
    about: str
    """The place of the finding, if it is one that several saw."""
    fields: tuple[Ruling, ...]
    record: str
    """The file with the full record."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A finding among others."""

    fingerprint: str
    decision: str
    severity: str
    line: int
    rule: str
    message: str


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a file, or in one of its lines: kept ones first."""

    kind: Literal["findings"] = "findings"
    path: str
    findings: tuple[Line, ...]


def explain(published: Published, name: str, place: str = "") -> FindingStory | ConflictStory | Findings:
    """Give what is known under a name: a fingerprint or the beginning of one, a path, `path:line`, or a conflict's key.

    `place` are the words of a command that name the folder.

    Raises:
        NotFoundError: nothing is called so.
        UsageError: several findings are.
        MalformedMessageError: what is published is not what an audit writes.
    """
    if (story := _conflict(published, name)) is not None:
        return story
    if len(found := _at(published, name) or _in(published, name)) > 1:
        return _listed(found)
    found = found or _named(published, name, place)
    if not found:
        raise _unknown(published, name, place)
    if len(found) > 1:
        raise UsageError(
            "several findings are called so",
            expected=f"one of {', '.join(f'{item.finding.fingerprint} ({item.finding.rule})' for item in found[:9])}",
            got=name,
            fix=f"remit explain {found[0].finding.fingerprint}{place}",
        )
    return _story(published, found[0])


# --- what a name means ----------------------------------------------------------------------------


def _conflict(published: Published, name: str) -> ConflictStory | None:
    if not name.startswith((FILES.prefix, FINDINGS.prefix)):
        return None
    key, _hash, field = (name, "", "") if name in published.conflicts else name.rpartition("#")
    found = [card for card in published.conflicts.get(key, ()) if field in {"", card.field}]
    if not found:
        return None
    opinion = published.opinions.get(key.removeprefix(FINDINGS.prefix))
    about = f"{opinion.finding.rule} at {opinion.finding.path}:{opinion.finding.line}" if opinion is not None else ""
    fields = tuple(Ruling(card=card, means=means(card.rule)) for card in found)
    return ConflictStory(key=key, about=about, fields=fields, record=str(published.folder / CONFLICTS_FILE))


def _at(published: Published, name: str) -> list[Opinion]:
    """Give the findings of a line; if one of several was kept, that one."""
    place = _PLACE.fullmatch(name)
    if place is None:
        return []
    wanted = (place["path"].removeprefix("./").removeprefix(f"{published.root}/"), int(place["line"]))
    found = [item for item in published.opinions.values() if (item.finding.path, item.finding.line) == wanted]
    kept = [item for item in found if item.decision == "keep"]
    return kept if len(kept) == 1 else found


def _in(published: Published, name: str) -> list[Opinion]:
    """Give the findings of a file."""
    path = name.removeprefix("./").removeprefix(f"{published.root}/")
    return [item for item in published.opinions.values() if item.finding.path == path]


def _listed(found: Sequence[Opinion]) -> Findings:
    ordered = sorted(found, key=lambda item: (item.decision != "keep", in_file_order(item.finding)))
    lines = [
        Line(
            fingerprint=item.finding.fingerprint,
            decision=item.decision,
            severity=item.finding.severity,
            line=item.finding.line,
            rule=item.finding.rule,
            message=item.finding.message,
        )
        for item in ordered
    ]
    return Findings(path=found[0].finding.path, findings=tuple(lines))


def _named(published: Published, name: str, place: str) -> list[Opinion]:
    if name in published.opinions:
        return [published.opinions[name]]
    found = [item for fingerprint, item in published.opinions.items() if fingerprint.startswith(name)]
    if found and len(name) < PREFIX:
        raise UsageError(
            "this is too short for the beginning of a fingerprint",
            expected=f"at least {PREFIX} characters",
            got=name,
            fix=f"remit explain {found[0].finding.fingerprint}{place}",
        )
    return found


def _unknown(published: Published, name: str, place: str) -> NotFoundError:
    near, report = _near(published, name), str(published.folder / "report.md")
    return NotFoundError(
        "no finding or conflict of this audit is called so",
        where=str(published.folder),
        expected=", ".join(near) or "a fingerprint, a path, path:line, or a key of a conflict",
        got=name,
        fix=f"remit explain {shlex.quote(near[0])}{place}" if near else f"less {shlex.quote(report)}",
    )


def _near(published: Published, name: str) -> Sequence[str]:
    """Give names that were perhaps meant."""
    if name.startswith((FILES.prefix, FINDINGS.prefix)):
        keys = [f"{key}#{card.field}" for key, cards in published.conflicts.items() for card in cards]
        return _close(name, [*published.conflicts, *keys])
    findings = [item.finding for item in published.opinions.values()]
    if place := _PLACE.fullmatch(name):
        path, line = place["path"], int(place["line"])
        paths = _close(path, list(dict.fromkeys(item.path for item in findings)))
        here = [item for item in findings if item.path in paths[:1]]
        here.sort(key=lambda item: (abs(item.line - line), item.line))
        return list(dict.fromkeys(f"{item.path}:{item.line}" for item in here))[:_NEAR]
    return _close(name, [item.fingerprint for item in findings])


def _close(name: str, known: Sequence[str]) -> Sequence[str]:
    return difflib.get_close_matches(name, known[:_COMPARED], n=_NEAR, cutoff=0.5)


# --- what is known --------------------------------------------------------------------------------


def _story(published: Published, opinion: Opinion) -> FindingStory:
    finding = opinion.finding
    rule = rule_named(finding.rule)
    made_of = points(finding, opinion.place, cited=opinion.cited, looked=opinion.looked)
    first, last = _seen(published, finding.fingerprint)
    return FindingStory(
        finding=finding,
        title=rule.title,
        why=rule.why,
        place=opinion.place,
        decision=opinion.decision,
        reason=opinion.reason,
        score=opinion.score,
        points=made_of if sum(made_of.values()) == opinion.score else {},
        looked_again=opinion.looked,
        stands=standing(published.root, finding),
        patches=tuple(
            Patched(name=patch.name, is_there=published.has(patch.name))
            for patch in published.patches
            if finding.fingerprint in patch.findings
        ),
        conflicts=tuple(_meetings(published, finding)),
        beside=tuple(
            name
            for name, item in published.opinions.items()
            if (item.finding.path, item.finding.line) == (finding.path, finding.line) and name != finding.fingerprint
        ),
        first_seen=first,
        last_seen=last,
    )


def _meetings(published: Published, finding: Finding) -> Iterable[Meeting]:
    for key in (FILES.prefix + finding.path, FINDINGS.prefix + finding.fingerprint):
        for card in published.conflicts.get(key, ()):
            yield Meeting(key=key, field=card.field, rule=card.rule)


def _seen(published: Published, name: str) -> tuple[Seen | None, Seen | None]:
    """Give the first and the last commit in whose audit a finding was kept, if the baseline knows."""
    if published.baseline is None:
        return None, None
    at = {point.commit: point.committed_at for point in published.baseline.points}
    last = published.baseline.last
    known = next((item for item in last.kept if item.fingerprint == name), None)
    if known is None or not last.commit:
        return None, None
    return (
        Seen(commit=known.first, committed_at=at.get(known.first, "")),
        Seen(commit=last.commit, committed_at=last.committed_at),
    )
