"""What the fixer has a model say: other lines for the ones with a finding. They are believed as little as any patch."""

from collections.abc import Sequence

import msgspec

from remit import Context
from remit.teams.audit.finding import Finding
from remit.teams.audit.mending import Mending
from remit.teams.audit.model import prompt
from remit.teams.audit.model.adviser import Adviser
from remit.teams.audit.model.risk import around
from remit.teams.audit.tools.excerpt import fs_excerpt
from remit.teams.audit.tools.rewrite import Edit, fs_rewrite
from remit.teams.audit.tools.ruff_fix import Attempt

ROLE = "fixer"
WITHIN_S = 60.0
_ABOVE, _LINES = 12, 30
_TOKENS = 1200


class Edits(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of a file, exactly as they stand there, and the lines that replace them; none if that cannot be done."""

    edits: tuple[Edit, ...] = ()


async def mended(work: Mending, *, ctx: Context) -> Attempt:
    """Give the patch that a model proposes, or why there is none."""
    adviser = Adviser(ctx, work.model, role=ROLE, within_s=WITHIN_S)
    shown = tuple(around(item, _ABOVE, _LINES) for item in work.asked)
    excerpts = await ctx.call(fs_excerpt, passages=shown)
    if any(item.digest != work.blob for item in excerpts):
        return Attempt(problem=next((item.problem for item in excerpts if item.problem), "") or _CHANGED)
    said = await adviser.ask(_prompt(work.asked, [prompt.code(item) for item in excerpts]), Edits, max_tokens=_TOKENS)
    if said is None:
        return Attempt(problem=f"no model wrote it: {adviser.cause}")
    if not said.edits:
        return Attempt(problem="the model saw no way to mend it")
    return await ctx.call(fs_rewrite, path=work.path, blob=work.blob, edits=said.edits, findings=work.asked)


_CHANGED = "the file changed since it was audited"


def _prompt(found: Sequence[Finding], excerpts: Sequence[str]) -> str:
    return prompt.joined(
        "Mend these findings with as few changes as possible, and change nothing else. Answer with `edits`: `old` are"
        " whole lines of the excerpt, copied exactly with their indentation and without their numbers, `new` are the"
        " lines that replace them. If they cannot be mended without knowing more, answer with no edits.",
        prompt.findings(found),
        more=excerpts,
    )
