"""What a model said, as the report repeats it: every text marked as its own, escaped like text of the repository.

Nothing here counts: score, verdict and findings come from what tools saw and rules decided.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from remit.teams.audit.finding import Finding
from remit.teams.audit.model.remark import SAYS, Kind, Missing, Remark, about, what
from remit.teams.audit.report.markdown_text import code, prose
from remit.teams.audit.sighting import Skipped

MODEL_FILE = "evidence/model.json"
HEADING = "What a model says"
NOTE = (
    "These texts are a model's, made from excerpts of the code; nobody checked them. Besides, a model may have made"
    " less of findings, which stand among what was thrown out with what it argues, and proposed patches, whose names"
    " say so. Nothing else in this report rests on a model."
)
SHOWN = 10
"""Texts of one kind."""
NOTHING = "It said nothing that could be used."
ALL = f"{MODEL_FILE} has all of them, and what the model was asked in vain."
ORDER: tuple[Kind, ...] = ("prose", "summary", "component", "risk", "reachability")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the roles had of a model, and what they had not."""

    model: str
    remarks: tuple[Remark, ...] = ()
    missing: tuple[Missing, ...] = ()


class Saying(msgspec.Struct, frozen=True, kw_only=True):
    """One text of a model with what it is about; `is_place` says that this is a path or a place in one."""

    about: str
    is_place: bool
    text: str


def sayings(told: Told, kept: Sequence[Finding], first: Sequence[str]) -> Iterator[tuple[Kind, list[Saying]]]:
    """Give the texts by kind in the order of the report, those about the files `first` before the others.

    Of a kind the first ones are given, and none about a finding that nobody kept.
    """
    places = {item.fingerprint: f"{item.path}:{item.line}" for item in kept}
    ranks = {path: rank for rank, path in enumerate(first)}
    for kind in ORDER:
        found = list(_of(kind, about(told.remarks, kind), places))
        if found:
            yield (
                kind,
                sorted(found, key=lambda item: ranks.get(item.about.rpartition(":")[0] or item.about, len(ranks)))[
                    :SHOWN
                ],
            )


def _of(kind: Kind, texts: Mapping[str, str], places: Mapping[str, str]) -> Iterator[Saying]:
    for name, text in texts.items():
        if kind != "reachability":
            yield Saying(about=name, is_place=bool(name), text=text)
        elif name in places:
            yield Saying(about=places[name], is_place=True, text=text)


def section(told: Told, kept: Sequence[Finding], first: Sequence[str]) -> str:
    """Give the section of report.md."""
    lines = [f"## {HEADING}", "", f"{NOTE} The model is {code(told.model)}.", ""]
    groups = list(sayings(told, kept, first))
    for kind, found in groups:
        lines += [f"{title(kind)}:", "", *(f"- {_told(item)}" for item in found), ""]
    return "\n".join([*lines, *([ALL, ""] if groups else [NOTHING, ""])])


def _told(item: Saying) -> str:
    place = f"{code(item.about)}: " if item.is_place else ""
    return f"{place}*{SAYS}:* {prose(item.text)}"


def title(kind: Kind) -> str:
    """Head the texts of a kind."""
    said = what(kind)
    return f"{said[:1].upper()}{said[1:]}"


def unsaid(told: Told) -> tuple[Skipped, ...]:
    """Give what a model was to say and did not, for the list of what was not checked; the same cause once."""
    counts: dict[tuple[str, str, str], int] = {}
    for item in told.missing:
        key = (item.role, item.what, item.cause)
        counts[key] = counts.get(key, 0) + 1
    return tuple(
        Skipped(what=f"{missed}, by a model for the {role}" + (f" ({count} times)" if count > 1 else ""), cause=cause)
        for (role, missed, cause), count in counts.items()
    )
