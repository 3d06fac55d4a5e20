"""What stands behind the report, for machines: every finding with its decision, every citation with its digest."""

from collections.abc import Iterable

import msgspec

from remit.teams.audit.judge.opinion import Opinion
from remit.teams.audit.report.conflict import Card


class Citation(msgspec.Struct, frozen=True, kw_only=True):
    """Where a kept finding can be verified."""

    fingerprint: str
    path: str
    line: int
    snippet: str
    blob: str


def findings_file(opinions: Iterable[Opinion]) -> str:
    """Give every finding with what was decided and why."""
    return pretty([msgspec.to_builtins(opinion) for opinion in opinions])


def citations(opinions: Iterable[Opinion]) -> str:
    """Give the evidence of what was kept: the line, and the digest of the file in which it stands."""
    kept = (item.finding for item in opinions if item.decision == "keep")
    return pretty(
        [
            Citation(fingerprint=item.fingerprint, path=item.path, line=item.line, snippet=item.snippet, blob=item.blob)
            for item in kept
        ]
    )


def conflicts_file(found: Iterable[Card]) -> str:
    """Give every field that several roles wrote, and whether they contradict one another there."""
    return pretty([msgspec.to_builtins(card) | {"is_contested": card.is_contested} for card in found])


def pretty(value: object) -> str:
    """Give a value as JSON that people can read and compare."""
    body = msgspec.json.encode(value, order="deterministic")
    return msgspec.json.format(body, indent=1).decode() + "\n"
