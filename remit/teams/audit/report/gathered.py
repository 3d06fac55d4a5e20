"""The reasons to mend a file, each with how many more of its kind there are: nothing is hidden without a count."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from remit.teams.audit.finding import WEIGHT, Finding, by_path
from remit.teams.audit.report.hotspot import Hotspot

_NAMED = 4
"""Names or lines that a sentence lists."""
_UNUSED = "unused-dependency"
_NAME = re.compile(r"`([^`]+)` is required at line \d+")


def gathered(spots: Iterable[Hotspot], kept: Iterable[Finding]) -> list[Hotspot]:
    """Give the files to mend first with reasons that count what they stand for."""
    found = by_path(kept)
    return [_counted(spot, found.get(spot.path, ())) for spot in spots]


def _counted(spot: Hotspot, group: Sequence[Finding]) -> Hotspot:
    known = {finding.fingerprint: finding for finding in group}
    told = {finding.rule for name in spot.findings if (finding := known.get(name)) is not None}
    reasons = [
        _reason(known[name], group) if name in known else reason
        for name, reason in zip(spot.findings, spot.reasons, strict=True)
    ]
    left = sum(WEIGHT[finding.severity] > 0 and finding.rule not in told for finding in group)
    if left and reasons:
        reasons[-1] += f" (and {left} more here)"
    return msgspec.structs.replace(spot, reasons=tuple(reasons))


def _reason(finding: Finding, group: Iterable[Finding]) -> str:
    """Say a finding for all of its rule in one file."""
    same = sorted((item for item in group if item.rule == finding.rule), key=lambda item: item.line)
    if len(same) == 1:
        return finding.message
    if finding.rule == _UNUSED and (names := [name[1] for item in same if (name := _NAME.match(item.message))]):
        return f"{_listed([f'`{name}`' for name in names])} are required, and nothing imports or names them"
    lines = sorted({item.line for item in same})
    if len({_lineless(item) for item in same}) == 1 and (at := f"at line {finding.line}") in finding.message:
        return finding.message.replace(at, f"at lines {_listed([str(line) for line in lines])}", 1)
    others = [str(line) for line in lines if line != finding.line]
    places = f": line{'s' if len(others) > 1 else ''} {', '.join(others)}" if 0 < len(others) <= _NAMED else ""
    return f"{finding.message} (and {len(same) - 1} more like it{places})"


def _lineless(finding: Finding) -> str:
    return finding.message.replace(f"at line {finding.line}", "", 1)


def _listed(words: Sequence[str]) -> str:
    """Give words as a list that ends with `and`; of many the first ones, and how many more there are."""
    shown = [*words] if len(words) <= _NAMED else [*words[: _NAMED - 1], f"{len(words) - _NAMED + 1} more"]
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else shown[0]
