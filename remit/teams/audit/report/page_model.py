"""The section of the page with what a model said: every text under its own mark."""

from collections.abc import Sequence

from remit.teams.audit.finding import Finding
from remit.teams.audit.model.remark import LONGEST, SAYS
from remit.teams.audit.report.model_words import ALL, NOTE, NOTHING, Saying, Told, sayings, title
from remit.teams.audit.report.page_markup import Markup, code, element, join, prose


def section(told: Told, kept: Sequence[Finding], first: Sequence[str]) -> Markup:
    """Give the texts of a model by what they are about."""
    groups = [
        join(element("h3", title(kind)), element("ul", *(element("li", _said(item)) for item in found)))
        for kind, found in sayings(told, kept, first)
    ]
    note = element("p", NOTE, " The model is ", code(told.model), ".", class_="aside")
    return join(note, *groups, element("p", ALL if groups else NOTHING, class_="aside"))


def _said(item: Saying) -> Markup:
    place = join(code(item.about), ": ") if item.is_place else Markup()
    return join(place, element("span", f"{SAYS}: ", class_="aside"), element("q", prose(item.text, LONGEST)))
