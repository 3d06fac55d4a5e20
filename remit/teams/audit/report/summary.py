"""What `remit audit` prints at the end, from the last reply of the run."""

import msgspec

from remit.teams.audit.message import Published, Report
from remit.teams.audit.report.selection import PAGE
from remit.teams.audit.report.wording import tally


def summary(reply: bytes) -> tuple[str, ...]:
    """Give the closing lines: verdict, what was not read, what to mend first, conflicts by rule, the report's path.

    Takes the reply of the publisher, or that of the editor while nothing is published yet.
    """
    said = msgspec.json.decode(reply, type=Published | Report)
    first = [f"  {number}. {sentence}" for number, sentence in enumerate(_placed(said), 1)]
    where = _where(said) if isinstance(said, Published) else "not written: nobody approved it yet"
    is_written = isinstance(said, Published)
    return (
        f"verdict: {said.verdict}",
        *([f"not read: {said.unread}"] if said.unread else []),
        *([f"since the last audit: {said.since}"] if said.since else []),
        *(["fix these first:", *first] if first else []),
        *([f"on the way: {said.way}"] if said.way else []),
        *([f"left out: {', '.join(said.left_out)}"] if is_written and said.left_out else []),
        *([f"patches: {said.patches}; git apply {said.folder}/patches/NAME"] if is_written and _ready(said) else []),
        *([f"branch: {said.branch}"] if is_written and said.branch else []),
        *([f"for example: {said.example}"] if said.example else []),
        f"conflicts by rule: {_decided(said)}",
        f"report: {where}",
    )


def _placed(said: Published | Report) -> list[str]:
    """Give the files to mend first with severity and line of their leading findings; an older reply has none."""
    if len(said.leads) != len(said.fix_first):
        return [*said.fix_first]
    told = [sentence.removeprefix(f"{lead.path}: ") for sentence, lead in zip(said.fix_first, said.leads, strict=True)]
    return [
        f"{lead.severity}  {lead.path}:{lead.line}: {reasons}" for reasons, lead in zip(told, said.leads, strict=True)
    ]


def _decided(said: Published | Report) -> str:
    rules = ", ".join(f"{item.rule} {item.count}" for item in said.contradictions)
    if not rules and not said.agreements:
        return "none"
    return tally(said.contradictions, said.agreements) + (f" ({rules})" if rules else "")


def _where(said: Published) -> str:
    """The page, unless somebody left it out."""
    return said.report if PAGE in said.left_out else f"{said.folder}/{PAGE}"


def _ready(said: Published) -> bool:
    return not said.patches.startswith("0")


def first_reason(reply: bytes) -> str:
    """Name the finding that is the first reason to mend the first file; empty if nothing was kept."""
    return msgspec.json.decode(reply, type=Published | Report).explain
