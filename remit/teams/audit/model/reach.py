"""What the security analyst has a model say: whether what it found can be reached by somebody outside."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from remit import Context
from remit.teams.audit.finding import Finding, worst_first
from remit.teams.audit.model import prompt
from remit.teams.audit.model.adviser import Adviser
from remit.teams.audit.model.remark import Words, what
from remit.teams.audit.model.risk import around
from remit.teams.audit.place import place_of
from remit.teams.audit.tools.excerpt import fs_excerpt

ROLE = "analyst-security"
WITHIN_S = 90.0
FINDINGS = 5
"""Of one shard."""
_ABOVE, _LINES = 25, 45
_TOKENS = 300


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Whether data from outside can reach a line, and why, in at most two sentences."""

    reachable: Literal["yes", "no", "unclear"]
    why: str


async def reachability(findings: Sequence[Finding], *, model: str, ctx: Context) -> Words:
    """Give what a model says of the worst findings in shipped code; it changes nothing about them."""
    adviser = Adviser(ctx, model, role=ROLE, within_s=WITHIN_S)
    shipped = [item for item in findings if place_of(item.path) == "shipped" and item.severity in {"high", "medium"}]
    for finding in sorted(shipped, key=worst_first)[:FINDINGS]:
        excerpts = await ctx.call(fs_excerpt, passages=(around(finding, _ABOVE, _LINES),))
        asked = prompt.joined(
            "Can data that somebody outside controls reach the line of this finding? Answer `reachable` with yes, no or"
            " unclear, and `why` in at most two sentences. What is not in the excerpt is unclear.",
            prompt.findings([finding]),
            more=[prompt.code(item) for item in excerpts if item.lines],
        )
        said = await adviser.ask(asked, Reach, max_tokens=_TOKENS)
        if said is None:
            adviser.miss(what("reachability"), finding.fingerprint)
        else:
            adviser.remark("reachability", f"{said.reachable}. {said.why}", finding.fingerprint)
    return adviser.words
