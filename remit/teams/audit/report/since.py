"""What changed since the last audit: new findings, mended ones, and what nobody can say because nobody looked."""

from collections.abc import Mapping, Sequence

import msgspec

from remit.teams.audit.docs import rules as rules_docs
from remit.teams.audit.docs import scan as docs_scan
from remit.teams.audit.docs import snippet
from remit.teams.audit.finding import SEVERITIES, Finding
from remit.teams.audit.history import blame as blame_scan
from remit.teams.audit.history import commit_log
from remit.teams.audit.history import rules as rules_history
from remit.teams.audit.history import scan as history_scan
from remit.teams.audit.judge.judgement import defects_first
from remit.teams.audit.judge.opinion import Opinion
from remit.teams.audit.judge.rule import Rule
from remit.teams.audit.judge.rules import rule_named
from remit.teams.audit.message import Inventory
from remit.teams.audit.report.baseline import Known, Snapshot, heirs
from remit.teams.audit.report.markdown_text import code
from remit.teams.audit.sighting import Skipped, clipped_rule
from remit.teams.audit.supply import rules as rules_supply
from remit.teams.audit.supply import supply, undeclared, unused
from remit.teams.audit.tools import scanner

SHOWN = 20


def _names(rules: Sequence[Rule]) -> frozenset[str]:
    return frozenset(rule.name for rule in rules)


