"""The lines of code around findings, as the page quotes them: without what looks like a secret, and of few."""

import textwrap
from collections.abc import Iterable, Sequence

import msgspec

from remit import Context
from remit.teams.audit.finding import Finding
from remit.teams.audit.tools.excerpt import EXCERPTS, fs_excerpt
from remit.teams.audit.tools.files import Excerpt, Passage

QUOTED = 80
"""Findings with lines; those beyond keep the cited line alone."""
_BEFORE, _LINES = 1, 5


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """Lines as they stand in a file, without the indentation that all of them have."""

    first: int
    lines: tuple[str, ...]


def is_about_file(finding: Finding) -> bool:
    """Say whether a finding is about a whole file, of which the first line says nothing."""
    return finding.line <= 1 and not finding.symbol


async def quoted(kept: Sequence[Finding], cited: Iterable[str], ctx: Context) -> dict[str, Quote]:
    """Give lines by fingerprint: for what is cited first, then for the worst; none of a file that changed meanwhile."""
    names = {*cited}
    ordered = sorted(kept, key=lambda item: item.fingerprint not in names)
    chosen = sorted([item for item in ordered if not is_about_file(item)][:QUOTED], key=lambda item: item.path)
    found: dict[str, Quote] = {}
    for at in range(0, len(chosen), EXCERPTS):
        part = chosen[at : at + EXCERPTS]
        excerpts = await ctx.call(fs_excerpt, passages=tuple(map(_passage, part)))
        pairs = zip(part, excerpts, strict=True)
        found |= {item.fingerprint: _quote(said) for item, said in pairs if said.digest == item.blob}
    return {name: quote for name, quote in found.items() if any(quote.lines)}


def _passage(finding: Finding) -> Passage:
    return Passage(path=finding.path, first=max(1, finding.line - _BEFORE), count=_LINES)


def _quote(excerpt: Excerpt) -> Quote:
    lines = textwrap.dedent("\n".join(excerpt.lines).expandtabs(4)).rstrip().split("\n")
    blank = 1 if lines[1:] and not lines[0] else 0
    return Quote(first=excerpt.first + blank, lines=tuple(lines[blank:]))
