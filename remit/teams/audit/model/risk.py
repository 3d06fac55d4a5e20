"""What the code analyst has a model say: why the files that it worries about most are risky."""

from collections.abc import Sequence

import msgspec

from remit import Context
from remit.teams.audit.finding import Finding, by_path, worst_first
from remit.teams.audit.judge.judgement import notes
from remit.teams.audit.model import prompt
from remit.teams.audit.model.adviser import Adviser
from remit.teams.audit.model.remark import Words, what
from remit.teams.audit.tools.excerpt import fs_excerpt
from remit.teams.audit.tools.files import Passage

ROLE = "analyst-code"
WITHIN_S = 90.0
FILES = 3
"""Of one shard."""
_UNREADABLE = frozenset({"syntax-error", "undecodable-file", "huge-file"})
"""Rules that say all there is to say of a file."""
_FINDINGS = 6
_EXCERPTS = 2
_ABOVE, _LINES = 2, 40
_TOKENS = 300


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """Why a file is risky, in at most three sentences."""

    why: str


async def risks(findings: Sequence[Finding], *, model: str, ctx: Context) -> Words:
    """Give why the worst files of an assignment are risky, by their findings and a few lines around the worst."""
    adviser = Adviser(ctx, model, role=ROLE, within_s=WITHIN_S)
    groups = by_path(item for item in findings if item.rule not in _UNREADABLE)
    readable = [item for group in groups.values() for item in group]
    for path in notes(readable, "code", FILES):
        worst = sorted(groups[path], key=worst_first)
        shown = tuple(around(item, _ABOVE, _LINES) for item in worst[:_EXCERPTS])
        excerpts = await ctx.call(fs_excerpt, passages=shown)
        asked = prompt.joined(
            "These findings are in one file. Say in at most three sentences what is likely to go wrong in it when it is"
            " changed or used, and why (`why`). Do not repeat the findings, and do not say what to do.",
            prompt.findings(worst[:_FINDINGS]),
            more=[prompt.code(item) for item in excerpts if item.lines],
        )
        said = await adviser.ask(asked, Risk, max_tokens=_TOKENS)
        if said is None:
            adviser.miss(what("risk"), path)
        else:
            adviser.remark("risk", said.why, path)
    return adviser.words


def around(finding: Finding, above: int, lines: int) -> Passage:
    """Give the passage around a finding's line."""
    return Passage(path=finding.path, first=max(1, finding.line - above), count=lines)
