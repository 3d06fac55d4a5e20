"""What the critic has a model say: which kept findings are no findings, argued from the cited lines, in two rounds.

A model may make less of a finding and never more. What it says counts only where the rules below let it: they look at
what was shown, not at how well it is said.

- It speaks about a finding that was kept and is a guess. What is measured or stands as a fact is not argued about.
- It quotes the code: the quote stands, word for word, in the lines that it was shown around the cited one.
- What is of high severity, or was seen by several independent tools, it may demote and not reject.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from remit import Context, Critique, Requirement
from remit.teams.audit.finding import Finding, worst_first
from remit.teams.audit.judge.opinion import Opinion
from remit.teams.audit.judge.rules import rule_named
from remit.teams.audit.model import prompt
from remit.teams.audit.model.adviser import Adviser
from remit.teams.audit.model.remark import ARGUES, Missing, Words, one_line
from remit.teams.audit.model.risk import around
from remit.teams.audit.tools.excerpt import EXCERPTS, fs_excerpt
from remit.teams.audit.tools.files import Excerpt

ROLE = "critic"
MOST = 16
"""Findings about which a model is asked, the worst first."""
ROUNDS = 2
ENOUGH = 0.99
"""Of the arguments of a round, so many must hold: one that does not is said again, or falls."""
WITHIN_S = 120.0
COST = 1.0
"""What the rounds of one critic may cost, in the currency of the prices."""
WHAT = "which findings are no findings"
_ABOVE, _LINES = 8, 20
_QUOTE = 6
"""Characters: a shorter quote stands everywhere."""
_REASON = 240
_TOKENS = 1500


class Argument(msgspec.Struct, frozen=True, kw_only=True):
    """Why less is to be made of one finding: what follows, the reason, and the code that shows it, word for word."""

    finding: str
    """The number of the finding, as the question counts them."""
    verdict: Literal["demote", "reject"]
    reason: str
    quote: str


class Arguments(msgspec.Struct, frozen=True, kw_only=True):
    """About the findings of which less is to be made; those that stand are not named."""

    arguments: tuple[Argument, ...] = ()


class Speech(msgspec.Struct, frozen=True, kw_only=True):
    """What a model argues in one round, or why it argues nothing: all that the next round and a replay know of it."""

    arguments: tuple[Argument, ...] = ()
    cause: str = ""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """The findings that are argued about, by number, with the lines that a model was shown of each."""

    findings: Mapping[str, Finding]
    lines: Mapping[str, Excerpt]

    def objection(self, argument: Argument) -> str:
        """Say why an argument does not hold; nothing if it does."""
        if argument.finding not in self.findings:
            return f"finding {argument.finding!r} is not among those asked about"
        if not one_line(argument.reason):
            return f"finding {argument.finding}: there is no reason"
        quote = " ".join(argument.quote.split())
        if len(quote) < _QUOTE or not any(quote in text for text in self._shown(argument.finding)):
            return f"finding {argument.finding}: the quote does not stand in the lines shown"
        return ""

    def _shown(self, number: str) -> tuple[str, str]:
        """Give the lines of a finding as one text, and without their indentation and breaks."""
        lines = self.lines[number].lines
        return "\n".join(lines), " ".join(" ".join(lines).split())


async def argued(opinions: Sequence[Opinion], *, model: str, ctx: Context) -> tuple[list[Opinion], Words]:
    """Give the opinions after a model argued against what was kept; only what holds by our own rules changes one."""
    doubtful = sorted((item.finding for item in opinions if is_arguable(item)), key=worst_first)[:MOST]
    if not doubtful:
        return list(opinions), Words()
    case = await _case(doubtful, ctx)
    speech = await _speech(case, model=model, ctx=ctx)
    held = {case.findings[item.finding].fingerprint: item for item in speech.arguments if not case.objection(item)}
    missing = (Missing(role=ROLE, what=WHAT, cause=speech.cause),) if speech.cause else ()
    after = [
        _after(item, held[item.finding.fingerprint]) if item.finding.fingerprint in held else item for item in opinions
    ]
    return after, Words(missing=missing)


def is_arguable(opinion: Opinion) -> bool:
    """Say whether a model is asked about a finding at all: it was kept, and it is a guess."""
    return opinion.decision == "keep" and not rule_named(opinion.finding.rule).certain


def _after(opinion: Opinion, argument: Argument) -> Opinion:
    may_reject = opinion.finding.severity != "high" and len(opinion.finding.tools) == 1
    reason = f"{ARGUES}: {one_line(argument.reason, _REASON)} It quotes `{one_line(argument.quote, _REASON)}`"
    decision: Literal["demote", "reject"] = "reject" if argument.verdict == "reject" and may_reject else "demote"
    return msgspec.structs.replace(opinion, decision=decision, reason=reason)


async def _case(doubtful: Sequence[Finding], ctx: Context) -> Case:
    found: list[Excerpt] = []
    for at in range(0, len(doubtful), EXCERPTS):
        part = doubtful[at : at + EXCERPTS]
        found += await ctx.call(fs_excerpt, passages=tuple(around(item, _ABOVE, _LINES) for item in part))
    numbers = [str(number) for number in range(1, len(doubtful) + 1)]
    shown = {number: item for number, item in zip(numbers, found, strict=True) if item.lines}
    return Case(
        findings={number: item for number, item in zip(numbers, doubtful, strict=True) if number in shown}, lines=shown
    )


async def _speech(case: Case, *, model: str, ctx: Context) -> Speech:
    """Have the model argue, twice at most: what does not hold is said to it with the reason.

    Each round is held against the requirement of the run, which the runtime names by its hash; and against the code.
    """

    async def drafted(task: Requirement) -> Speech:
        return await _asked(case, task, (), model=model, ctx=ctx)

    async def judged(_task: Requirement, draft: Speech) -> Critique:
        objections = tuple(filter(None, map(case.objection, draft.arguments)))
        score = 1.0 - len(objections) / max(1, len(draft.arguments))
        return Critique(score=score, reasons=objections)

    async def revised(task: Requirement, draft: Speech, critique: Critique) -> Speech:
        again = await _asked(case, task, critique.reasons, model=model, ctx=ctx)
        return draft if again.cause else again

    found = await ctx.reflect(
        drafted,
        critique=judged,
        revise=revised,
        until=ENOUGH,
        max_rounds=ROUNDS,
        max_seconds=2 * WITHIN_S,
        max_cost=COST,
        returns=Speech,
    )
    return found.draft


async def _asked(case: Case, task: Requirement, wrong: Sequence[str], *, model: str, ctx: Context) -> Speech:
    adviser = Adviser(ctx, model, role=ROLE, within_s=WITHIN_S)
    cited = [
        prompt.joined(prompt.data(f"finding {number}", f"{item.path}:{item.line} {item.rule}: {item.message}"), shown)
        for number, item in case.findings.items()
        if (shown := prompt.code(case.lines[number]))
    ]
    again = [prompt.data("what was wrong with your last answer", "\n".join(wrong))] if wrong else []
    asked = prompt.joined(
        prompt.data("what the audit is for", task.goal),
        "Other tools found what follows. Which of these are false: the code shown means something else, or handles it?"
        " Name only those, each with its number (`finding`), `verdict` (reject: it is false; demote: it hardly"
        " matters), `reason` in one sentence, and `quote`: the code that shows it, copied exactly from the excerpt. If"
        " none is false, answer with no arguments.",
        more=[*cited, *again],
    )
    said = await adviser.ask(asked, Arguments, max_tokens=_TOKENS)
    return Speech(cause=adviser.cause) if said is None else Speech(arguments=said.arguments[:MOST])
