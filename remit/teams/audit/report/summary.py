"""What `remit audit` prints at the end, from the last reply of the run."""

import msgspec

from remit.teams.audit.message import Published, Report


def summary(reply: bytes) -> tuple[str, ...]:
    """Give the closing lines: what to mend first, what was rolled back, verdict, conflicts by rule, the report's path.

    Takes the reply of the publisher, or that of the editor while nothing is published yet.
    """
    said = msgspec.json.decode(reply, type=Published | Report)
    first = [f"  {number}. {sentence}" for number, sentence in enumerate(said.fix_first, 1)]
    decided = ", ".join(f"{item.rule} {item.count}" for item in said.conflicts) or "none"
    where = said.report if isinstance(said, Published) else "not written: nobody approved it yet"
    return (
        *(["fix these first:", *first] if first else []),
        *([f"on the way: {said.way}"] if said.way else []),
        *([f"left out: {', '.join(said.left_out)}"] if isinstance(said, Published) and said.left_out else []),
        *([f"since the last audit: {said.since}"] if said.since else []),
        *([f"branch: {said.branch}"] if isinstance(said, Published) and said.branch else []),
        f"verdict: {said.verdict}",
        f"conflicts by rule: {decided}",
        f"report: {where}",
    )


def first_reason(reply: bytes) -> str:
    """Name the finding that is the first reason to mend the first file; empty if nothing was kept."""
    return msgspec.json.decode(reply, type=Published | Report).explain
