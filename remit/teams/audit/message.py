"""What the roles of the audit say to one another, from the request to the published report."""

from typing import Literal

import msgspec

from remit import Message, StateRef
from remit.teams.audit.finding import Finding, Severity, Skill
from remit.teams.audit.model.remark import Words
from remit.teams.audit.sighting import Look, Skipped
from remit.teams.audit.tools.head import Head
from remit.teams.audit.tools.scratch import Stored


class AuditRequest(Message, frozen=True, kw_only=True, tag="audit.request.v1"):
    """Audit the Python repository in a folder."""

    path: str
    """Absolute: the folder is read by a gateway, whose working directory is its own."""
    out: str = ""
    """Where the report goes; empty is `.remit` in the repository."""
    inject: Literal["", "bad-patch"] = ""
    """A drill: what goes wrong on purpose."""
    tests: str = ""
    """Command of the repository's own tests, as a shell would split it; none is run if this is empty."""
    since: Literal["", "last"] = ""
    """With what the report compares."""
    branch: str = ""
    """Where patches are committed, too: a branch that is not there yet; none if this is empty."""
    model: str = ""
    """The model that roles may ask; none is asked if this is empty. Where it is, the gateway alone knows."""


class Assignment(Message, frozen=True, kw_only=True, tag="audit.assignment.v1"):
    """What an analyst looks at: a shard of the files, the whole tree, or findings that the critic doubts."""

    kind: Literal["files", "tree", "doubts"]
    files: Stored
    """The list of paths, in the scratch folder."""
    count: int
    quota: int = 0
    """Of how many files the analyst may write its judgement into the shared state."""
    doubts: tuple[Finding, ...] = ()
    requirement: str = ""
    """Hash of the run's goal, as the critic read it: what is asked for again is what was asked for first."""
    model: str = ""
    """The model that the analyst may ask; none if this is empty."""


class Inventory(Message, frozen=True, kw_only=True, tag="audit.inventory.v1"):
    """What the repository holds, and how the work on it is cut."""

    files: int
    python_files: int
    python_bytes: int
    tests: int
    packages: int
    entry_points: tuple[str, ...]
    is_git: bool
    shards: tuple[Assignment, ...]
    history: tuple[Assignment, ...] = ()
    """One, over the whole tree; none without git. Likewise the next two: none where there is nothing to read."""
    supply: tuple[Assignment, ...] = ()
    docs: tuple[Assignment, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    out: str = ""
    head: Head = Head()
    since: Literal["", "last"] = ""
    branch: str = ""
    model: str = ""
    """The model that roles may ask; none if this is empty."""
    words: Words = Words()
    """What a model says of the repository as a whole."""
    shipped: int = 0
    """Python files that are no tests, examples or somebody else's."""
    name: str = ""
    """Of the project, as its manifest says; of the folder if there is none."""


class Analysis(Message, frozen=True, kw_only=True, tag="audit.analysis.v1"):
    """What one analyst found in one assignment; the findings themselves are in the scratch folder."""

    skill: Skill
    kind: Literal["files", "tree", "doubts"]
    requirement: str
    files: int = 0
    lines: int = 0
    raised: int = 0
    findings: Stored | None = None
    looks: tuple[Look, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    measures: Stored | None = None
    """Numbers about whole files, in the scratch folder."""
    words: Words = Words()
    """What a model says of what was found."""


class Hearing(Message, frozen=True, kw_only=True, tag="audit.hearing.v1"):
    """Everything that the analysts said, before the critic."""

    inventory: Inventory
    code: tuple[Analysis, ...]
    security: tuple[Analysis, ...]
    history: tuple[Analysis, ...] = ()
    supply: tuple[Analysis, ...] = ()
    docs: tuple[Analysis, ...] = ()

    @property
    def analyses(self) -> tuple[Analysis, ...]:
        """All of them, whoever made them."""
        return (*self.code, *self.security, *self.history, *self.supply, *self.docs)


class Critique(Message, frozen=True, kw_only=True, tag="audit.critique.v1"):
    """What became of every finding; the opinions themselves are in the scratch folder."""

    opinions: Stored
    requirement: str
    raised: int
    kept: int
    demoted: int
    rejected: int
    uncriticised: int
    """Findings that nobody decided on; 0 in a complete audit."""
    unverified: int
    """Kept findings whose cited line does not stand in a file with the cited digest; 0 in a complete audit."""
    rounds: int
    looked_again: int
    files: int
    lines: int
    skipped: tuple[Skipped, ...] = ()
    measures: tuple[Stored, ...] = ()
    """Numbers about whole files, as the analysts stored them."""
    words: Words = Words()
    """What a model says of what was found, and where it was not asked."""


class RuleCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many conflicts one rule decided."""

    rule: str
    count: int


class Lead(msgspec.Struct, frozen=True, kw_only=True):
    """The leading finding of a file to mend first."""

    severity: Severity
    path: str
    line: int


class Report(Message, frozen=True, kw_only=True, tag="audit.report.v1"):
    """The report, ready in the scratch folder, with what is said about it on a terminal."""

    out: str
    files: tuple[Stored, ...]
    digest: str
    verdict: str
    score: int
    fix_first: tuple[str, ...]
    conflicts: tuple[RuleCount, ...]
    open_conflicts: int
    kept: int
    rejected: int
    unaccounted: int
    """Python files that were neither analysed nor listed as skipped; 0 in a complete audit."""
    sarif_problems: int
    patches: str = ""
    """How many are ready and how many were dropped, in words."""
    way: str = ""
    """What was rolled back on the way, in words; empty if nothing was."""
    sections: tuple[StateRef, ...] = ()
    """The report's sections in the shared state, in their order: together they are `report.md`."""
    since: str = ""
    """What changed since the last audit, in words; empty if nobody asked."""
    explain: str = ""
    """Fingerprint of the first reason to mend the first file; empty if nothing was kept."""
    branch: str = ""
    """Branch on which patches are committed, too, on top of the commit `base`; none if this is empty."""
    base: str = ""
    unread: str = ""
    """Shipped files that were not looked at, in words; empty if there are none."""
    leads: tuple[Lead, ...] = ()
    """One for each of `fix_first`."""
    contradictions: tuple[RuleCount, ...] = ()
    """How many fields each rule decided over which roles said different things."""
    agreements: int = 0
    """Fields that several roles wrote without contradicting one another."""
    example: str = ""
    """One contradiction that stands, in a sentence; empty if there is none of which the sides are texts."""


class Published(Message, frozen=True, kw_only=True, tag="audit.published.v1"):
    """The report stands where the person agreed; the last reply of an audit."""

    folder: str
    report: str
    files: int
    verdict: str
    score: int
    fix_first: tuple[str, ...]
    conflicts: tuple[RuleCount, ...]
    kept: int
    rejected: int
    patches: str = ""
    way: str = ""
    since: str = ""
    explain: str = ""
    left_out: tuple[str, ...] = ()
    """Files of the report that the person left out."""
    branch: str = ""
    """The new branch and its commit, or why there is none; empty if nobody wanted one."""
    unread: str = ""
    leads: tuple[Lead, ...] = ()
    contradictions: tuple[RuleCount, ...] = ()
    agreements: int = 0
    example: str = ""
