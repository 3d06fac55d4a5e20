"""What an analyst says about a whole file, put into the shared state where others say something too."""

from collections.abc import Iterable, Sequence

import msgspec

from remit import Change, Context, Versioned
from remit.teams.audit.code.untested import UNUSED
from remit.teams.audit.finding import WEIGHT, Finding, Skill, by_path, worst_first
from remit.teams.audit.memory import (
    FILES,
    FINDINGS,
    Action,
    FileNote,
    FindingNote,
    Judgement,
    Rating,
    Reason,
    Sight,
    agreed,
)
from remit.teams.audit.place import place_of
from remit.teams.audit.tools.ruff import SECOND_OPINIONS

PATH_BYTES = 150
"""A longer path makes no key."""
TEXT_LIMIT = 160
"""Of a reason; a conflict repeats it for every side."""
SHARED = frozenset(SECOND_OPINIONS.values())
"""Rules that the code view and the security view both look for, with tools of their own."""
TANGLED = frozenset({"complex-function", "long-function", "long-file", "duplicate-code", "import-cycle"})
"""Rules whose findings are mended by writing the same more simply."""
UNTOUCHED = TANGLED | {"untested-module", "absent-owner"}
"""Rules whose findings do no harm before somebody changes the code."""
SHAPE = UNTOUCHED | {"high-churn", "hidden-coupling", "stale-todo", "huge-file"}
"""Rules about what code looks like or where it comes from. Every other rule tells of something that is wrong today."""


def is_defect(finding: Finding) -> bool:
    """Say whether something is wrong today; a note says of nothing that it is wrong."""
    return finding.rule not in SHAPE and not waits_for_program(finding) and WEIGHT[finding.severity] > 0


def is_unused(finding: Finding) -> bool:
    """Say whether a finding is about a module that nothing imports and no test names."""
    return finding.rule == "untested-module" and finding.message == UNUSED


def waits_for_program(finding: Finding) -> bool:
    """Say whether a finding is about a child process without a timeout: it may well take its time, unlike a peer."""
    return finding.rule == "missing-timeout" and finding.message.startswith("`subprocess.")


def defects_first(finding: Finding) -> tuple[bool, tuple[object, ...]]:
    """Sort key: what is wrong today, then what is only hard to change, each the worst first."""
    return not is_defect(finding), worst_first(finding)


def risk_of(findings: Iterable[Finding]) -> int:
    """Give the risk that some findings make together, at most 100."""
    return min(100, sum(WEIGHT[finding.severity] for finding in findings))


def action_of(findings: Iterable[Finding], *, sure: bool) -> Action:
    """Say what the worst of some findings asks for; what is not sure must be of high severity to be mended."""
    found = list(findings)
    worst = min(found, key=worst_first)
    if worst.rule in UNTOUCHED:
        is_untested = any(finding.rule == "untested-module" for finding in found)
        return "test first" if is_untested else "simplify" if worst.rule in TANGLED else "watch"
    return "mend" if worst.severity == "high" or (sure and worst.severity == "medium") else "watch"


def notes(findings: Iterable[Finding], skill: Skill, quota: int) -> dict[str, FileNote]:
    """Give what a skill says about the files it worries about most: shipped ones with a finding above low."""
    said = {
        path: _note(group, skill)
        for path, group in by_path(findings).items()
        if place_of(path) == "shipped" and len(path.encode()) <= PATH_BYTES
        if any(finding.severity in {"high", "medium"} for finding in group)
    }
    worst = sorted(said, key=lambda path: (-(said[path].risk or 0), path))[:quota]
    return {path: said[path] for path in sorted(worst)}


def _note(findings: Sequence[Finding], skill: Skill) -> FileNote:
    risk, action = risk_of(findings), action_of(findings, sure=False)
    tools = tuple(sorted({tool for finding in findings for tool in finding.tools}))
    text = min(findings, key=worst_first).message[:TEXT_LIMIT]
    return FileNote(
        risk=risk,
        primary_reason=Reason(skill=skill, tools=tools, score=risk, text=text),
        action=action,
        seen_by=(Judgement(skill=skill, risk=risk, action=action),),
    )


def finding_note(finding: Finding) -> FindingNote:
    """Give what one skill says about a finding that another skill may see too."""
    score = 2 if finding.tools == ("ast",) else 1
    return FindingNote(
        severity=Rating(skill=finding.skill, level=finding.severity, tools=finding.tools, score=score),
        seen_by=(Sight(skill=finding.skill, tool=finding.tools[0]),),
    )


async def share(ctx: Context, findings: Sequence[Finding], skill: Skill, *, quota: int) -> None:
    """The shared state holds what this skill says about its worst files.

    Every proposal starts from the inventory's state, in which nobody had said anything: analysts judge
    independently, so two of them on one file are a conflict, which the policies of the note decide.

    Raises:
        RefusedError: the state took a judgement for what it is not; what others wrote stands.
    """
    said = notes(findings, skill, quota)
    both = {item.fingerprint: item for item in findings if item.path in said and item.rule in SHARED}
    await agreed(
        ctx,
        [
            *(Change(FILES.key(path=path), note) for path, note in said.items()),
            *(Change(FINDINGS.key(fingerprint=name), finding_note(item)) for name, item in [*both.items()][:quota]),
        ],
    )


def last_word(note: Versioned[FileNote], kept: Sequence[Finding]) -> Change | None:
    """Give the change by which the critic says what to do about a file; None if that stands already."""
    action: Action = action_of(kept, sure=True) if kept else "leave"
    if note.value is None or note.value.action == action:
        return None
    return Change(note.key, msgspec.structs.replace(note.value, action=action), note.version)