_STRUCTURE = frozenset({"duplicate-code", "import-cycle", "untested-module"})
_LEFT_OUT: tuple[tuple[str, frozenset[str]], ...] = (
    (scanner.STRUCTURE, _STRUCTURE),
    (commit_log.HISTORY, _names(rules_history.RULES)),
    (blame_scan.WHAT, frozenset({"stale-todo"})),
    (history_scan.OWNERS, frozenset({"absent-owner"})),
    (undeclared.WHAT, frozenset({"undeclared-dependency"})),
    (unused.WHAT, frozenset({"unused-dependency"})),
    (supply.MORE, _names(rules_supply.RULES)),
    (supply.SOME, _names(rules_supply.RULES)),
    (docs_scan.MORE, _names(rules_docs.RULES)),
    (docs_scan.MISSING, frozenset({"broken-link"})),
    (snippet.MORE, frozenset({"broken-snippet"})),
)
"""What is said of something that was left out, and the rules that are not applied without it."""


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at now: only there a finding that is gone is mended."""

    paths: frozenset[str]
    unseen: frozenset[str] = frozenset()
    """Rules that were not applied, or of which not every hit was judged."""

    def at(self, known: Known) -> bool:
        """Whether the finding would have been found again, were it still there."""
        return known.path in self.paths and known.rule not in self.unseen


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """This audit beside the last one."""

    last: Snapshot
    score: int
    new: tuple[Finding, ...]
    """Kept now and not then, worst first."""
    mended: tuple[Known, ...]
    """Kept then, and not found any more by who looked, worst first."""
    dropped: tuple[Finding, ...]
    """Kept then and found again, but not kept now."""
    unseen: tuple[Known, ...]
    """Kept then, and not looked at now."""
    changed: Mapping[str, Known]
    """Kept now under another fingerprint than then, by the new one; still open."""
    open: int

    @property
    def fresh(self) -> frozenset[str]:
        """Fingerprints of what is new."""
        return frozenset(item.fingerprint for item in self.new)


def looked(inventory: Inventory, paths: Sequence[str], skipped: Sequence[Skipped]) -> Looked:
    """Give what was looked at, from what was to be looked at and what was left out."""
    beside = (
        (inventory.history, rules_history.RULES),
        (inventory.supply, rules_supply.RULES),
        (inventory.docs, rules_docs.RULES),
    )
    unseen = {rule.name for works, rules in beside if not works for rule in rules}
    unseen |= {name for item in skipped if (name := clipped_rule(item))}
    unseen |= set() if inventory.tests else {"untested-module"}
    lost = {item.what for item in skipped if item.cause == scanner.EARLY}
    unseen |= {rule.name for rule in rules_supply.RULES if scanner.SUPPLY in lost}
    unseen |= {rule.name for rule in rules_docs.RULES if scanner.DOCS in lost}
    unseen |= {name for item in skipped for what, rules in _LEFT_OUT if what in item.what for name in rules}
    left = {item.what for item in skipped}
    return Looked(paths=frozenset(paths) - left, unseen=frozenset(unseen))


def compared(last: Snapshot, opinions: Sequence[Opinion], *, score: int, seen: Looked) -> Comparison:
    """Compare what was kept then with what is kept now."""
    then = {item.fingerprint: item for item in last.kept}
    raised = {item.finding.fingerprint: item for item in opinions}
    kept = [item.finding for item in opinions if item.decision == "keep"]
    changed = heirs(last, opinions)
    there = raised.keys() | {item.fingerprint for item in changed.values()}
    old = then.keys() | changed.keys()
    gone = sorted((item for name, item in then.items() if name not in there), key=_worst_first)
    return Comparison(
        last=last,
        score=score,
        new=tuple(sorted((item for item in kept if item.fingerprint not in old), key=defects_first)),
        mended=tuple(item for item in gone if seen.at(item)),
        dropped=tuple(raised[name].finding for name in then if name in raised and raised[name].decision != "keep"),
        unseen=tuple(item for item in gone if not seen.at(item)),
        changed=changed,
        open=sum(item.fingerprint in old for item in kept),
    )


def _worst_first(known: Known) -> tuple[int, str, str, str]:
    return (SEVERITIES.index(known.severity), known.path, known.rule, known.fingerprint)


def said(found: Comparison) -> str:
    """Say in a few words what changed."""
    return (
        f"{len(found.new)} new, {len(found.mended)} mended, {found.open} still open;"
        f" score {found.last.score} -> {found.score}"
    )


def told(found: Comparison | None, problem: str) -> str:
    """Say in one line what changed, or why nobody can say."""
    return said(found) if found is not None else f"nothing to compare with: {problem}"


def section(found: Comparison | None, problem: str) -> str:
    """Give the section of the report."""
    lines = ["## Since the last audit", ""]
    if found is None:
        return "\n".join([*lines, f"Nothing to compare with: {problem}.", ""])
    lines += [f"{said(found)}. The last audit was of {state(found.last)}."]
    lines += ["", *(f"- {line}" for line in unsure(found))] if unsure(found) else []
    if found.new:
        lines += ["", "New:", "", *map(_new, found.new[:SHOWN]), *_more(len(found.new), "new")]
    if found.mended:
        lines += ["", "Mended:", "", *map(_mended, found.mended[:SHOWN]), *_more(len(found.mended), "absent")]
    return "\n".join([*lines, ""])


def unsure(found: Comparison) -> list[str]:
    """Say what is neither: a finding that the critic dropped is not mended, nor is one that nobody looked for."""
    lines = []
    if found.dropped:
        lines.append(f"{len(found.dropped)} kept then are found again, and thrown out now.")
    if found.unseen:
        lines.append(f"{len(found.unseen)} kept then were not looked for now: their file or their rule was left out.")
    return lines


def state(last: Snapshot) -> str:
    """Name the state that the last audit was of."""
    dirty = " with changes that were not committed" if last.is_dirty else ""
    return f"commit {last.commit[:12]} of {last.committed_at[:10]}{dirty}" if last.commit else "files without a commit"


def _new(finding: Finding) -> str:
    place = code(f"{finding.path}:{finding.line}")
    return f"- {finding.severity}: {place} {rule_named(finding.rule).title} ({finding.fingerprint})"


def _mended(known: Known) -> str:
    return f"- {known.severity}: {code(known.path)} {rule_named(known.rule).title} ({known.fingerprint})"


def _more(count: int, state: str) -> list[str]:
    return [f"- {count - SHOWN} more; findings.sarif has them as `{state}`."] if count > SHOWN else []
