"""What the editor has a model say: the report in a few sentences, with no number that the report does not have."""

import re
from collections.abc import Sequence

import msgspec

from remit import Context
from remit.teams.audit.model import prompt
from remit.teams.audit.model.adviser import Adviser
from remit.teams.audit.model.remark import Words, what

ROLE = "editor"
WITHIN_S = 60.0
_TOKENS = 400
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


class Prose(msgspec.Struct, frozen=True, kw_only=True):
    """The report in at most four sentences."""

    text: str


async def prose(facts: Sequence[str], *, model: str, ctx: Context) -> Words:
    """Give what a model makes of what the report says; a text with a number of its own is none."""
    adviser = Adviser(ctx, model, role=ROLE, within_s=WITHIN_S)
    asked = prompt.joined(
        "Say to the owner of the repository in at most four sentences what this report means and where to begin"
        " (`text`). Use no number that is not in it.",
        prompt.data("report", "\n".join(facts)),
    )
    said = await adviser.ask(asked, Prose, max_tokens=_TOKENS)
    if said is None:
        adviser.miss(what("prose"))
    elif own := sorted(numbers(said.text) - numbers("\n".join(facts))):
        adviser.miss(what("prose"), cause=f"it names numbers that the report does not have: {', '.join(own[:5])}")
    else:
        adviser.remark("prose", said.text)
    return adviser.words


def numbers(text: str) -> set[str]:
    """Give the numbers that a text names in digits."""
    return {*_NUMBER.findall(text)}
