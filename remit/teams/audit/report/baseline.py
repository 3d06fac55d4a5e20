"""What an audit leaves for the next one: `baseline.json`, and how far it is believed.

The file lies in an output folder, which may lie in the audited repository: whoever wrote the repository may have
written it. So it is taken for numbers, fingerprints and names of rules, each within bounds; a path in it is told only
if the repository has that file now.

An audit of the very state that the last one saw is compared with what that one was compared with. So it says the same.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from remit.teams.audit.finding import Severity
from remit.teams.audit.judge.opinion import Opinion
from remit.teams.audit.report.trend import POINTS, Commit, Moment, Score, TrendPoint, extended
from remit.teams.audit.tools.head import Head

BASELINE = "baseline.json"
FORMAT = 1
KEPT = 20_000
LIMIT_BYTES = 16 * 1024 * 1024
NONE = "the output folder holds no audit of an earlier state"
WHOLE = frozenset(
    {
        "complex-function",
        "long-function",
        "long-file",
        "huge-file",
        "untested-module",
        "high-churn",
        "absent-owner",
        "no-licence",
    }
)
"""Rules about a whole function or file. Their fingerprint names its first line, which an edit may change."""
Fingerprint = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{16}\Z")]
RuleName = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z][A-Za-z0-9-]{0,63}\Z")]
FilePath = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
Digest = Annotated[str, msgspec.Meta(pattern=r"\A(?:sha256:[0-9a-f]{64})?\Z")]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that an earlier audit kept."""

    fingerprint: Fingerprint
    rule: RuleName
    path: FilePath
    severity: Severity
    symbol: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    first: Commit = ""
    """The commit in whose audit it was first kept."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What one audit came to."""

    commit: Commit
    committed_at: Moment
    tree: Digest
    is_dirty: bool
    score: Score
    kept: Annotated[tuple[Known, ...], msgspec.Meta(max_length=KEPT)]
    demoted: Annotated[tuple[Fingerprint, ...], msgspec.Meta(max_length=KEPT)] = ()

    def is_of(self, head: Head) -> bool:
        """Whether that audit saw this very state."""
        return (self.commit, self.tree) == (head.commit, head.tree)


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """The last audit of a folder, what that one was compared with, and how the score went until then."""

    format: Literal[1] = 1
    last: Snapshot
    before: Snapshot | None = None
    """The last audit of another state than `last`."""
    points: Annotated[tuple[TrendPoint, ...], msgspec.Meta(max_length=POINTS)] = ()
    """One for each commit, in the order in which they were audited; the last is that of `last`."""

    def base(self, head: Head) -> Snapshot | None:
        """Give what an audit of this state is compared with."""
        return self.before if self.last.is_of(head) else self.last


class _Format(msgspec.Struct):
    format: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


def read(data: bytes) -> Baseline | str:
    """Give the baseline in a file, or why it is none; whatever the file holds."""
    try:
        found = msgspec.json.decode(data, type=_Format).format
        if found != FORMAT:
            return f"{BASELINE} has format {found}, and this version of Remit reads format {FORMAT}"
        return msgspec.json.decode(data, type=Baseline)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return f"{BASELINE} is not what an audit writes"


def snapshot(head: Head, opinions: Sequence[Opinion], *, score: int, last: Baseline | None) -> Snapshot:
    """Give what this audit came to; how long a finding is known, the last audit says."""
    base = last.base(head) if last is not None else None
    known = {item.fingerprint: item for item in base.kept} | heirs(base, opinions) if base is not None else {}
    first = {name: item.first for name, item in known.items()}
    return Snapshot(
        commit=head.commit,
        committed_at=head.committed_at,
        tree=head.tree,
        is_dirty=head.is_dirty,
        score=score,
        kept=tuple(_known(item, first, head.commit) for item in opinions if item.decision == "keep"),
        demoted=tuple(item.finding.fingerprint for item in opinions if item.decision == "demote"),
    )


def _known(opinion: Opinion, first: dict[str, str], now: str) -> Known:
    finding = opinion.finding
    return Known(
        fingerprint=finding.fingerprint,
        rule=finding.rule,
        path=finding.path,
        severity=finding.severity,
        symbol=finding.symbol,
        first=first.get(finding.fingerprint, now),
    )


def heirs(base: Snapshot, opinions: Sequence[Opinion]) -> dict[str, Known]:
    """Give what is kept under a new fingerprint, with what was known of the same function or file under another one."""
    raised = {item.finding.fingerprint for item in opinions}
    names = {item.fingerprint for item in base.kept}
    waiting = {(item.rule, item.path, item.symbol): item for item in base.kept if item.fingerprint not in raised}
    new = (item.finding for item in opinions if item.decision == "keep" and item.finding.fingerprint not in names)
    places = {item.fingerprint: (item.rule, item.path, item.symbol) for item in new if item.rule in WHOLE}
    return {name: waiting[place] for name, place in places.items() if place in waiting}


def renewed(last: Baseline | None, head: Head, now: Snapshot) -> Baseline:
    """Give the baseline for the next audit."""
    point = TrendPoint(commit=now.commit, committed_at=now.committed_at, score=now.score, kept=len(now.kept))
    return Baseline(
        last=now,
        before=last.base(head) if last is not None else None,
        points=extended(last.points if last is not None else (), point),
    )
