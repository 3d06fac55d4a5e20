"""Files to mend first: those on which the findings of several analysts join."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from remit.teams.audit.finding import SEVERITIES, WEIGHT, Finding, by_path
from remit.teams.audit.judge.judgement import UNTOUCHED, defects_first, is_defect, is_unused, waits_for_program

FIRST = 5
_REASONS = 4
_SUBJECT = re.compile(r"`([^`]+)` (?=(?:has|is) )")
_LAST = ("long-file", "absent-owner", "high-churn", "untested-module")
"""Said at the end of a sentence in this order, because they make the rest worse."""


class Hotspot(msgspec.Struct, frozen=True, kw_only=True):
    """One file with the reasons that make it urgent."""

    path: str
    weight: int
    urgency: int
    """The weight, in which what is wrong today counts twice, times the analysts that meet."""
    skills: tuple[str, ...]
    reasons: tuple[str, ...]
    findings: tuple[str, ...]
    """Fingerprints of the findings behind the reasons."""

    @property
    def is_joined(self) -> bool:
        """Whether several skills met here."""
        return len(self.skills) > 1

    def sentence(self, new: frozenset[str] = frozenset()) -> str:
        """Say it in one line; `new` are fingerprints of reasons that the last audit did not have."""
        return f"{self.path}: {self.joined(new)}"

    def joined(self, new: frozenset[str] = frozenset()) -> str:
        """Give the reasons as one."""
        told = zip(_unrepeated(self.reasons), self.findings, strict=True)
        *most, last = [f"{reason} (new)" if name in new else reason for reason, name in told]
        return f"{', '.join(most)}, and {last}" if most else last


def hotspots(kept: Iterable[Finding]) -> list[Hotspot]:
    """Give the files to mend first, the most urgent before the others.

    A file in which something is wrong today goes before every file that is only hard to change, and of two such files
    that with the graver defect. What is wrong today counts twice as much as the rest. Every analyst beyond the first
    counts as much as the findings themselves: what is bad in one way only may be so on purpose, and a file that is bad
    in several ways is where the next defect will be. That a file is long is no reason to begin there.
    """
    groups = by_path(kept)
    found = [_hotspot(path, group) for path, group in groups.items()]
    worth = [item for item in found if any(map(_is_reason, groups[item.path]))]
    return sorted(worth, key=lambda item: (_gravest(groups[item.path]), -item.urgency, item.path))[:FIRST]


def _is_reason(finding: Finding) -> bool:
    """Say whether a finding alone is something to mend: notes are not, and neither is a length."""
    return WEIGHT[finding.severity] > 0 and finding.rule != "long-file"


def _gravest(group: Sequence[Finding]) -> int:
    """Give the place of the gravest defect among the severities; behind all of them if there is none."""
    return min((SEVERITIES.index(item.severity) for item in group if is_defect(item)), default=len(SEVERITIES))


def _hotspot(path: str, group: Sequence[Finding]) -> Hotspot:
    told = _told(group)
    skills = sorted({finding.skill for finding in group if _counts(finding)})
    today = sum(WEIGHT[item.severity] for item in group if item.rule not in UNTOUCHED and not waits_for_program(item))
    weight = sum(WEIGHT[finding.severity] for finding in group)
    return Hotspot(
        path=path,
        weight=weight,
        urgency=(weight + today) * max(1, len(skills)),
        skills=tuple(skills),
        reasons=tuple(finding.message for finding in told),
        findings=tuple(finding.fingerprint for finding in told),
    )


def _unrepeated(reasons: Sequence[str]) -> list[str]:
    """Name a function once: what follows about the same one says `it`."""
    found: list[str] = []
    before = ""
    for reason in reasons:
        subject = _SUBJECT.match(reason)
        is_same = subject is not None and subject[1] == before
        found.append(f"it {reason[len(subject[0]) :]}" if subject is not None and is_same else reason)
        before = subject[1] if subject is not None else ""
    return found


def _counts(finding: Finding) -> bool:
    """Say whether a finding makes an analyst one of those that meet; a note does not, unless it makes others worse."""
    return WEIGHT[finding.severity] > 0 or finding.rule in _LAST


def _told(group: Sequence[Finding]) -> list[Finding]:
    """Choose the reasons: of every skill the gravest defect or else the worst, then of the rest, one of a rule."""
    ordered = sorted(group, key=lambda item: (not is_unused(item), item.rule == "long-file", defects_first(item)))
    by_skill = {finding.skill: finding for finding in reversed(ordered)}
    chosen = [finding for finding in ordered if by_skill[finding.skill] is finding]
    for finding in ordered:
        if finding.rule not in {item.rule for item in chosen}:
            chosen.append(finding)
    return sorted(chosen[:_REASONS], key=_as_told)


def _as_told(finding: Finding) -> tuple[int, tuple[object, ...]]:
    """Sort key: that nothing uses the file, defects, then the worst, then what makes it worse."""
    if is_unused(finding):
        return -1, ()
    return (_LAST.index(finding.rule) + 1 if finding.rule in _LAST else 0, defects_first(finding))
