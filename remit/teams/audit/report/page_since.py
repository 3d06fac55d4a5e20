"""What the page says of the last audit: what is new, what is mended, and what nobody can say."""

from collections.abc import Iterable

from remit.teams.audit.judge.rules import rule_named
from remit.teams.audit.report import since, wording
from remit.teams.audit.report.baseline import Known
from remit.teams.audit.report.page_findings import link, severity
from remit.teams.audit.report.page_markup import Markup, code, element, join, prose
from remit.teams.audit.report.since import SHOWN, Comparison


def cited(found: Comparison | None) -> list[str]:
    """Give the fingerprints to which the section links."""
    return [item.fingerprint for item in found.new[:SHOWN]] if found is not None else []


def section(found: Comparison | None, problem: str) -> Markup:
    """Give the comparison, or why there is none."""
    if found is None:
        return element("p", prose(f"Nothing to compare with: {problem}."))
    new = [
        join(severity(item.severity), " ", link(item), ": ", rule_named(item.rule).title) for item in found.new[:SHOWN]
    ]
    return join(
        element("p", prose(f"{since.said(found)}. The last audit was of {since.state(found.last)}.")),
        *_list("New", new, more=wording.more(len(found.new), len(new), "findings.sarif, as new")),
        *_list(
            "Mended",
            map(_mended, found.mended[:SHOWN]),
            more=wording.more(len(found.mended), SHOWN, "findings.sarif, as absent"),
        ),
        *(element("p", prose(line)) for line in since.unsure(found)),
    )


def _mended(known: Known) -> Markup:
    return join(severity(known.severity), " ", code(known.path), ": ", rule_named(known.rule).title)


def _list(heading: str, items: Iterable[Markup], *, more: str) -> list[Markup]:
    rows = [element("li", item) for item in items]
    if not rows:
        return []
    return [element("h3", heading), element("ul", *rows), *([element("p", more)] if more else [])]
